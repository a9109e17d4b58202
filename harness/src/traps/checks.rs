//! What a single trap does not show: that memory does not grow over a thousand of them, that fuel is exact, and that a host
//! recovers from one in the order that is documented.

use super::{FUEL, TICKS, TIMEOUT, calls, generous};
use crate::{machine::emulated, outcome::Outcome, probe};
use assay_worker::{InstanceChoice, Launch, Remote, RunError, Worker};
use runtime_api::{Budget, BudgetKind, Error, Limits, Options, Runtime, Trap};
use runtime_call::{
    Call, Contract, KernelHost, Metrics, Native, Outcome as Ended, Output, Path, Tensors,
};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// Number of checks; an engine of which fewer are known has not been looked at.
pub const COUNT: usize = 3;

/// Traps before memory is looked at first: code is compiled, pools are filled, the allocator has its arenas.
const WARM_UP: usize = 200;
/// Traps after that.
const TRAPS: usize = 1000;
/// How often [`TRAPS`] are made at most. A host that collects garbage takes memory until it collects: that it stops to grow is what
/// tells it from one that leaks, which grows in every round.
const ROUNDS: usize = 6;
/// What a worker may grow by over [`TRAPS`]: about 1 KiB for each. An instance that is kept costs at least the page of memory that
/// it wrote, 64 KiB; less than this may be the allocator, which moves things about.
const GROWTH_BYTES: u64 = 1 << 20;
/// The same where the machine is emulated. The memory that is seen there is the emulator's too: qemu 7.2 grew by 3 KiB for each 512 KiB that
/// WAMR mapped at another address, while nothing was kept inside (runtimes/wamr/tests/growth.rs). Half a page of linear memory for each
/// trap shows an instance that is kept all the same.
const EMULATED_GROWTH_BYTES: u64 = 32 << 20;
/// Fuel at which the search for the least that suffices is given up.
const MUCH_FUEL: u64 = 1 << 32;
/// How often it is tried, in each of two workers, that the least fuel suffices and one less does not: twice each.
const FUEL_RUNS: usize = 5;

/// What a check found on an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Engine id.
    pub runtime: String,
    /// Name of the check.
    pub check: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The figures, or what failed, or why it is unsupported.
    pub detail: String,
}

/// Why a check did not pass.
enum Ending {
    Fail(String),
    Error(String),
    Unsupported(String),
}

type Checked = Result<String, Ending>;
type Check = fn(&Launch) -> Checked;

/// Runs all checks on an engine; `done` is called after each.
pub fn run(launch: &Launch, done: &(dyn Fn(&CheckResult) + Sync)) -> Vec<CheckResult> {
    let checks: [(&'static str, Check); COUNT] = [
        ("memory after traps", memory_after_traps),
        ("exact fuel", exact_fuel),
        ("recovery", recovery),
    ];
    checks
        .into_iter()
        .map(|(check, judge)| {
            let (outcome, detail) = match judge(launch) {
                Ok(detail) => (Outcome::Pass, detail),
                Err(Ending::Fail(detail)) => (Outcome::Fail, detail),
                Err(Ending::Error(detail)) => (Outcome::Error, detail),
                Err(Ending::Unsupported(detail)) => (Outcome::Unsupported, detail),
            };
            let result = CheckResult {
                runtime: launch.id.clone(),
                check: check.to_owned(),
                outcome,
                detail,
            };
            done(&result);
            result
        })
        .collect()
}

fn start(launch: &Launch) -> Result<Worker, Ending> {
    Worker::start(launch).map_err(|error| Ending::Error(format!("failed to {error}")))
}

fn failed(error: impl std::fmt::Display) -> Ending {
    Ending::Fail(format!("failed to {error}"))
}

fn load(worker: &mut Worker, text: &str, metering: BudgetKind) -> Result<u64, Ending> {
    let wasm = wat::parse_str(text).map_err(|error| Ending::Error(error.to_string()))?;
    let options = Options {
        limits: Limits::default(),
        metering,
    };
    worker.load_within(&wasm, &options, TIMEOUT).map_err(failed)
}

/// How `run` of a fresh instance ends.
fn run_fresh(worker: &mut Worker, module: u64, budget: Budget) -> Result<Ended, Ending> {
    let call = Call {
        export: "run".to_owned(),
        arguments: Vec::new(),
        budget,
    };
    let instantiation = generous(budget.kind());
    let ran = worker.run_within(
        module,
        InstanceChoice::Fresh,
        instantiation,
        calls(vec![call]),
        TIMEOUT,
    );
    match ran {
        Ok(observation) => observation
            .calls
            .into_iter()
            .next()
            .ok_or_else(|| Ending::Fail("no call was made".to_owned())),
        Err(RunError::Engine(error)) => Ok(Ended::Failed(error)),
        Err(error) => Err(failed(error)),
    }
}

/// Modules that write to a whole page of their memory and trap, one per class that takes an engine another way.
fn trapping() -> Vec<(String, Trap)> {
    [
        ("unreachable", Trap::Unreachable),
        (
            "(drop (i32.load (i32.const 65536)))",
            Trap::MemoryAccessViolation,
        ),
        (
            "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 65532))))",
            Trap::IntegerDivideByZero,
        ),
        (
            "(drop (call_indirect (result i32) (i32.const 0)))",
            Trap::NullFunction,
        ),
        ("(drop (call $deeper))", Trap::StackOverflow),
    ]
    .map(|(end, trap)| {
        let text = format!(
            r#"(module (memory (export "memory") 1) (table 1 funcref)
                (func $deeper (result i32) (i32.add (call $deeper) (i32.const 1)))
                (func (export "run") (result i32) (local $at i32)
                  (loop $next
                    (i32.store8 (local.get $at) (i32.const 1))
                    (local.set $at (i32.add (local.get $at) (i32.const 1024)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const 65536))))
                  {end}
                  (i32.const 0)))"#
        );
        (text, trap)
    })
    .into()
}

