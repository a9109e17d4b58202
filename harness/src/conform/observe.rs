//! Runs one prepared case on one engine and notes what came back, without judging it.

use super::subject::{Placed, Prepared, Subject};
use assay_worker::{InstanceChoice, RunError, Worker, WorkerError};
use kernel_abi::{ABI_VERSION, Descriptor, FLAG_HAS_BACKWARD, KernelInfo, export};
use kernel_cases::{case::Case, truth};
use runtime_api::{Budget, BudgetKind, Error, Info, Limits, Options, TICK};
use runtime_host::{Call, Form, Invocation, Outcome, Read, Write};
use std::time::Duration;

/// What the harness allows a worker beyond the budgets of its calls, for moving memory and JSON on a loaded machine.
const ALLOWANCE: Duration = Duration::from_secs(10);
/// Fuel of a tick where an engine has fuel but no epochs and the manifest states no fuel: far above what a tick can burn.
const FUEL_PER_TICK: u64 = 100_000_000;

/// What came of a case on an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// How the first run ended.
    pub ended: Ended,
    /// Layer L6: the first violation of any run, or an output that depends on what output, scratch or an earlier call left.
    pub frame: Result<(), String>,
    /// An output that depends on the bits of a NaN.
    pub nan_bits: Option<String>,
    /// `kernel_init` or `kernel_cleanup` answered something else than 0, or the second run ended otherwise than the first.
    pub lifecycle: Result<(), String>,
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
}

/// A subject loaded into a worker.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    module: u64,
    budget: Budget,
    /// What the watchdog allows a run beyond budgets in time.
    allowance: Duration,
}

/// Loads a subject, with the budget of its manifest in the kind that the engine honours: time, else fuel, else none
/// and only the watchdog.
///
/// # Errors
/// The engine's refusal, or the worker's end.
pub fn load(worker: &mut Worker, subject: &Subject) -> Result<Loaded, RunError> {
    let budget = budget(worker.info(), subject);
    let options = options(subject, budget.kind());
    let in_time = TICK.saturating_mul(u32::try_from(subject.ticks).unwrap_or(u32::MAX));
    let module = match &subject.code {
        Some(code) => worker.load_code(&subject.wasm, code, &options)?,
        None => worker.load(&subject.wasm, &options)?,
    };
    if let Some(flags) = &subject.flags {
        worker.gather(module, &flags.export, flags.words, budget);
    }
    Ok(Loaded {
        module,
        budget,
        allowance: match budget {
            Budget::Epoch(_) => ALLOWANCE,
            Budget::Fuel(_) | Budget::None => ALLOWANCE.saturating_add(in_time),
        },
    })
}

/// How a subject is compiled, here and ahead of time.
pub fn options(subject: &Subject, metering: BudgetKind) -> Options {
    Options {
        limits: Limits {
            max_memory_pages: subject.max_pages,
            max_table_elements: subject.max_table_elements,
            max_stack_bytes: subject.max_stack_bytes,
        },
        metering,
    }
}

/// What a call of a subject may cost on an engine: time, else fuel, else nothing is counted and only the watchdog ends it.
pub fn budget(info: &Info, subject: &Subject) -> Budget {
    let can = |kind| info.capabilities.budgets.contains(&kind);
    if can(BudgetKind::Epoch) {
        Budget::Epoch(subject.ticks)
    } else if can(BudgetKind::Fuel) {
        Budget::Fuel(
            subject
                .fuel
                .unwrap_or(subject.ticks.saturating_mul(FUEL_PER_TICK)),
        )
    } else {
        Budget::None
    }
}

