//! Looks for a call that tells a mutant from its original: what a better harness could have found.

use super::draw::{self, Drawn};
use crate::conform::{record, run::Work, subject::Subject};
use assay_worker::TimeLimit;
use fastrand::Rng;
use kernel_cases::{case::Case, open, truth};
use runtime_api::{Budget, Error, Instance, Module, Runtime, Trap};
use runtime_call::{Outcome, execute};

/// A call that shows that a mutant is wrong.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    /// The call, in words.
    pub call: String,
    /// What the original does, and what the mutant does.
    pub difference: String,
    /// The case that the call is made from.
    pub case: Case,
}

/// What was found of a mutant.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The first call that shows that it is wrong.
    pub wrong: Option<Wrong>,
    /// How an answer differs that is within the contract's tolerance all the same, where no call shows more.
    pub within_tolerance: Option<String>,
}

/// Which calls are drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draws {
    /// Their seed.
    pub seed: u64,
    /// How many.
    pub calls: u32,
    /// The budget of each.
    pub budget: Budget,
    /// When drawing has to end.
    pub limit: Option<TimeLimit>,
}

/// What a module did with a call.
#[derive(PartialEq)]
enum Answer {
    /// It did not return, or the call could not be made.
    Stopped(Error),
    Returned {
        calls: Vec<i32>,
        /// NaN as a class where the status is 0.
        output: Vec<u8>,
        /// The rest of the frame, without scratch.
        frame: Vec<Vec<u8>>,
        pages: u32,
    },
}

impl Answer {
    /// Whether the budget ended it.
    fn is_too_long(&self) -> bool {
        let Answer::Stopped(Error::Trap { trap, .. }) = self else {
            return false;
        };
        matches!(trap, Trap::FuelExhausted | Trap::EpochDeadline)
    }
}

/// A module, and the instance that serves it.
struct Served {
    module: Box<dyn Module>,
    live: Option<Box<dyn Instance>>,
}

impl Served {
    fn of(
        runtime: &dyn Runtime,
        wasm: &[u8],
        options: &runtime_api::Options,
    ) -> runtime_api::Result<Self> {
        Ok(Served {
            module: runtime.compile(wasm, options)?,
            live: None,
        })
    }

    fn answer(&mut self, drawn: &Drawn, fresh: bool, budget: Budget) -> Answer {
        if fresh {
            self.live = None;
        }
        let mut instance = match self.live.take() {
            Some(live) => live,
            None => match self.module.instantiate(budget) {
                Ok(instance) => instance,
                Err(error) => return Answer::Stopped(error),
            },
        };
        let observation = match execute(instance.as_mut(), &drawn.invocation) {
            Ok(observation) => observation,
            Err(error) => return Answer::Stopped(error),
        };
        let mut calls = Vec::new();
        for outcome in observation.calls {
            match outcome {
                Outcome::Returned(value) => calls.push(value),
                Outcome::Failed(error) => return Answer::Stopped(error),
            }
        }
        self.live = Some(instance);
        let mut frame: Vec<Vec<u8>> = observation.reads.into_iter().map(|read| read.0).collect();
        let mut output = drawn
            .output
            .map(|index| frame.swap_remove(index))
            .unwrap_or_default();
        if calls.get(drawn.entry) == Some(&0) {
            output = truth::canonical(&drawn.case, &output);
        }
        Answer::Returned {
            calls,
            output,
            frame,
            pages: observation.pages,
        }
    }
}