fn memory_after_traps(launch: &Launch) -> Checked {
    let mut worker = start(launch)?;
    if worker.anonymous_memory().is_none() {
        return Err(Ending::Unsupported(
            "this system does not say what memory a process has: there is no /proc/PID/smaps_rollup"
                .to_owned(),
        ));
    }
    let budget = probe::effective_budget(Budget::Epoch(TICKS), &worker.info().capabilities)
        .unwrap_or(Budget::Fuel(FUEL));
    let mut modules = Vec::new();
    for (text, trap) in trapping() {
        modules.push((load(&mut worker, &text, budget.kind())?, trap));
    }
    let trap_times = |worker: &mut Worker, times: usize| {
        for (module, due) in modules.iter().cycle().take(times) {
            match run_fresh(worker, *module, budget)? {
                Ended::Failed(Error::Trap { trap, .. }) if trap == *due => {}
                other => return Err(Ending::Fail(format!("{other:?} where {due} is due"))),
            }
        }
        worker
            .anonymous_memory()
            .ok_or_else(|| Ending::Error("the worker's memory cannot be read any more".to_owned()))
    };
    let kibibytes = |bytes: u64| bytes / 1024;
    let emulated = emulated();
    let mut before = trap_times(&mut worker, WARM_UP)?;
    let mut figures = format!(
        "{} classes on fresh instances: {} KiB after {WARM_UP} traps",
        modules.len(),
        kibibytes(before)
    );
    let mut growth = 0;
    for _ in 0..ROUNDS {
        let after = trap_times(&mut worker, TRAPS)?;
        figures += &format!(", {} KiB after {TRAPS} more", kibibytes(after));
        growth = after.saturating_sub(before);
        if growth <= GROWTH_BYTES {
            return Ok(format!("{figures}: {} KiB of growth", kibibytes(growth)));
        }
        before = after;
    }
    Err(too_much(&figures, growth, emulated.as_deref()))
}

/// What it means that a worker grew by more than it may in every round, in the last one by so many bytes.
fn too_much(figures: &str, growth: u64, emulated: Option<&str>) -> Ending {
    match emulated {
        Some(how) if growth <= EMULATED_GROWTH_BYTES => Ending::Unsupported(format!(
            "not measured (emulated): {how}, and its own memory is part of the figures: {figures}"
        )),
        _ => Ending::Fail(format!(
            "{figures}: it grows each time, and by more than {} KiB",
            GROWTH_BYTES / 1024
        )),
    }
}

/// Loops, calls and memory: fuel is spent in several kinds of block.
const WORK: &str = r#"(module (memory (export "memory") 1)
  (func $mix (param i32) (result i32)
    (i32.xor (i32.mul (local.get 0) (i32.const 0x9e3779b1)) (i32.const 0x55)))
  (func (export "run") (result i32) (local $times i32)
    (local.set $times (i32.const 100))
    (loop $again
      (i32.store (i32.const 8) (call $mix (i32.add (i32.load (i32.const 8)) (local.get $times))))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
    (i32.const 42)))"#;

fn exact_fuel(launch: &Launch) -> Checked {
    let mut least = None;
    for _ in 0..2 {
        let mut worker = start(launch)?;
        let budgets = &worker.info().capabilities.budgets;
        if !budgets.contains(&BudgetKind::Fuel) {
            return Err(Ending::Unsupported(
                "the engine has no budget of the kind fuel".to_owned(),
            ));
        }
        let module = load(&mut worker, WORK, BudgetKind::Fuel)?;
        let found = least_fuel(&mut worker, module)?;
        let due = *least.get_or_insert(found);
        for _ in 0..FUEL_RUNS {
            // Two of each in a row: a meter that errs every other time errs in one of them.
            for (fuel, enough) in [(due, true), (due, true), (due - 1, false), (due - 1, false)] {
                if suffices(&mut worker, module, fuel)? != enough {
                    return Err(Ending::Fail(format!(
                        "{due} of fuel sufficed once, and one less did not; it was otherwise in another run"
                    )));
                }
            }
        }
    }
    let least = least.unwrap_or_default();
    Ok(format!(
        "{least} of fuel let a call return and {} stopped it, {} times each on fresh instances in 2 workers",
        least - 1,
        4 * FUEL_RUNS
    ))
}