/// Runs a case: on a fresh instance, again on the same instance with another fill, and where the inputs hold NaNs on a
/// fresh instance with other NaNs.
pub fn observe(
    worker: &mut Worker,
    subject: &Subject,
    loaded: Loaded,
    prepared: &Prepared,
) -> Observed {
    let mut exchange = Exchange {
        worker,
        subject,
        loaded,
        case: &prepared.case,
    };
    let first = match exchange.run(&prepared.first, InstanceChoice::Fresh) {
        Ok(first) => first,
        Err(ended) => return unjudged(ended),
    };
    let mut frame = first.frame;
    let mut lifecycle = first.lifecycle;
    match exchange.run(&prepared.second, InstanceChoice::Same) {
        Ok(second) => {
            lifecycle = lifecycle.and(second.lifecycle);
            if second.status != first.status {
                lifecycle = lifecycle.and(Err(format!(
                    "the second call of an instance answered {} where the first answered {}",
                    second.status, first.status
                )));
            }
            frame = frame.and(second.frame);
            if first.status == 0
                && second.status == 0
                && let Some(mismatch) =
                    truth::bits_differ(&prepared.case, &first.output, &second.output)
            {
                frame = frame.and(Err(format!(
                    "the output depends on what scratch, output or an earlier call left: {mismatch}"
                )));
            }
        }
        // Of a worker that is gone nothing can be said, nor of what it did before.
        Err(ended @ Ended::Lost(_)) => return unjudged(ended),
        Err(ended) => {
            lifecycle = lifecycle.and(Err(format!(
                "the second call of an instance did not return: {}",
                describe(&ended)
            )));
        }
    }
    let other = prepared
        .other_nans
        .as_ref()
        .map(|other| exchange.run(other, InstanceChoice::Fresh));
    let nan_bits = match other {
        None => None,
        Some(Err(ended @ Ended::Lost(_))) => return unjudged(ended),
        Some(Ok(other)) if other.status != first.status => Some(format!(
            "the status depends on the bits of a NaN: {} became {}",
            first.status, other.status
        )),
        Some(Ok(other)) if first.status == 0 => {
            truth::bits_differ(&prepared.case, &first.output, &other.output)
                .map(|mismatch| format!("the output depends on the bits of a NaN: {mismatch}"))
        }
        Some(Ok(_)) => None,
        Some(Err(ended)) => Some(format!(
            "with other NaN bits the call did not return: {}",
            describe(&ended)
        )),
    };
    let output = (first.output != prepared.native.output).then_some(first.output);
    Observed {
        ended: Ended::Status {
            status: first.status,
            output,
        },
        frame,
        nan_bits,
        lifecycle,
    }
}

/// A case that did not return once.
fn unjudged(ended: Ended) -> Observed {
    Observed {
        ended,
        frame: Err("the call did not return, so memory was not checked".to_owned()),
        nan_bits: None,
        lifecycle: Ok(()),
    }
}

/// A run that returned a status.
struct Ran {
    status: i32,
    output: Vec<u8>,
    frame: Result<(), String>,
    lifecycle: Result<(), String>,
}

struct Exchange<'a> {
    worker: &'a mut Worker,
    subject: &'a Subject,
    loaded: Loaded,
    case: &'a Case,
}

impl Exchange<'_> {
    /// A fresh instance gets `kernel_init` before the entry, with the parameters where they are valid; one that is used
    /// again gets `kernel_cleanup` after it, because it is dropped next.
    fn run(&mut self, placed: &Placed, instance: InstanceChoice) -> Result<Ran, Ended> {
        let frame = &placed.frame;
        let call = |export: &str, arguments: Vec<u32>| Call {
            export: export.to_owned(),
            arguments,
            budget: self.loaded.budget,
        };
        let entry = call(
            self.subject.export(self.case.entry),
            vec![frame.descriptor_address()],
        );
        let (calls, entry_index) = match instance {
            InstanceChoice::Fresh => {
                let params = frame.placed().params;
                let arguments = if self.case.expects_output() {
                    vec![params.offset, params.size]
                } else {
                    vec![0, 0]
                };
                (vec![call(export::INIT, arguments), entry], 1)
            }
            InstanceChoice::Same => (vec![entry, call(export::CLEANUP, Vec::new())], 0),
        };
        let end = frame.end() as u32;
        let mut writes = vec![Write::Bytes {
            at: frame.start(),
            bytes: frame.image().to_vec(),
        }];
        let mut reads = vec![Read {
            at: frame.start(),
            length: frame.image().len() as u32,
            form: Form::Bytes,
        }];
        if placed.tail > 0 {
            writes.push(Write::Fill {
                at: end,
                length: placed.tail,
                fill: frame.fill().tail,
            });
            reads.push(Read {
                at: end,
                length: placed.tail,
                form: Form::Sha256,
            });
        }
        let invocation = Invocation {
            pages: placed.pages,
            writes,
            calls,
            reads,
        };
        let observation = self
            .worker
            .run(
                self.loaded.module,
                instance,
                self.loaded.budget,
                invocation,
                self.loaded.allowance,
            )
            .map_err(|error| match error {
                RunError::Engine(error) => Ended::Stopped(error),
                RunError::Worker(error) => Ended::Lost(lost(&error)),
            })?;
        let mut returned = Vec::with_capacity(observation.calls.len());
        for outcome in observation.calls {
            match outcome {
                Outcome::Returned(value) => returned.push(value),
                Outcome::Failed(error) => return Err(Ended::Stopped(error)),
            }
        }
        let status = returned[entry_index];
        let other = returned[1 - entry_index];
        let lifecycle = if other == 0 {
            Ok(())
        } else {
            let name = match instance {
                InstanceChoice::Fresh => export::INIT,
                InstanceChoice::Same => export::CLEANUP,
            };
            Err(format!("`{name}` answered {other} where 0 is due"))
        };
        let mut reads = observation.reads.into_iter();
        let after = reads.next().map(|read| read.0).unwrap_or_default();
        let mut frame_check = frame
            .check(&after, status == 0)
            .map_err(|violation| violation.to_string());
        if placed.tail > 0 && reads.next().is_none_or(|read| read.0 != placed.tail_digest) {
            frame_check = frame_check.and(Err(format!(
                "memory behind the last guard band changed (at or after address {end})"
            )));
        }
        // A worker that reads back too little has failed the frame check above; there is no output to cut out then.
        let output = if after.len() == frame.image().len() {
            frame.output(&after).to_vec()
        } else {
            Vec::new()
        };
        Ok(Ran {
            status,
            output,
            frame: frame_check,
            lifecycle,
        })
    }
}

