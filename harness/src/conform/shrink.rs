//! Makes a failing case smaller, on the engine where it failed.
//!
//! What this project generates of its own kernels is drawn as a tree that proptest makes smaller. Any other call is made smaller by its contract, from the
//! call itself; what says of the first call what is right is asked about each smaller one.

use super::{
    judge::{self, Judgement, Layer},
    observe::{Ended, Loaded, Observed},
    record,
    run::Session,
    standard::Standard,
    subject::{self, Prepared, Subject},
    truths::{Asking, Oracles, ReferenceEngine},
};
use crate::outcome::Outcome;
use assay_worker::{Launch, TimeLimit};
use kernel_cases::{
    case::{Case, Source},
    generate,
    open::{self, Smaller},
    truth,
};
use kernel_pack::PackKernel;
use proptest::strategy::ValueTree;
use std::{
    ops::ControlFlow::{self, Break, Continue},
    time::{Duration, Instant},
};

/// Runs that shrinking one case may take.
const MAX_RUNS: u32 = 200;
/// Time that shrinking one case may take.
const MAX_TIME: Duration = Duration::from_secs(5);

/// What is drawn as a tree, by what its name begins with.
const GENERATED: &str = "generated:";
const DRAWN: &str = "drawn:";
/// What is said where the first run did not fail.
const NOT_REPEATED: &str = "the failure did not repeat alone: it depends on what ran before";

/// A case that failed.
pub struct Failing<'a> {
    /// The module.
    pub subject: &'a Subject,
    /// The layer that failed.
    pub layer: Layer,
    /// The case.
    pub case: &'a Case,
    /// The case that its answer follows from, if it follows from one.
    pub of: Option<&'a Case>,
    /// What the pack says of the kernel.
    pub kernel: Option<&'a PackKernel>,
    /// The seed, and the run's own.
    pub seeds: (u64, u64),
}

/// The smallest case found that fails the same layer.
pub struct Smallest {
    /// The case.
    pub case: Case,
    /// The smaller case that its answer follows from.
    pub of: Option<Case>,
    /// What is wrong with it.
    detail: String,
}

impl Smallest {
    /// The case and what is wrong with it, in a line.
    pub fn describe(&self) -> String {
        format!("{}: {}", record::summary(&self.case), self.detail)
    }
}

/// Whether a case that failed this layer can be made smaller.
pub fn knows(standard: &Standard, case: &Case, layer: Layer) -> bool {
    if is_tree(standard, case) {
        return true;
    }
    let Ok(contract) = &standard.contract else {
        return false;
    };
    // What other libraries said, and what another kernel was given, is said of this one call.
    let judged_again = match layer {
        Layer::L5 => false,
        Layer::L7 => case.open.as_ref().is_none_or(|call| call.undone.is_none()),
        _ => true,
    };
    // The tables of what is known by heart have small calls.
    let is_table = case.open.is_none() && matches!(case.source, Source::Edge | Source::Vector);
    judged_again && !is_table && Smaller::new(contract, case).is_some()
}

fn is_tree(standard: &Standard, case: &Case) -> bool {
    let names = [GENERATED, DRAWN];
    standard.definition.is_some() && names.iter().any(|prefix| case.name.starts_with(prefix))
}

/// Makes a failing case smaller on its engine; `others` ran it too.
///
/// # Errors
/// Why it was not made smaller.
pub fn shrink<'a>(
    failing: &'a Failing<'a>,
    mut session: Session<'a>,
    others: Vec<&'a Launch>,
    (oracles, limit): (&'a mut Oracles, TimeLimit),
) -> Result<Smallest, String> {
    // One call of a case that does not end may take longer than all of it.
    let limit = TimeLimit::new("shrinking", 2 * MAX_TIME).sooner(Some(limit));
    oracles.end_by(limit);
    session.begin(Some(limit));
    let subject = failing.subject;
    let loaded = session.load(subject).map_err(|(_, reason)| reason)?;
    let engine = ReferenceEngine::default();
    let truths = match (failing.kernel, subject.standard.open()) {
        (Some(kernel), Some(contract)) => Some(Asking::new(oracles, kernel, contract, &engine)),
        _ => None,
    };
    let attempts = Attempts {
        failing,
        related: failing
            .of
            .and(Some(failing.case))
            .filter(|_| failing.layer == Layer::L7),
        module: Module {
            subject: subject.clone(),
            session,
            loaded,
        },
        others,
        other: None,
        limit,
        truths,
        silent: None,
        smallest: None,
        runs: 0,
        begin: Instant::now(),
    };
    if is_tree(&subject.standard, failing.case) {
        attempts.by_tree()
    } else {
        attempts.by_contract()
    }
}