/// The least fuel that suffices, by bisection.
fn least_fuel(worker: &mut Worker, module: u64) -> Result<u64, Ending> {
    if suffices(worker, module, 0)? {
        return Err(Ending::Fail("a call returned without fuel".to_owned()));
    }
    let mut enough = 1;
    while !suffices(worker, module, enough)? {
        enough *= 2;
        if enough > MUCH_FUEL {
            return Err(Ending::Fail(format!(
                "{MUCH_FUEL} of fuel did not suffice for a hundred iterations"
            )));
        }
    }
    let mut little = enough / 2;
    while enough - little > 1 {
        let middle = little + (enough - little) / 2;
        if suffices(worker, module, middle)? {
            enough = middle;
        } else {
            little = middle;
        }
    }
    Ok(enough)
}

fn suffices(worker: &mut Worker, module: u64, fuel: u64) -> Result<bool, Ending> {
    match run_fresh(worker, module, Budget::Fuel(fuel))? {
        Ended::Returned(42) => Ok(true),
        Ended::Failed(Error::Trap {
            trap: Trap::FuelExhausted,
            ..
        }) => Ok(false),
        other => Err(Ending::Fail(format!(
            "{other:?} where 42 or FuelExhausted is due, with {fuel} of fuel"
        ))),
    }
}

/// A kernel that copies its input's first byte, and traps if that is 255.
const KERNEL: &str = r#"(module (memory (export "memory") 1)
  (func (export "kernel_init") (param i32 i32) (result i32) (i32.const 0))
  (func (export "kernel_forward") (param $d i32) (result i32) (local $byte i32)
    (local.set $byte (i32.load8_u (i32.load (local.get $d))))
    (if (i32.eq (local.get $byte) (i32.const 255)) (then unreachable))
    (i32.store8 (i32.load offset=16 (local.get $d)) (local.get $byte))
    (i32.const 0)))"#;

/// A planted trap: it is logged, the native reference answers, the call counts as degraded and not as served, and the next one
/// is the kernel's again.
fn recovery(launch: &Launch) -> Checked {
    let engine =
        Remote::start(launch).map_err(|error| Ending::Error(format!("failed to {error}")))?;
    let budget = probe::effective_budget(Budget::Epoch(TICKS), &engine.info().capabilities)
        .unwrap_or(Budget::Fuel(FUEL));
    let wasm = wat::parse_str(KERNEL).map_err(|error| Ending::Error(error.to_string()))?;
    let options = Options {
        limits: Limits::default(),
        metering: budget.kind(),
    };
    let module = engine.compile(&wasm, &options).map_err(failed)?;
    let contract = Contract {
        kernel: "copy".to_owned(),
        engine: launch.id.clone(),
        entry: kernel_abi::export::FORWARD.to_owned(),
        heap_base: 1024,
        max_pages: 1,
        budget,
    };
    let log = RefCell::new(Vec::new());
    let native: Box<Native<'_>> = Box::new(|tensors| Ok(tensors.a.to_vec()));
    let mut host = KernelHost::new(module.as_ref(), contract, Some(native), |failure| {
        log.borrow_mut().push(failure.clone());
    });
    for (byte, path) in [(1, Path::Kernel), (255, Path::Fallback), (2, Path::Kernel)] {
        let tensors = Tensors {
            params: &[0; 8],
            a: &[byte],
            b: &[],
            output: Output::Written(1),
            scratch_size: 0,
        };
        let served = host.call(&tensors).map_err(failed)?;
        if served.output != [byte] || served.path != path {
            return Err(Ending::Fail(format!(
                "{served:?} where {path:?} is due, with the output [{byte}]"
            )));
        }
    }
    let metrics = host.metrics();
    let due = Metrics {
        calls: 3,
        served: 2,
        degraded: 1,
        failed: 0,
    };
    drop(host);
    let log = log.into_inner();
    let trap = Error::trap(runtime_api::Stage::Call, Trap::Unreachable);
    let logged = matches!(&log[..], [failure] if failure.call == 2 && failure.error == trap.into());
    if metrics != due || !logged {
        return Err(Ending::Fail(format!("{metrics:?}, log {log:?}")));
    }
    Ok(
        "a planted trap was logged, answered by the native reference and counted as degraded; 2 other calls were served"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_a_failure_but_for_what_an_emulator_takes() {
        let fails = |growth, emulated| matches!(too_much("", growth, emulated), Ending::Fail(_));
        assert!(fails(GROWTH_BYTES + 1, None));
        assert!(!fails(3 << 20, Some("how it shows")));
        // An instance that is kept for each trap.
        assert!(fails(64 * 1024 * TRAPS as u64, Some("how it shows")));
        let Ending::Unsupported(reason) = too_much("figures", 3 << 20, Some("how it shows")) else {
            panic!("it is neither passed nor failed");
        };
        assert!(
            reason.starts_with("not measured (emulated): how it shows")
                && reason.contains("figures")
        );
    }
}