/// Checks of the module itself, for which no tensors are placed: `kernel_info`, and descriptors that cannot be read.
/// Answers what is wrong, if anything is.
///
/// # Errors
/// How a call ended that did not return.
pub fn observe_module(
    worker: &mut Worker,
    subject: &Subject,
    loaded: Loaded,
    gradient: bool,
) -> Result<Option<String>, Ended> {
    let memory_bytes = |pages: u32| u64::from(pages) * kernel_abi::PAGE_BYTES;
    let out = subject.heap_base.next_multiple_of(16);
    let needed = u64::from(out) + KernelInfo::SIZE as u64;
    let pages = subject
        .minimum_pages
        .max(u32::try_from(needed.div_ceil(kernel_abi::PAGE_BYTES)).unwrap_or(u32::MAX));
    let mut call = |export: &str, argument: u32, reads: Vec<Read>| {
        let invocation = Invocation {
            pages,
            writes: Vec::new(),
            calls: vec![Call {
                export: export.to_owned(),
                arguments: vec![argument],
                budget: loaded.budget,
            }],
            reads,
        };
        let observation = worker
            .run(
                loaded.module,
                InstanceChoice::Fresh,
                loaded.budget,
                invocation,
                loaded.allowance,
            )
            .map_err(|error| match error {
                RunError::Engine(error) => Ended::Stopped(error),
                RunError::Worker(error) => Ended::Lost(lost(&error)),
            })?;
        match observation.calls.into_iter().next() {
            Some(Outcome::Returned(status)) => {
                let read = observation.reads.into_iter().next();
                Ok((status, read.map(|read| read.0).unwrap_or_default()))
            }
            Some(Outcome::Failed(error)) => Err(Ended::Stopped(error)),
            None => Err(Ended::Lost("no call was made".to_owned())),
        }
    };
    let bytes_at = |at: u32, length: u32| Read {
        at,
        length,
        form: Form::Bytes,
    };

    let (status, bytes) = call(
        export::INFO,
        out,
        vec![bytes_at(out, KernelInfo::SIZE as u32)],
    )?;
    if status != 0 {
        return Ok(Some(format!(
            "`kernel_info` answered {status} where 0 is due"
        )));
    }
    let Ok(bytes) = <[u8; KernelInfo::SIZE]>::try_from(bytes) else {
        return Ok(Some(
            "what `kernel_info` wrote could not be read back".to_owned(),
        ));
    };
    let info = KernelInfo::from_le_bytes(&bytes);
    if info.name_len as usize != subject.kernel.len() {
        return Ok(Some(format!(
            "`kernel_info` states a name of {} bytes, the id has {}",
            info.name_len,
            subject.kernel.len()
        )));
    }
    let (_, name) = call(
        export::INFO,
        out,
        vec![bytes_at(info.name_ptr, info.name_len)],
    )?;
    if name != subject.kernel.as_bytes() {
        return Ok(Some(format!(
            "`kernel_info` states the name {:?}",
            String::from_utf8_lossy(&name)
        )));
    }
    if info.abi_version != ABI_VERSION {
        return Ok(Some(format!(
            "`kernel_info` states ABI version {} where {ABI_VERSION} is due",
            info.abi_version
        )));
    }
    if (info.flags & FLAG_HAS_BACKWARD != 0) != gradient {
        return Ok(Some(format!(
            "`kernel_info` states flags {:#x}, but this kernel {} a gradient",
            info.flags,
            if gradient { "has" } else { "has not" }
        )));
    }
    // A memory of 4 GiB ends at address 0.
    let end = memory_bytes(pages) as u32;
    for address in [end.wrapping_sub(16), end, u32::MAX - 15, u32::MAX] {
        let (status, _) = call(&subject.entry_point, address, Vec::new())?;
        if status != 1 {
            return Ok(Some(format!(
                "a descriptor at {address}, whose {} bytes do not lie in memory, gave status {status} where 1 is due",
                Descriptor::SIZE
            )));
        }
    }
    Ok(None)
}

/// A run that did not return, in words.
pub fn describe(ended: &Ended) -> String {
    match ended {
        Ended::Status { status, .. } => format!("status {}", kernel_abi::Status(*status)),
        Ended::Stopped(error) => format!("failed to {error}"),
        Ended::Lost(reason) => reason.clone(),
    }
}

fn lost(error: &WorkerError) -> String {
    format!("failed to {error}")
}