/// A module in a worker.
struct Module<'a> {
    subject: Subject,
    session: Session<'a>,
    loaded: Loaded,
}

/// Smaller cases, run one after the other.
struct Attempts<'a> {
    failing: &'a Failing<'a>,
    /// The failing case, where what is made smaller is the one that it follows from.
    related: Option<&'a Case>,
    module: Module<'a>,
    /// Engines that the answer may differ from.
    others: Vec<&'a Launch>,
    /// The one of them that it differs from, and its id.
    other: Option<(&'a str, Module<'a>)>,
    limit: TimeLimit,
    truths: Option<Asking<'a>>,
    /// Why nobody can say whether a case fails.
    silent: Option<String>,
    smallest: Option<Smallest>,
    runs: u32,
    begin: Instant,
}

impl Attempts<'_> {
    fn by_tree(mut self) -> Result<Smallest, String> {
        let Failing {
            subject,
            case,
            seeds,
            ..
        } = self.failing;
        let number = |prefix| case.name.strip_prefix(prefix)?.parse().ok();
        let kernel = subject.standard.definition.map_or("", |kernel| kernel.id);
        let tree = match (number(GENERATED), number(DRAWN)) {
            (Some(index), _) => generate::tree(kernel, seeds.0, index),
            (_, Some(index)) => generate::drawn_tree(kernel, seeds.1, index),
            _ => None,
        };
        let mut tree = tree.ok_or(NOT_REPEATED)?;
        self.first(tree.current())?;
        let mut go_on = tree.simplify();
        while go_on {
            go_on = match self.next(tree.current()) {
                Continue(true) => tree.simplify(),
                Continue(false) => tree.complicate(),
                Break(()) => false,
            };
        }
        self.smallest.ok_or_else(|| NOT_REPEATED.to_owned())
    }

    fn by_contract(mut self) -> Result<Smallest, String> {
        let Failing {
            subject, case, of, ..
        } = self.failing;
        let contract = subject.standard.contract.as_ref().map_err(Clone::clone)?;
        let first = self.related.and(*of).unwrap_or(case);
        let smaller = Smaller::new(contract, first);
        self.first(first.clone())?;
        if let Some(smaller) = smaller {
            // Whether all was tried or there was no time left, there is a smallest one.
            let _ = smaller.search(&mut |case| self.next(case));
        }
        self.smallest.ok_or_else(|| NOT_REPEATED.to_owned())
    }

    /// Runs the case itself, from which on the time counts.
    fn first(&mut self, case: Case) -> Result<(), String> {
        if self.fails(case) {
            self.begin = Instant::now();
            return Ok(());
        }
        Err(self
            .silent
            .take()
            .unwrap_or_else(|| NOT_REPEATED.to_owned()))
    }

    fn next(&mut self, case: Case) -> ControlFlow<(), bool> {
        if self.runs >= MAX_RUNS || self.begin.elapsed() >= MAX_TIME {
            return Break(());
        }
        self.runs += 1;
        Continue(self.fails(case))
    }

    /// Whether a case fails, which makes it the smallest one.
    fn fails(&mut self, case: Case) -> bool {
        let found = self.found(case);
        let failed = found.is_some();
        self.smallest = found.or(self.smallest.take());
        failed
    }

    fn found(&mut self, case: Case) -> Option<Smallest> {
        let case = match (&mut self.truths, self.failing.layer) {
            (Some(truths), Layer::L4 | Layer::L7) => truths.tell(case),
            _ => case,
        };
        let (prepared, observed) = self.ran(case)?;
        let (judgement, case, of) = match self.related {
            Some(related) => {
                let following = open::following_as(related, &prepared.case)?;
                let (following, seen) = self.ran(following)?;
                let held = judge::related(&following, &seen, (&prepared, &observed));
                let judgement = held.or_else(|| self.judgement(&following, &seen))?;
                (judgement, following.case, Some(prepared.case))
            }
            None => (self.judgement(&prepared, &observed)?, prepared.case, None),
        };
        if judgement.outcome == Outcome::Error {
            self.silent = Some(judgement.detail.clone());
        }
        (judgement.outcome == Outcome::Fail).then_some(Smallest {
            case,
            of,
            detail: judgement.detail,
        })
    }

    fn ran(&mut self, case: Case) -> Option<(Prepared, Observed)> {
        let prepared = subject::prepare(case, &self.module.subject, self.failing.seeds.1).ok()?;
        match self.module.ran(&prepared) {
            Ok(observed) => Some((prepared, observed)),
            Err(reason) => {
                self.silent = Some(reason);
                None
            }
        }
    }

    fn judgement(&mut self, prepared: &Prepared, observed: &Observed) -> Option<Judgement> {
        let mut layers = judge::judge_alone(prepared, observed);
        if self.failing.layer != Layer::L2 {
            return layers.remove(&self.failing.layer);
        }
        if let Some(what) = &observed.nan_bits {
            return Some(Judgement::of(Outcome::Fail, what.clone()));
        }
        // Alone on this engine, disagreement with others shows as a difference to the native build.
        layers
            .remove(&Layer::L3)
            .or_else(|| self.disagreement(prepared, observed))
    }

    /// L2 of an answer beside that of another engine: the first of them that it differs from, where a native build does not say more.
    fn disagreement(&mut self, prepared: &Prepared, observed: &Observed) -> Option<Judgement> {
        if let Some((id, other)) = &mut self.other {
            return other.beside(id, prepared, observed);
        }
        for launch in std::mem::take(&mut self.others) {
            let mut session = Session::new(launch);
            session.begin(Some(self.limit));
            // Compiled code is compared with the module that it was made of.
            let subject = Subject {
                code: None,
                ..self.module.subject.clone()
            };
            let Ok(loaded) = session.load(&subject) else {
                continue;
            };
            let mut other = Module {
                subject,
                session,
                loaded,
            };
            let judgement = other.beside(&launch.id, prepared, observed);
            if let Some(judgement) = judgement.filter(|one| one.outcome == Outcome::Fail) {
                self.other = Some((&launch.id, other));
                return Some(judgement);
            }
        }
        None
    }
}

