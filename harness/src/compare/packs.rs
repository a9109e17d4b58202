//! Two packs on the same inputs: what a new version of a kernel changed for those who use it. Modules are compared kernel by kernel and
//! variant by variant; those that are the same to the byte need no run.

use super::{
    CompareError,
    answers::{Outputs, outputs},
    cost::{self, Effort, Measured, NotMeasured, Numbers, Pair, Time},
};
use crate::{
    conform::{cases, plan, run::Work, standard::Standard, subject::Subject},
    outcome::Whole,
    registry,
    results::PackIdentity,
    statistics::Word,
};
use anyhow::Result;
use assay_worker::Launch;
use kernel_cases::case::Case;
use kernel_pack::{Pack, PackKernel};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// What is compared, and how.
pub struct Request<'a> {
    /// The older pack.
    pub old: &'a Pack,
    /// The newer pack.
    pub new: &'a Pack,
    /// Engines.
    pub launches: &'a [Launch],
    /// Kernel ids and globs; empty means all.
    pub kernels: &'a [String],
    /// Generated cases per kernel.
    pub cases: u32,
    /// Seed of the generated cases, of orders and resamples.
    pub seed: u64,
    /// Seconds of batches per module, engine and process; `None` times nothing.
    pub time: Option<Duration>,
    /// Processes per engine that are timed.
    pub processes: u32,
    /// Whether modules that are the same are run as well.
    pub identical: bool,
    /// What times, fuel and code may grow by; with it, every change of an answer is a regression.
    pub fail_on: Option<f64>,
}

/// What differs between two packs.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// `fail` if there is a regression.
    pub verdict: Whole,
    /// Why it failed.
    pub regressions: Vec<String>,
    /// What a ratio may exceed 1 by.
    pub fail_on: Option<f64>,
    /// The older pack.
    pub old: PackIdentity,
    /// The newer pack.
    pub new: PackIdentity,
    /// Seed of the generated cases.
    pub seed: u64,
    /// Generated cases per kernel.
    pub cases: u32,
    /// What keeps the packs from being compared in all.
    pub notes: Vec<String>,
    /// All modules of both.
    pub modules: Vec<Module>,
    /// Answers, per engine and module that was run.
    pub outputs: Vec<Outputs>,
    /// Numbers without noise that differ.
    pub numbers: Vec<Numbers>,
    /// How many do not.
    pub same_numbers: usize,
    /// Times of the new pack's modules over those of the old one's.
    pub times: Vec<Time>,
    /// What was not counted or timed.
    pub not_measured: Vec<NotMeasured>,
}

/// A module of either pack.
#[derive(Debug, Serialize)]
pub struct Module {
    /// Kernel id.
    pub kernel: String,
    /// `base` or the variant's features.
    pub variant: String,
    /// What became of it.
    pub change: Change,
    /// SHA-256 of the older module.
    pub old_sha256: Option<String>,
    /// SHA-256 of the newer one.
    pub new_sha256: Option<String>,
    /// Bytes of the older module.
    pub old_bytes: Option<usize>,
    /// Bytes of the newer one.
    pub new_bytes: Option<usize>,
}

/// What became of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The same bytes, entry point and limits.
    Same,
    /// The same bytes, with another entry point or other limits.
    Limits,
    /// Other bytes.
    Changed,
    /// Only the newer pack has it.
    Added,
    /// Only the older pack has it.
    Removed,
}

/// What two packs have in common, paired by kernel and variant, and what only one of them has.
#[derive(Default)]
struct Paired {
    notes: Vec<String>,
    modules: Vec<Module>,
    old_work: Vec<Work>,
    new_work: Vec<Work>,
    pairs: Vec<Pair>,
}

impl Paired {
    fn new(request: &Request<'_>) -> Result<Self> {
        let mut paired = Self::default();
        for id in &select(request)? {
            let of = |kernel: Option<&PackKernel>| kernel.map(plan::subjects).unwrap_or_default();
            let old_subjects = of(request.old.kernel(id));
            let mut new_subjects = of(request.new.kernel(id));
            let cases = cases(request, id)?;
            for old in old_subjects {
                let same = |new: &Subject| new.variant == old.variant;
                let Some(at) = new_subjects.iter().position(same) else {
                    paired.modules.push(module(Some(&old), None));
                    continue;
                };
                let new = new_subjects.remove(at);
                let module = module(Some(&old), Some(&new));
                let run = module.change != Change::Same || request.identical;
                paired.modules.push(module);
                if run {
                    paired.add(request, cases.clone(), old, new);
                }
            }
            let added = new_subjects.iter().map(|new| module(None, Some(new)));
            paired.modules.extend(added);
        }
        Ok(paired)
    }

