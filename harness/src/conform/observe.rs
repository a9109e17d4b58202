//! Runs one prepared case on one engine and notes what came back, without judging it.

mod loading;

pub use loading::{Loaded, budget, load, load_with, options};

use super::{
    placement::Place,
    sequence::{LARGE_FOR_INTERPRETERS, bytes},
    subject::{self, Around, Placed, Prepared, Subject},
};
use assay_worker::{InstanceChoice, RunError, Worker, WorkerError};
use kernel_abi::export;
use kernel_cases::{case::Case, truth};
use runtime_api::{Error, Kind, Trap};
use runtime_call::{Call, Form, Invocation, Observation, Outcome, Read, Write};

/// What came of a case on an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// How the first run ended.
    pub ended: Ended,
    /// Layer L6: the first violation of any run, or an output that depends on where the regions lie and what is around and in them.
    pub frame: Result<(), String>,
    /// What scratch does not hold, though the contract promises it.
    pub scratch: Result<(), String>,
    /// An output that depends on the bits of a NaN.
    pub nan_bits: Option<String>,
    /// `kernel_init` or `kernel_cleanup` answered something else than 0, or the second run ended otherwise than the first.
    pub lifecycle: Result<(), String>,
    /// Whether the case was run at all.
    pub ran: bool,
    /// Whether it was run once only, where ordinary calls lie: what else is asked of it was left to engines that compile.
    pub once: bool,
}

/// What a fresh instance makes of a case at its drawn place: what the same call has to give in whatever instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Alone {
    /// The status.
    pub status: i32,
    /// The output region after the call.
    pub output: Vec<u8>,
    /// Scratch after the call.
    pub scratch: Vec<u8>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// The entry returned a status.
    Status {
        /// The status.
        status: i32,
        /// The output region; `None` if it is the native build's to the bit.
        output: Option<Vec<u8>>,
    },
    /// The engine stopped it or refused it.
    Stopped(Error),
    /// The worker was lost, or the harness could not tell.
    Lost(String),
    /// It says nothing of the kernel, for this reason.
    NotAsked(&'static str),
}

/// Runs a case on fresh instances: where ordinary calls lie; at its drawn place with other fills and without parameters for
/// `kernel_init`; and where the inputs hold NaNs with other NaNs. Besides what was seen, what the second run gave, if it returned.
pub(super) fn observe(
    mut exchange: Exchange<'_>,
    prepared: &Prepared,
) -> (Observed, Option<Alone>) {
    let case = &prepared.case;
    let first = match exchange.fresh(case, &prepared.first, Init::Own, false) {
        Ok(first) => first,
        Err(ended) => return (unjudged(ended), None),
    };
    let mut frame = first.frame;
    let mut lifecycle = first.lifecycle;
    let mut scratch = promised(case, first.status, &first.scratch);
    if exchange.leaves_out(case) {
        let observed = returned(prepared, first.status, first.output);
        return (
            Observed {
                frame,
                scratch,
                lifecycle,
                once: true,
                ..observed
            },
            None,
        );
    }
    let second = match exchange.placed(case, &prepared.second) {
        Ok(second) => second,
        Err(ended) => return (unjudged(ended), None),
    };
    let mut alone = None;
    match exchange.fresh(case, &second, Init::None, true) {
        Ok(second) => {
            lifecycle = lifecycle.and(second.lifecycle);
            if second.status != first.status {
                lifecycle = lifecycle.and(Err(format!(
                    "placed otherwise, and `kernel_init` without parameters, it answered {} where it first answered {}",
                    second.status, first.status
                )));
            }
            frame = frame.and(second.frame);
            if first.status == 0
                && second.status == 0
                && let Some(mismatch) = truth::bits_differ(case, &first.output, &second.output)
            {
                frame = frame.and(Err(format!(
                    "the output depends on where the regions lie, on what scratch, output or memory around them held, or on the parameters of \
                     `kernel_init`: {mismatch}"
                )));
            }
            scratch = scratch.and(promised(case, second.status, &second.scratch));
            alone = Some(Alone {
                status: second.status,
                output: second.output,
                scratch: second.scratch,
            });
        }
        // Of a worker that is gone nothing can be said, nor of what it did before.
        Err(ended @ Ended::Lost(_)) => return (unjudged(ended), None),
        Err(ended) => {
            lifecycle = lifecycle.and(Err(format!(
                "placed otherwise, and `kernel_init` without parameters, the call did not return: {}",
                describe(&ended)
            )));
        }
    }
    let other = truth::flip_nans(case).map(|other| {
        let place = Place::ordinary(&other, exchange.subject);
        let placed = exchange.placed(&other, &place)?;
        exchange.fresh(&other, &placed, Init::Own, false)
    });
    let nan_bits = match other {
        None => None,
        Some(Err(ended @ Ended::Lost(_))) => return (unjudged(ended), None),
        Some(Ok(other)) if other.status != first.status => Some(format!(
            "the status depends on the bits of a NaN: {} became {}",
            first.status, other.status
        )),
        Some(Ok(other)) if first.status == 0 => {
            truth::bits_differ(case, &first.output, &other.output)
                .map(|mismatch| format!("the output depends on the bits of a NaN: {mismatch}"))
        }
        Some(Ok(_)) => None,
        Some(Err(ended)) => Some(format!(
            "with other NaN bits the call did not return: {}",
            describe(&ended)
        )),
    };
    let observed = returned(prepared, first.status, first.output);
    let observed = Observed {
        frame,
        scratch,
        nan_bits,
        lifecycle,
        ..observed
    };
    (observed, alone)
}

