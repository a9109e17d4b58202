//! Deadlines by fuel slices: wasmi cannot be interrupted, but a call that runs out of fuel can be resumed.

use crate::limiter::Limiter;
use std::time::{Duration, Instant};
use wasmi::{Error, Store, TrapCode, TypedFunc, TypedResumableCall, WasmParams};

/// How long a slice should last: the clock is asked this often.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// Fuel of the first slice: well below [`ASK_EVERY`] on any machine.
const FIRST_SLICE: u64 = 10_000;

/// How a call under a deadline ended other than well.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The deadline passed.
    Deadline,
    /// wasmi's own error.
    Error(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Error(error)
    }
}

/// Fuel that lasts for about [`ASK_EVERY`], as found out while running.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice(u64);

impl Default for Slice {
    fn default() -> Self {
        Self(FIRST_SLICE)
    }
}

impl Slice {
    /// Adapts to how long this slice lasted; at most doubles, so that one cheap stretch of code does not make the
    /// next slice a long one.
    fn adapt(&mut self, elapsed: Duration) {
        let nanoseconds = elapsed.as_nanos().max(1);
        let wanted = u128::from(self.0) * ASK_EVERY.as_nanos() / nanoseconds;
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        self.0 = wanted.clamp(1, self.0.saturating_mul(2));
    }
}

/// Calls a function and resumes it slice by slice until it ends or the deadline has passed.
pub(crate) fn call<P: WasmParams>(
    store: &mut Store<Limiter>,
    function: TypedFunc<P, i32>,
    parameters: P,
    deadline: Instant,
    slice: &mut Slice,
) -> Result<i32, Ended> {
    let mut started = Instant::now();
    store.set_fuel(slice.0)?;
    let mut state = function.call_resumable(&mut *store, parameters)?;
    loop {
        match state {
            TypedResumableCall::Finished(result) => return Ok(result),
            TypedResumableCall::OutOfFuel(call) => {
                let now = Instant::now();
                if now >= deadline {
                    return Err(Ended::Deadline);
                }
                slice.adapt(now - started);
                started = now;
                // A single instruction, a large memory.fill for example, may need more than a slice.
                store.set_fuel(slice.0.max(call.required_fuel()))?;
                state = call.resume(&mut *store)?;
            }
            // Modules have no imports, so there is no host function that could fail.
            TypedResumableCall::HostTrap(call) => {
                return Err(Ended::Error(Error::new(call.host_error().to_string())));
            }
        }
    }
}

/// Instantiates under a deadline.
///
/// A start function cannot be resumed. Nothing outside the instance sees what it did, so one that runs out of fuel is
/// run again from the beginning in a fresh store, with twice the fuel or with what the remaining time allows.
/// A start function therefore has at least half of the time for its last run.
pub(crate) fn instantiate<T>(
    deadline: Instant,
    mut attempt: impl FnMut(u64) -> Result<T, Error>,
) -> Result<T, Ended> {
    let mut fuel = FIRST_SLICE;
    loop {
        let started = Instant::now();
        match attempt(fuel) {
            Err(error) if error.as_trap_code() == Some(TrapCode::OutOfFuel) => {}
            other => return Ok(other?),
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(Ended::Deadline);
        }
        let elapsed = (now - started).as_nanos().max(1);
        let left = u128::from(fuel) * (deadline - now).as_nanos() / elapsed;
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        fuel = left.clamp(FIRST_SLICE, fuel.saturating_mul(2));
    }
}