    /// Two modules that are both run, on the calls that both take.
    fn add(&mut self, request: &Request<'_>, mut cases: Vec<Case>, old: Subject, new: Subject) {
        let of = format!("{} {}", new.kernel, new.variant);
        if old.has_backward != new.has_backward {
            let note = format!("{of}: the gradient is in one of the packs only");
            self.notes.push(note);
        }
        cases.retain(|case| {
            let asks = |subject: &Subject| subject.standard.asks(case.entry, subject.has_backward);
            asks(&old) && asks(&new)
        });
        match (Measured::new(old.clone()), Measured::new(new.clone())) {
            (Ok(old), Ok(new)) => self.pairs.push(Pair { old, new }),
            (Err(reason), _) | (_, Err(reason)) => self.notes.push(format!("{of}: {reason}")),
        }
        self.old_work
            .push(Work::new(old, cases.clone(), request.seed));
        self.new_work.push(Work::new(new, cases, request.seed));
    }
}

/// Compares two packs. `step` is called with the number of all steps after each.
///
/// # Errors
/// Usage for kernels that neither pack has; if vectors of a pack are damaged.
pub fn compare(request: &Request<'_>, step: &(dyn Fn(u64) + Sync)) -> Result<Comparison> {
    let Paired {
        mut notes,
        modules,
        old_work,
        new_work,
        pairs,
    } = Paired::new(request)?;
    let per_engine = |work: &[Work]| work.iter().map(|work| work.cases.len()).sum::<usize>();
    let processes = request.time.map_or(1, |_| request.processes.max(1));
    let steps = request.launches.len()
        * (per_engine(&old_work) + per_engine(&new_work) + pairs.len() * processes as usize);
    let step = || step(steps as u64);
    let outputs = outputs(request, &old_work, &new_work, &step)?;
    let effort = Effort {
        time: request.time,
        processes: request.processes,
        seed: request.seed,
    };
    let allowed = |info: &runtime_api::Info, pair: &Pair| {
        plan::gate(request.old, info, &pair.old.subject).is_ok()
            && plan::gate(request.new, info, &pair.new.subject).is_ok()
    };
    let found = cost::measure(request.launches, &pairs, effort, &allowed, &step);
    if request.time.is_some()
        && let Some(how) = crate::machine::emulated()
    {
        notes.push(format!("times are not measured (emulated): {how}"));
    }
    let (changed, same): (Vec<_>, Vec<_>) = found
        .numbers
        .into_iter()
        .partition(|number| number.old != number.new);
    let mut comparison = Comparison {
        verdict: Whole::Pass,
        regressions: Vec::new(),
        fail_on: request.fail_on,
        old: PackIdentity::of(request.old),
        new: PackIdentity::of(request.new),
        seed: request.seed,
        cases: request.cases,
        notes,
        modules,
        outputs,
        numbers: changed,
        same_numbers: same.len(),
        times: found.times,
        not_measured: found.not_measured,
    };
    comparison.regressions = comparison.judge();
    let unseen = comparison.unseen();
    comparison.regressions.extend(unseen);
    if !comparison.regressions.is_empty() {
        comparison.verdict = Whole::Fail;
    }
    Ok(comparison)
}

/// Ids of the kernels of either pack that are asked for.
fn select(request: &Request<'_>) -> Result<Vec<String>, CompareError> {
    let mut ids: Vec<String> = Vec::new();
    for kernel in request.old.kernels().iter().chain(request.new.kernels()) {
        if !ids.iter().any(|id| id == kernel.id()) {
            ids.push(kernel.id().to_owned());
        }
    }
    let globs = registry::matchers(request.kernels)?;
    for (pattern, glob) in request.kernels.iter().zip(&globs) {
        if !ids.iter().any(|id| glob.is_match(id)) {
            return Err(CompareError::NoKernel {
                pattern: pattern.clone(),
                ids: ids.join(", "),
            });
        }
    }
    ids.retain(|id| globs.is_empty() || globs.iter().any(|glob| glob.is_match(id)));
    Ok(ids)
}