/// A case that returned, without what other runs of it say.
fn returned(prepared: &Prepared, status: i32, output: Vec<u8>) -> Observed {
    let output = match &prepared.native {
        Some(native) if native.output == output => None,
        _ => Some(output),
    };
    Observed {
        ended: Ended::Status { status, output },
        frame: Ok(()),
        scratch: Ok(()),
        nan_bits: None,
        lifecycle: Ok(()),
        ran: true,
        once: false,
    }
}

fn promised(case: &Case, status: i32, scratch: &[u8]) -> Result<(), String> {
    let broken = (status == 0).then(|| truth::breaks_promise(case, scratch));
    match broken.flatten() {
        Some(mismatch) => Err(format!("scratch: {mismatch}")),
        None => Ok(()),
    }
}

/// Runs a case once, where ordinary calls lie, and notes how it ended: for those who look at many and judge few.
pub(super) fn once(mut exchange: Exchange<'_>, prepared: &Prepared) -> Ended {
    match exchange.fresh(&prepared.case, &prepared.first, Init::Own, false) {
        Ok(ran) => Ended::Status {
            status: ran.status,
            output: Some(ran.output),
        },
        Err(ended) => ended,
    }
}

/// A case that did not return once.
fn unjudged(ended: Ended) -> Observed {
    Observed {
        ended,
        frame: Err("the call did not return, so memory was not checked".to_owned()),
        scratch: Ok(()),
        nan_bits: None,
        lifecycle: Ok(()),
        ran: true,
        once: false,
    }
}

/// A case that nobody ran, or that was lost with its worker.
pub(super) fn lost_case(reason: String, ran: bool) -> Observed {
    Observed {
        ended: Ended::Lost(reason.clone()),
        frame: Err(reason),
        scratch: Ok(()),
        nan_bits: None,
        lifecycle: Ok(()),
        ran,
        once: false,
    }
}

/// A run that returned a status.
struct Ran {
    status: i32,
    output: Vec<u8>,
    scratch: Vec<u8>,
    frame: Result<(), String>,
    lifecycle: Result<(), String>,
}

/// What `kernel_init` is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Init {
    /// The parameters of the case, where they are valid.
    Own,
    /// No parameters.
    None,
}

/// A worker with a module in it.
pub(super) struct Exchange<'a> {
    pub(super) worker: &'a mut Worker,
    pub(super) subject: &'a Subject,
    pub(super) loaded: Loaded,
    /// Counts calls that used up what they may take.
    pub(super) used_up: &'a mut u32,
}