impl Module<'_> {
    /// What was seen of a case, or why the worker was lost.
    fn ran(&mut self, prepared: &Prepared) -> Result<Observed, String> {
        let (observed, _) = self.session.one(&self.subject, self.loaded, prepared);
        match observed.ended {
            Ended::Lost(reason) => Err(reason),
            _ => Ok(observed),
        }
    }

    /// L2 of what another engine gave, beside what this one of such an id gives.
    fn beside(&mut self, id: &str, prepared: &Prepared, seen: &Observed) -> Option<Judgement> {
        let own = self.ran(prepared).ok()?;
        let judged = judge::judge(prepared, &[seen, &own]).into_iter().next();
        let judgement = judged?.remove(&Layer::L2)?;
        let outputs = [seen, &own].map(|observed| match &observed.ended {
            Ended::Status { status: 0, output } => output.as_deref(),
            _ => None,
        });
        let mismatch = match outputs {
            [Some(got), Some(due)] => truth::bits_differ(&prepared.case, due, got),
            _ => None,
        };
        // Of two engines none is most of them.
        Some(match mismatch {
            Some(mismatch) => Judgement {
                detail: format!("differs from {id}: {mismatch}"),
                ..judgement
            },
            None => judgement,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::support;
    use kernel_cases::{edge, truth::Verdict};

    /// What data say of the kernels that are known by heart is what these take, and their oracles have an answer.
    #[test]
    fn smaller_calls_of_known_kernels_are_taken_and_judged() {
        for kernel in &kernel_core::KERNELS {
            let subject = Subject {
                max_pages: 4096,
                ..support::subject(kernel.id)
            };
            let contract = subject.standard.contract.clone().unwrap();
            let mut cases = generate::together(kernel.id, 3);
            cases.extend(generate::alike(kernel.id, 3));
            let understood = cases
                .iter()
                .filter_map(|case| Smaller::new(&contract, case));
            let mut tried = 0;
            for smaller in understood.step_by(3) {
                let until = tried + 12;
                let _ = smaller.search(&mut |case| {
                    tried += 1;
                    let prepared = subject::prepare(case, &subject, 1).unwrap();
                    let status = prepared.native.map(|native| native.status);
                    assert_eq!(status, Some(0), "{:?}", prepared.case);
                    let truth = prepared.native_truth;
                    let holds = matches!(truth, Some(Verdict::Pass { .. }));
                    assert!(holds, "{truth:?} of {:?}", prepared.case);
                    match tried < until {
                        true => Continue(tried % 3 > 0),
                        false => Break(()),
                    }
                });
            }
            assert!(tried >= 12, "{}: {tried}", kernel.id);
        }
    }

    #[test]
    fn what_is_said_of_one_call_alone_is_not_made_smaller() {
        let standard = Standard::of_source("rmsnorm_f32");
        let drawn = generate::alike("rmsnorm_f32", 3);
        let forward = drawn
            .iter()
            .find(|case| case.entry == kernel_cases::case::Entry::Forward);
        let drawn = forward.unwrap();
        assert!(knows(&standard, drawn, Layer::L4));
        assert!(!knows(&standard, drawn, Layer::L5));
        for case in edge::cases("rmsnorm_f32") {
            assert!(!knows(&standard, &case, Layer::L4), "{}", case.name);
        }
    }
}
