//! Deadlines by fuel slices: wasmi cannot be interrupted, but a call that runs out of fuel can be resumed.

use crate::{guest, limiter::Limiter};
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
            // Kernels have no imports: a function of a guest's embedder ends the call.
            TypedResumableCall::HostTrap(call) => {
                let error = call.host_error();
                return Err(Ended::Error(match error.downcast_ref::<guest::Ended>() {
                    Some(ended) => Error::host(ended.clone()),
                    None => Error::new(error.to_string()),
                }));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::config;
    use runtime_api::{BudgetKind, Limits, Options};
    use wasmi::{Engine, Instance, Linker, Module};

    /// Loops, calls, memory, bulk operations and floats, so that slices end in the middle of each of them.
    const WORK: &str = r#"(module
      (memory (export "memory") 1)
      (table $table 64 funcref)
      (elem $functions func $mix $mix $mix $mix)
      (type $mixes (func (param i32 f64) (result i32)))
      (func $mix (type $mixes)
        (i32.rotl
          (i32.add (local.get 0) (i32.trunc_sat_f64_s (f64.mul (local.get 1) (f64.const 1.5))))
          (i32.const 7)))
      (func (export "work") (param $rounds i32) (param $seed i32) (result i32)
        (local $sum i32) (local $float f64) (local $wide i64) (local $vector v128)
        (local.set $sum (local.get $seed))
        (local.set $vector (i32x4.splat (local.get $seed)))
        (drop (memory.grow (i32.const 2)))
        (table.init $table $functions (i32.const 0) (i32.const 0) (i32.const 4))
        (loop $again
          (local.set $float (f64.add (local.get $float) (f64.sqrt (f64.convert_i32_u (local.get $sum)))))
          (local.set $wide (i64.add (i64.mul (local.get $wide) (i64.const 31)) (i64.extend_i32_u (local.get $sum))))
          (local.set $vector (i32x4.add (local.get $vector) (i32x4.mul (local.get $vector) (local.get $vector))))
          (memory.fill (i32.const 100) (local.get $sum) (i32.const 20000))
          (memory.copy (i32.const 70000) (i32.const 90) (i32.const 20000))
          (table.fill $table (i32.const 4) (table.get $table (i32.const 1)) (i32.const 60))
          (table.copy $table $table (i32.const 8) (i32.const 0) (i32.const 40))
          (local.set $sum
            (call_indirect $table (type $mixes)
              (i32.xor (local.get $sum) (i32.load (i32.add (i32.const 70000) (local.get $rounds))))
              (local.get $float)
              (i32.and (local.get $rounds) (i32.const 31))))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (i32.xor
          (i32.xor (local.get $sum) (i32.wrap_i64 (local.get $wide)))
          (i32.xor (i32x4.extract_lane 2 (local.get $vector)) (i32.wrap_i64 (i64.reinterpret_f64 (local.get $float)))))))"#;

    fn work(metering: BudgetKind) -> (Store<Limiter>, TypedFunc<(u32, u32), i32>) {
        let (store, instance) = instance(WORK, metering);
        let function = instance.get_typed_func(&store, "work").unwrap();
        (store, function)
    }

    fn instance(text: &str, metering: BudgetKind) -> (Store<Limiter>, Instance) {
        let engine = Engine::new(&config(&Options {
            limits: Limits::default(),
            metering,
        }));
        let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let mut store = Store::new(&engine, Limiter::new(&Limits::default()));
        store.limiter(|limiter| limiter);
        if metering != BudgetKind::None {
            store.set_fuel(1_000_000).unwrap();
        }
        let linker = Linker::new(&engine);
        let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
        (store, instance)
    }

    #[test]
    fn slices_of_any_size_give_the_result_of_a_whole_run() {
        let (mut store, function) = work(BudgetKind::None);
        let expected = function.call(&mut store, (300, 12345)).unwrap();
        for fuel in [1, 2, 3, 10, 100, 1000, 10_000] {
            let (mut store, function) = work(BudgetKind::Epoch);
            let deadline = Instant::now() + Duration::from_secs(60);
            let mut slice = Slice(fuel);
            let result = call(&mut store, function, (300, 12345), deadline, &mut slice);
            assert_eq!(result.unwrap(), expected, "slices of {fuel}");
        }
    }

    #[test]
    fn a_slice_doubles_at_most_and_is_never_empty() {
        let mut slice = Slice(1000);
        slice.adapt(Duration::ZERO);
        assert_eq!(slice.0, 2000);
        slice.adapt(Duration::from_millis(4));
        assert_eq!(slice.0, 500);
        slice.adapt(Duration::from_secs(3600));
        assert_eq!(slice.0, 1);
        let mut slice = Slice(u64::MAX);
        slice.adapt(Duration::from_nanos(1));
        assert_eq!(slice.0, u64::MAX);
    }

    #[test]
    fn a_start_function_is_tried_with_more_until_the_deadline() {
        let mut tried = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let made = instantiate(deadline, |fuel| {
            tried.push(fuel);
            if fuel < 50_000 {
                Err(Error::from(TrapCode::OutOfFuel))
            } else {
                Ok(fuel)
            }
        });
        assert_eq!(made.unwrap(), 80_000);
        assert_eq!(tried, [10_000, 20_000, 40_000, 80_000]);
        let late = instantiate(Instant::now(), |_| {
            Err::<(), _>(Error::from(TrapCode::OutOfFuel))
        });
        assert!(matches!(late, Err(Ended::Deadline)));
        let trap = instantiate(deadline, |_| {
            Err::<(), _>(Error::from(TrapCode::UnreachableCodeReached))
        });
        assert!(matches!(trap, Err(Ended::Error(_))));
    }

    /// Why tables must not grow while a call is sliced: resumed, wasmi 2.0.0 does part of the code again. If this test
    /// fails after an upgrade, the defect is gone and `Limiter::tables_may_grow` can go too.
    #[test]
    fn table_growth_cannot_be_resumed() {
        const GROWTH: &str = r#"(module
          (table 1 funcref)
          (func (export "rounds") (param $left i32) (result i32)
            (local $rounds i32)
            (loop $again
              (local.set $rounds (i32.add (local.get $rounds) (i32.const 1)))
              (drop (table.grow (ref.null func) (i32.const 800)))
              (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (local.get $rounds)))"#;
        let rounds = |tables_may_grow, fuel| {
            let (mut store, instance) = instance(GROWTH, BudgetKind::Epoch);
            store.data_mut().tables_may_grow = tables_may_grow;
            let function: TypedFunc<u32, i32> = instance.get_typed_func(&store, "rounds").unwrap();
            store.set_fuel(fuel).unwrap();
            let mut state = function.call_resumable(&mut store, 20).unwrap();
            for _ in 0..1000 {
                match state {
                    TypedResumableCall::Finished(rounds) => return Some(rounds),
                    TypedResumableCall::OutOfFuel(call) => {
                        store.set_fuel(fuel).unwrap();
                        state = call.resume(&mut store).unwrap();
                    }
                    TypedResumableCall::HostTrap(call) => panic!("{:?}", call.host_error()),
                }
            }
            None
        };
        let slices = (110..1000).step_by(10);
        assert!(slices.clone().all(|fuel| rounds(false, fuel) == Some(20)));
        assert!(!slices.clone().all(|fuel| rounds(true, fuel) == Some(20)));
    }
}