impl Exchange<'_> {
    /// Whether the engine interprets, so that large calls take long.
    pub(super) fn interprets(&self) -> bool {
        self.worker.info().kind == Kind::Interpreter
    }

    /// Whether more than one call of a case is left to engines that compile.
    pub(super) fn leaves_out(&self, case: &Case) -> bool {
        self.interprets() && bytes(case) > LARGE_FOR_INTERPRETERS
    }

    /// A call under the subject's budget.
    pub(super) fn call(&self, export: &str, arguments: Vec<u32>) -> Call {
        Call {
            export: export.to_owned(),
            arguments,
            budget: self.loaded.budget,
        }
    }

    /// Carries an invocation out.
    ///
    /// # Errors
    /// How it ended if a call did not return, or none was made.
    pub(super) fn run(
        &mut self,
        instance: InstanceChoice,
        invocation: Invocation,
    ) -> Result<(Vec<i32>, Observation), Ended> {
        let Loaded {
            module,
            budget,
            allowance,
        } = self.loaded;
        let mut observation = self
            .worker
            .run(module, instance, budget, invocation, allowance)
            .map_err(|error| match error {
                RunError::Engine(error) => self.stopped(error),
                RunError::Worker(error) => {
                    *self.used_up += u32::from(matches!(error, WorkerError::TimedOut { .. }));
                    Ended::Lost(format!("failed to {error}"))
                }
            })?;
        let calls = std::mem::take(&mut observation.calls);
        let mut returned = Vec::with_capacity(calls.len());
        for outcome in calls {
            match outcome {
                Outcome::Returned(value) => returned.push(value),
                Outcome::Failed(error) => return Err(self.stopped(error)),
            }
        }
        Ok((returned, observation))
    }

    fn stopped(&mut self, error: Error) -> Ended {
        let of_time = |trap: &Trap| matches!(trap, Trap::EpochDeadline | Trap::FuelExhausted);
        if let Error::Trap { trap, .. } = &error {
            *self.used_up += u32::from(of_time(trap));
        }
        Ended::Stopped(error)
    }

    fn placed(&self, case: &Case, place: &Place) -> Result<Placed, Ended> {
        subject::place(case, self.subject, place)
            .map_err(|error| Ended::Lost(format!("failed to {error}")))
    }

    /// Runs a case on a fresh instance: `kernel_init`, the entry, and `kernel_cleanup` if it is dropped next.
    fn fresh(
        &mut self,
        case: &Case,
        placed: &Placed,
        init: Init,
        cleanup: bool,
    ) -> Result<Ran, Ended> {
        let frame = &placed.frame;
        let params = frame.placed().params;
        let arguments = match init {
            Init::Own if case.expects_output() => vec![params.offset, params.size],
            Init::Own | Init::None => vec![0, 0],
        };
        let entry = self.subject.export(case.entry);
        let mut calls = vec![
            self.call(export::INIT, arguments),
            self.call(entry, vec![frame.descriptor_address()]),
        ];
        if cleanup {
            calls.push(self.call(export::CLEANUP, Vec::new()));
        }
        let mut writes = vec![Write::Bytes {
            at: frame.start(),
            bytes: frame.image().to_vec(),
        }];
        let mut reads = vec![Read {
            at: frame.start(),
            length: frame.image().len() as u32,
            form: Form::Bytes,
        }];
        let around = around(placed);
        let digest = self.worker.digest_form();
        for (_, around) in &around {
            writes.push(Write::Fill {
                at: around.at,
                length: around.length,
                fill: around.byte,
            });
            reads.push(Read {
                at: around.at,
                length: around.length,
                form: digest,
            });
        }
        let invocation = Invocation {
            pages: placed.pages,
            writes,
            calls,
            reads,
        };
        let (returned, observation) = self.run(InstanceChoice::Fresh, invocation)?;
        let status = returned[1];
        let others = [
            (export::INIT, Some(&returned[0])),
            (export::CLEANUP, returned.get(2)),
        ];
        let lifecycle = others
            .into_iter()
            .find_map(|(name, answer)| {
                let answer = *answer.filter(|answer| **answer != 0)?;
                Some(format!("`{name}` answered {answer} where 0 is due"))
            })
            .map_or(Ok(()), Err);
        let mut reads = observation.reads.into_iter();
        let after = reads.next().map(|read| read.0).unwrap_or_default();
        let around = around.iter().map(|(name, around)| {
            let same = reads
                .next()
                .is_some_and(|read| read.0 == around.digest(digest));
            let at = around.at;
            match same {
                true => Ok(()),
                false => Err(format!("memory {name} changed (at or after address {at})")),
            }
        });
        let frame_check = frame
            .check(&after, status == 0)
            .map_err(|violation| violation.to_string());
        let frame_check = around.fold(frame_check, Result::and);
        let frame_check = frame_check.and(same_size(placed.pages, observation.pages));
        // A worker that reads back too little has failed the frame check above; there is no output to cut out then.
        let (output, scratch) = if after.len() == frame.image().len() {
            (
                frame.output(&after).to_vec(),
                frame.scratch(&after).to_vec(),
            )
        } else {
            (Vec::new(), Vec::new())
        };
        Ok(Ran {
            status,
            output,
            scratch,
            frame: frame_check,
            lifecycle,
        })
    }
}

/// Memory around a frame that a case has filled, and where that is.
fn around(placed: &Placed) -> Vec<(&'static str, &Around)> {
    let all = [
        (
            "between the heap base and the first guard band",
            &placed.head,
        ),
        ("behind the last guard band", &placed.tail),
    ];
    let filled = all.into_iter().filter(|(_, around)| around.length > 0);
    filled.collect()
}

/// A kernel grows no memory.
pub(super) fn same_size(before: u32, after: u32) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    Err(format!(
        "memory had {before} pages before the call and has {after} after it"
    ))
}

/// A run that did not return, in words.
pub fn describe(ended: &Ended) -> String {
    match ended {
        Ended::Status { status, .. } => format!("status {}", kernel_abi::Status(*status)),
        Ended::Stopped(error) => format!("failed to {error}"),
        Ended::Lost(reason) => reason.clone(),
        Ended::NotAsked(reason) => (*reason).to_owned(),
    }
}