/// The vectors of both packs, edge cases and generated cases, by the newer pack's contract where it has the kernel.
fn cases(request: &Request<'_>, kernel: &str) -> Result<Vec<Case>> {
    let (old, new) = (request.old.kernel(kernel), request.new.kernel(kernel));
    let Some(of) = new.or(old) else {
        return Ok(Vec::new());
    };
    let standard = Standard::of(of, &[]);
    let mut vectors = cases::vectors_of(request.old, kernel, &standard)?;
    for case in cases::vectors_of(request.new, kernel, &standard)? {
        if !vectors.contains(&case) {
            vectors.push(case);
        }
    }
    cases::distinguish(&mut vectors);
    vectors.extend(cases::fixed(&standard, request.seed, request.cases));
    Ok(vectors)
}

fn module(old: Option<&Subject>, new: Option<&Subject>) -> Module {
    let digest = |subject: &Subject| hex::encode(Sha256::digest(&subject.wasm));
    let terms = |subject: &Subject| {
        (
            subject.entry_point.clone(),
            subject.max_pages,
            subject.max_table_elements,
            subject.ticks,
            subject.fuel,
        )
    };
    let any = old.or(new);
    Module {
        kernel: any.map(|of| of.kernel.clone()).unwrap_or_default(),
        variant: any.map(|of| of.variant.clone()).unwrap_or_default(),
        change: match (old, new) {
            (Some(old), Some(new)) if old.wasm != new.wasm => Change::Changed,
            (Some(old), Some(new)) if terms(old) != terms(new) => Change::Limits,
            (Some(_), Some(_)) => Change::Same,
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
        },
        old_sha256: old.map(digest),
        new_sha256: new.map(digest),
        old_bytes: old.map(|old| old.wasm.len()),
        new_bytes: new.map(|new| new.wasm.len()),
    }
}

impl Comparison {
    /// Changed modules of which nothing was asked: nothing is known to be the same.
    fn unseen(&self) -> Vec<String> {
        let compared = |module: &Module| {
            self.outputs.iter().any(|one| {
                one.kernel == module.kernel && one.variant == module.variant && one.cases > 0
            })
        };
        let changed = self.modules.iter();
        let changed =
            changed.filter(|module| module.change == Change::Changed && !compared(module));
        let said = changed.map(|module| {
            format!(
                "{} ({}) changed, and no case of it was compared: no contract says which calls it takes, or no engine ran it",
                module.kernel, module.variant
            )
        });
        said.collect()
    }

    /// What got worse. That a check that held does so no more is one in any case, and so is a number that was lost; the rest only
    /// where somebody said how much may change.
    fn judge(&self) -> Vec<String> {
        let mut worse = Vec::new();
        for outputs in &self.outputs {
            let of = format!("{} {} {}", outputs.runtime, outputs.kernel, outputs.variant);
            if outputs.broken_checks > 0 {
                worse.push(format!(
                    "{of}: {} checks that held do so no more; {}",
                    outputs.broken_checks,
                    outputs.broken.first().map_or("", String::as_str)
                ));
            }
            if outputs.newly_lost > 0 {
                worse.push(format!(
                    "{of}: in {} cases the newer module lost its worker: nobody knows",
                    outputs.newly_lost
                ));
            }
            if let (None, Some(reason)) = (&outputs.old_not_run, &outputs.new_not_run) {
                worse.push(format!("{of}: it runs no more: {reason}"));
            }
            if self.fail_on.is_some() && outputs.changed() > 0 {
                worse.push(format!(
                    "{of}: {} of {} answers changed",
                    outputs.changed(),
                    outputs.cases
                ));
            }
        }
        for lost in self.not_measured.iter().filter(|cell| cell.lost) {
            worse.push(format!(
                "{} {} {}: no number for the newer module: {}",
                lost.runtime, lost.kernel, lost.variant, lost.reason
            ));
        }
        let Some(share) = self.fail_on else {
            return worse;
        };
        for module in &self.modules {
            if module.change == Change::Removed {
                worse.push(format!("{} {} was removed", module.kernel, module.variant));
            }
        }
        for number in &self.numbers {
            if number.new as f64 > number.old as f64 * (1.0 + share) {
                worse.push(format!(
                    "{} {} {}: {} was {} and is {}",
                    number.runtime,
                    number.kernel,
                    number.variant,
                    number.quantity,
                    number.old,
                    number.new
                ));
            }
        }
        for time in &self.times {
            let value = time.ratio.estimate.value;
            if time.ratio.word == Word::Slower && value > 1.0 + share {
                worse.push(format!(
                    "{} {} {}: slower by {:.1} %",
                    time.runtime,
                    time.kernel,
                    time.variant,
                    (value - 1.0) * 100.0
                ));
            }
        }
        worse
    }
}
