//! One call: the kernel, and who answers in its place.

use crate::{
    error::{Reason, ServeError},
    event::Event,
    fallback::{Gave, OnFailure, ask},
    generation::Generation,
    host::{Active, Cause, Inner},
    live::{Caller, Shape},
    slot::{Path, Slot},
    tensors::Owned,
};
use kernel_abi::Status;
use kernel_pack::Fallback;
use runtime_api::Trap;
use runtime_call::{CallError, Sizes, Tensor};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

impl Inner {
    /// Serves a call on what is active now: who answered, and the generation. Errors are boxed, as on all of this way.
    pub(crate) fn serve(
        &self,
        kernel: &str,
        shape: &Shape<'_>,
        caller: &mut dyn Caller,
    ) -> Result<(Path, u64), Box<ServeError>> {
        let active = self.active.load();
        let Some(active) = active.as_ref() else {
            return Err(ServeError::NothingActive.into());
        };
        let Some(slot) = active.current.slot(kernel) else {
            return Err(ServeError::UnknownKernel(kernel.to_owned()).into());
        };
        self.calls.add_one();
        let handles = slot.handles();
        let started = handles.and_then(|handles| handles.start());
        let error = match slot.is_tried() {
            false => None,
            true => match slot.serve(shape, caller) {
                Ok(()) => {
                    if slot.switch.served() {
                        self.recovered(slot, &active.current);
                    }
                    if let Some(handles) = handles {
                        handles.served(started);
                    }
                    return Ok((Path::Kernel, active.current.number));
                }
                Err(error) => Some(*error),
            },
        };
        self.not_served(active, slot, shape, caller, error)
            .map_err(Box::new)
    }

    #[cold]
    fn recovered(&self, slot: &Slot, generation: &Generation) {
        tracing::info!(
            kernel = slot.kernel,
            generation = generation.number,
            "a kernel that was resting served again"
        );
        self.emit(&Event::Recovered {
            kernel: slot.kernel.clone(),
            generation: generation.number,
        });
    }

    /// What follows when a kernel did not serve, in this order: the log, somebody else's answer, the counts, and what the failure means for the
    /// kernel and its pack. Its instance is gone already. Without an error the kernel was not tried.
    #[cold]
    fn not_served(
        &self,
        active: &Arc<Active>,
        slot: &Arc<Slot>,
        shape: &Shape<'_>,
        caller: &mut dyn Caller,
        error: Option<CallError>,
    ) -> Result<(Path, u64), ServeError> {
        let generation = active.current.number;
        if let Some(CallError::Place(error)) = error {
            // The caller's mistake: nothing was run.
            self.count(slot, Reason::Caller, false);
            return Err(ServeError::Place(error));
        }
        if let Some(error) = &error {
            log(slot, generation, shape, error);
        }
        let answer = self.somebody_else(active, slot, shape, caller);
        let refused = error.as_ref().is_some_and(is_refusal);
        let reason = match &error {
            None => Reason::Breaker,
            Some(_) if refused && answer.is_err() => Reason::Caller,
            Some(error) => Reason::of(error),
        };
        self.count(slot, reason, answer.is_ok());
        let kernel = slot.kernel.clone();
        let event = match &answer {
            Ok(_) => Event::Degraded {
                kernel,
                generation,
                reason,
            },
            Err(_) => Event::Failed {
                kernel,
                generation,
                reason,
            },
        };
        self.emit(&event);
        if reason != Reason::Caller {
            self.count_against(active, slot, error.is_some());
        }
        answer
            .map(|path| (path, generation))
            .map_err(|fallback| unserved(slot, generation, reason, error, fallback))
    }

    /// Counts a call that the kernel did not serve, and whether somebody else did.
    fn count(&self, slot: &Slot, reason: Reason, answered: bool) {
        let count = match answered {
            true => &self.degraded,
            false => &self.unserved,
        };
        count.fetch_add(1, Ordering::Relaxed);
        match slot.handles() {
            Some(handles) if answered => handles.degraded(reason),
            Some(handles) => handles.failed(reason),
            None => {}
        }
    }

    /// What a failure means for the kernel and its pack.
    fn count_against(&self, active: &Active, slot: &Slot, was_tried: bool) {
        let generation = active.current.number;
        if was_tried && slot.switch.failed() {
            tracing::warn!(
                kernel = slot.kernel,
                generation,
                "a kernel failed so often that it is not tried for a while"
            );
            self.emit(&Event::Resting {
                kernel: slot.kernel.clone(),
                generation,
            });
        }
        // Calls of a kernel that rests count too, or resting would hide what a rollback mends.
        let rise = active
            .current
            .failures
            .note(Instant::now(), self.calls.sum());
        if let Some(reason) = rise {
            // There may be nothing to go back to, or somebody else was quicker.
            if let Err(error) = self.roll_back(Cause::Failures(generation, &reason)) {
                tracing::warn!(generation, reason, %error, "failures rise, and there is no way back");
            }
        }
    }