/// For each mutant the first of the drawn calls that tells it from the original of `work`, if one does.
///
/// # Errors
/// If the original cannot be compiled.
pub(super) fn search(
    runtime: &dyn Runtime,
    work: &Work,
    mutants: &[&[u8]],
    draws: Draws,
) -> runtime_api::Result<Vec<Found>> {
    let subject = &work.subject;
    let options = crate::conform::observe::options(subject, draws.budget.kind());
    let known: Vec<&Case> = work.cases.iter().map(|prepared| &prepared.case).collect();
    let mut original = Served::of(runtime, &subject.wasm, &options)?;
    let mut candidates: Vec<Option<Served>> = Vec::new();
    for wasm in mutants {
        candidates.push(Some(Served::of(runtime, wasm, &options)?));
    }
    let mut found: Vec<Found> = mutants.iter().map(|_| Found::default()).collect();
    let mut pages = subject.minimum_pages;
    let mut since_fresh = 0;
    for number in 0..draws.calls {
        let over = draws.limit.is_some_and(|limit| limit.is_reached());
        if over || candidates.iter().all(Option::is_none) {
            break;
        }
        let mut rng = Rng::with_seed(
            draws
                .seed
                .wrapping_mul(0x9e37_79b9)
                .wrapping_add(number.into()),
        );
        // Half of the calls go on with an instance: what earlier calls left may show.
        let fresh = original.live.is_none() || rng.bool();
        let at_least = if fresh { subject.minimum_pages } else { pages };
        let instance = (fresh, at_least);
        let Some(drawn) = drawn(subject, &known, instance, draws.budget, &mut rng) else {
            continue;
        };
        pages = drawn.invocation.pages;
        since_fresh = if fresh { 0 } else { since_fresh + 1 };
        let right = original.answer(&drawn, fresh, draws.budget);
        if right.is_too_long() {
            // Nothing is known of the right answer; the next call is on fresh instances.
            continue;
        }
        for (candidate, found) in candidates.iter_mut().zip(&mut found) {
            let Some(served) = candidate else { continue };
            let answer = served.answer(&drawn, fresh, draws.budget);
            if answer == right {
                continue;
            }
            if both_may_be_right(&drawn.case, &right, &answer) {
                let difference = difference(&right, &answer);
                found.within_tolerance.get_or_insert(difference);
                continue;
            }
            *found = Found {
                wrong: Some(Wrong {
                    call: described(&drawn, number, since_fresh),
                    difference: difference(&right, &answer),
                    case: drawn.case.clone(),
                }),
                within_tolerance: None,
            };
            *candidate = None;
        }
    }
    Ok(found)
}

/// Whether two answers differ in an output only for which the contract has a tolerance, and by no more than that. The kernels of this project have
/// none among each other: their native build says each bit.
fn both_may_be_right(case: &Case, right: &Answer, other: &Answer) -> bool {
    let (Some(call), Answer::Returned { output: one, .. }) = (&case.open, right) else {
        return false;
    };
    let Answer::Returned {
        calls,
        output,
        frame,
        pages,
    } = other
    else {
        return false;
    };
    let with_same_output = Answer::Returned {
        calls: calls.clone(),
        output: one.clone(),
        frame: frame.clone(),
        pages: *pages,
    };
    with_same_output == *right && open::agree(call, one, output)
}

fn drawn(
    subject: &Subject,
    known: &[&Case],
    instance: (bool, u32),
    budget: Budget,
    rng: &mut Rng,
) -> Option<Drawn> {
    let mut case = draw::case(subject, known, rng)?;
    if !subject.has_backward {
        case.entry = kernel_cases::case::Entry::Forward;
    }
    draw::place(case, subject, instance, budget, rng)
}

fn described(drawn: &Drawn, number: u32, since_fresh: u32) -> String {
    let calls: Vec<String> = drawn
        .invocation
        .calls
        .iter()
        .map(|call| format!("{}{:?}", call.export, call.arguments))
        .collect();
    let before = match since_fresh {
        0 => "on a fresh instance".to_owned(),
        1 => "after 1 call of the instance".to_owned(),
        calls => format!("after {calls} calls of the instance"),
    };
    format!(
        "call {number}, {before}: {} with {}; regions {:?}, descriptor at {}: {:?}; {} pages filled with {:#04x}",
        calls.join(", "),
        record::summary(&drawn.case),
        drawn.placed,
        drawn.address,
        drawn.descriptor,
        drawn.invocation.pages,
        drawn.fill
    )
}

fn difference(right: &Answer, wrong: &Answer) -> String {
    match (right, wrong) {
        (Answer::Stopped(right), Answer::Stopped(wrong)) => {
            format!("failed to {wrong} in place of: failed to {right}")
        }
        (Answer::Stopped(right), Answer::Returned { calls, .. }) => {
            format!("returned {calls:?} where the original failed to {right}")
        }
        (Answer::Returned { calls, .. }, Answer::Stopped(wrong)) => {
            format!("failed to {wrong} where the original returned {calls:?}")
        }
        (
            Answer::Returned {
                calls: right_calls,
                output: right_output,
                frame: right_frame,
                pages: right_pages,
            },
            Answer::Returned {
                calls,
                output,
                frame,
                pages,
            },
        ) => {
            let differs = |a: &[u8], b: &[u8]| a.iter().zip(b).position(|(a, b)| a != b);
            if right_calls != calls {
                format!("returned {calls:?} where the original returned {right_calls:?}")
            } else if let Some(at) = differs(right_output, output) {
                format!(
                    "byte {at} of the output is {:#04x} where the original gives {:#04x}",
                    output[at], right_output[at]
                )
            } else if right_pages != pages {
                format!("memory has {pages} pages, with the original {right_pages}")
            } else if right_frame != frame {
                "memory outside output and scratch differs".to_owned()
            } else {
                "the output's size differs".to_owned()
            }
        }
    }
}