    /// Who answers by policy; or what became of asking.
    fn somebody_else(
        &self,
        active: &Active,
        slot: &Slot,
        shape: &Shape<'_>,
        caller: &mut dyn Caller,
    ) -> Result<Path, Option<String>> {
        let other = match self.settings.on_failure {
            OnFailure::Refuse => return Err(None),
            OnFailure::Native => match &slot.fallback {
                Some(Fallback::Kernel(id)) => {
                    let other = active.current.slot(id);
                    other.map(|other| (other, Path::PackFallback))
                }
                _ => None,
            },
            OnFailure::Previous => {
                let previous = active.previous.as_ref();
                let other = previous.and_then(|(previous, _)| previous.slot(&slot.kernel));
                other.map(|other| (other, Path::Previous))
            }
        };
        if let Some((other, path)) = other {
            match other.serve(shape, caller) {
                Ok(()) => return Ok(path),
                Err(error) => log(other, active.current.number, shape, &error),
            }
        }
        let owned = Owned::of(shape, caller);
        match ask(
            self.settings.native.as_deref(),
            &slot.kernel,
            &owned.tensors(),
        ) {
            Gave::Output(output) if output.len() == shape.sizes.output as usize => {
                caller.read(Tensor::Output, &output);
                Ok(Path::Native)
            }
            Gave::Output(output) => Err(Some(format!(
                "the application's native form gave {} bytes in place of {}",
                output.len(),
                shape.sizes.output
            ))),
            Gave::Refused(status) => Err(Some(format!(
                "the application's native form refuses the tensors too: {}",
                status.name()
            ))),
            Gave::Nothing(what) => Err(Some(what)),
        }
    }
}

/// Whether a kernel says that the call is wrong: the statuses that the ABI has for it, all but INTERNAL_ERROR.
fn is_refusal(error: &CallError) -> bool {
    match error {
        CallError::Kernel(Trap::KernelStatus { code }) => {
            *code != Status::INTERNAL_ERROR.0
                && Status::ALL.iter().any(|(known, _)| known.0 == *code)
        }
        _ => false,
    }
}

fn unserved(
    slot: &Slot,
    generation: u64,
    reason: Reason,
    error: Option<CallError>,
    fallback: Option<String>,
) -> ServeError {
    let kernel = slot.kernel.clone();
    match error {
        Some(error) => ServeError::Failed {
            kernel,
            generation,
            reason,
            error,
            fallback,
        },
        None => ServeError::Resting {
            kernel,
            generation,
            fallback,
        },
    }
}

fn log(slot: &Slot, generation: u64, shape: &Shape<'_>, error: &CallError) {
    tracing::warn!(
        kernel = slot.kernel,
        engine = slot.engine,
        generation,
        entry = slot.terms.entry,
        budget = ?slot.terms.budget,
        params = shape.params.len(),
        a = shape.sizes.a,
        b = shape.sizes.b,
        output = shape.sizes.output,
        scratch = shape.sizes.scratch,
        %error,
        "a kernel failed"
    );
}

/// A caller that fills and reads tensors where they lie.
pub(crate) struct InPlace<'f> {
    fill: &'f mut dyn FnMut(Tensor, &mut [u8]),
    take: &'f mut dyn FnMut(&[u8]),
}

impl<'f> InPlace<'f> {
    #[inline]
    pub(crate) fn new<'s>(
        params: &'s [u8],
        sizes: Sizes,
        updates: bool,
        fill: &'f mut dyn FnMut(Tensor, &mut [u8]),
        take: &'f mut dyn FnMut(&[u8]),
    ) -> (Shape<'s>, Self) {
        let shape = Shape {
            params,
            sizes,
            updates,
        };
        (shape, Self { fill, take })
    }
}

impl Caller for InPlace<'_> {
    fn fill(&mut self, tensor: Tensor, bytes: &mut [u8]) {
        (self.fill)(tensor, bytes);
    }

    fn read(&mut self, tensor: Tensor, bytes: &[u8]) -> bool {
        if tensor == Tensor::Output {
            (self.take)(bytes);
        }
        true
    }
}
