//! The basics of `qualify`: small modules that end badly on purpose, numbers that some processors flush to zero, and choices that some
//! compilers make otherwise. An engine that gets one of them wrong must not run anybody's kernels.

use crate::{
    machine::emulated,
    outcome::Outcome,
    output::Output,
    probe::lacking,
    suite::{self, Suite},
};
use assay_worker::{InstanceChoice, Launch, RunError, Worker, WorkerError};
use runtime_api::{Budget, BudgetKind, Error, Limits, Options, Trap};
use runtime_call::{Call, Invocation, Outcome as Ended};
use serde::{Deserialize, Serialize};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Name of the file of all findings in a results folder.
pub const FILE: &str = "basics.json";

/// What a check of the basics found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Engine id.
    pub runtime: String,
    /// Name of the check.
    pub check: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What happened.
    pub detail: String,
}

/// Ticks that the endless loop gets: 200 ms.
const LOOP_TICKS: u64 = 20;
/// Fuel that it gets where an engine has no ticks.
const LOOP_FUEL: u64 = 10_000_000;
/// An endless loop must be over this long after its budget.
const LOOP_GRACE: Duration = Duration::from_secs(1);
/// Budget of everything that ends by itself.
const TICKS: u64 = 1000;
/// Pages that the memory checks allow.
const PAGES: u32 = 8;
/// What the watchdog allows on top of budgets.
const ALLOWANCE: Duration = Duration::from_secs(10);

/// What must happen.
enum Expect {
    /// The call ends in this trap.
    Trap(Trap),
    /// The call is stopped in time: by the engine, or by the end of its worker where the engine states no budget, or is emulated.
    Stopped,
    /// The module does not get an instance.
    Refused,
    /// The call returns this value.
    Value(i32),
    /// So it does, where the engine has vectors.
    VectorValue(i32),
}

/// The checks: name, module, expectation. Each exports `run: (i32) -> i32`.
fn checks() -> Vec<(&'static str, &'static str, Expect)> {
    vec![
        (
            "returns",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32) (i32.add (local.get 0) (i32.const 41))))"#,
            Expect::Value(42),
        ),
        (
            "unreachable",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32) unreachable))"#,
            Expect::Trap(Trap::Unreachable),
        ),
        (
            "out-of-bounds load",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32) (i32.load (i32.const 65533))))"#,
            Expect::Trap(Trap::MemoryAccessViolation),
        ),
        (
            "out-of-bounds store",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32)
                    (i32.store8 (i32.const -1) (i32.const 7)) (i32.const 0)))"#,
            Expect::Trap(Trap::MemoryAccessViolation),
        ),
        (
            "stack overflow",
            r#"(module (memory (export "memory") 1)
                (func $deeper (param i32) (result i32)
                    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
                (func (export "run") (param i32) (result i32) (call $deeper (local.get 0))))"#,
            Expect::Trap(Trap::StackOverflow),
        ),
        (
            "endless loop",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32) (loop $again (br $again)) (i32.const 0)))"#,
            Expect::Stopped,
        ),
        (
            "memory too large at start",
            r#"(module (memory (export "memory") 9)
                (func (export "run") (param i32) (result i32) (memory.size)))"#,
            Expect::Refused,
        ),
        (
            "memory limit on growth",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32) (memory.grow (i32.const 8))))"#,
            Expect::Value(-1),
        ),
        (
            "memory growth within the limit",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32) (memory.grow (i32.const 7))))"#,
            Expect::Value(1),
        ),
        // Scalar, so that they run on every engine; vectors are among the numeric instructions. The operands follow from the
        // argument, which is 1: no compiler can calculate in advance.
        (
            "denormals are added",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32)
                    (i32.reinterpret_f32 (f32.add
                        (f32.reinterpret_i32 (i32.shl (local.get 0) (i32.const 22)))
                        (f32.reinterpret_i32 (local.get 0))))))"#,
            Expect::Value(DENORMAL_SUM as i32),
        ),
        (
            "denormals are multiplied",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32)
                    (i32.reinterpret_f32 (f32.mul
                        (f32.reinterpret_i32 (i32.shl (local.get 0) (i32.const 22)))
                        (f32.convert_i32_s (i32.add (local.get 0) (i32.const 1)))))))"#,
            Expect::Value(DENORMAL_TWICE as i32),
        ),
        (
            "a product becomes denormal",
            r#"(module (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32)
                    (i32.reinterpret_f32 (f32.mul
                        (f32.reinterpret_i32 (i32.shl (local.get 0) (i32.const 23)))
                        (f32.div (f32.convert_i32_s (local.get 0)) (f32.const 2))))))"#,
            Expect::Value(DENORMAL as i32),
        ),
        // Nothing is greater or less than a NaN, and the zeros are equal, so the constant is chosen. Processors have instructions for
        // the larger of two values for which that holds neither of signalling NaNs nor of zeros, and compilers that take them.
        (
            "choices by comparisons",
            include_str!("basics/choices_by_comparisons.wat"),
            Expect::Value(0),
        ),
        (
            "choices by comparisons of vectors",
            include_str!("basics/choices_by_comparisons_of_vectors.wat"),
            Expect::VectorValue(0),
        ),
    ]
}

/// 2^-127, half of the smallest f32 that is not denormal.
const DENORMAL: u32 = 0x0040_0000;
/// 2^-127 + 2^-149.
const DENORMAL_SUM: u32 = DENORMAL + 1;
/// 2^-126, the smallest f32 that is not denormal: a factor that was flushed shows in it.
const DENORMAL_TWICE: u32 = 0x0080_0000;

/// The runtime of findings about native code, which is no engine.
pub use crate::registry::NATIVE;

/// Whether native code of this build keeps denormals: where it does not, it is no reference for engines.
pub fn native() -> Finding {
    let float = |bits| black_box(f32::from_bits(bits));
    judge_native([
        (float(DENORMAL) + float(1)).to_bits(),
        (float(DENORMAL) * float(2.0_f32.to_bits())).to_bits(),
        (float(DENORMAL_TWICE) * float(0.5_f32.to_bits())).to_bits(),
    ])
}

fn judge_native(seen: [u32; 3]) -> Finding {
    let kept = seen == [DENORMAL_SUM, DENORMAL_TWICE, DENORMAL];
    Finding {
        runtime: NATIVE.to_owned(),
        check: "denormals".to_owned(),
        outcome: if kept { Outcome::Pass } else { Outcome::Fail },
        detail: if kept {
            "f32 denormals are added, multiplied and produced".to_owned()
        } else {
            format!("f32 denormals are flushed to zero: {seen:08x?}")
        },
    }
}

/// Whether an engine may lack what the check is about, and qualify for what does without it.
pub fn optional(check: &str) -> bool {
    checks()
        .iter()
        .any(|(name, _, expect)| *name == check && matches!(expect, Expect::VectorValue(_)))
}

/// Number of checks; a run that made fewer has failed.
pub fn count() -> usize {
    checks().len()
}

/// Runs all checks on all engines; the first finding is about native code.
pub fn on_all(launches: &[Launch], output: &Output) -> Vec<Finding> {
    let found = suite::on_all(&Basics, launches, output);
    std::iter::once(native())
        .chain(found.into_iter().flatten())
        .collect()
}

struct Basics;

impl Suite for Basics {
    type Findings = Vec<Finding>;
    const NAME: &'static str = "basics";
    const STEPS: &'static str = "engines";
    // For endless loops to be stopped.
    const WAITS: bool = true;

    fn run(&self, launch: &Launch, done: &(dyn Fn(usize) + Sync)) -> Vec<Finding> {
        let found = run(launch);
        done(1);
        found
    }
}

/// Runs all checks on an engine, one after the other in one worker, so that each check also shows that the engine is well
/// after the trap before it.
pub fn run(launch: &Launch) -> Vec<Finding> {
    let mut worker = Worker::start(launch);
    let mut findings = Vec::new();
    for (check, text, expect) in checks() {
        let (outcome, detail) = match (&mut worker, wat::parse_str(text)) {
            (Ok(worker), Ok(wasm)) => one(worker, &wasm, &expect),
            (Err(error), _) => (Outcome::Error, format!("failed to {error}")),
            (_, Err(error)) => (Outcome::Error, error.to_string()),
        };
        findings.push(Finding {
            runtime: launch.id.clone(),
            check: check.to_owned(),
            outcome,
            detail,
        });
        // A worker that was lost or killed is replaced; one that is well goes on, and one that cannot be started is not waited for
        // again.
        if worker.is_ok() && (outcome != Outcome::Pass || matches!(expect, Expect::Stopped)) {
            drop(worker);
            worker = Worker::start(launch);
        }
    }
    findings
}

fn one(worker: &mut Worker, wasm: &[u8], expect: &Expect) -> (Outcome, String) {
    if matches!(expect, Expect::VectorValue(_))
        && let Some(reason) = lacking(&["simd"], &worker.info().capabilities)
    {
        return (Outcome::Unsupported, reason);
    }
    let can = |kind| worker.info().capabilities.budgets.contains(&kind);
    let endless = matches!(expect, Expect::Stopped);
    let budget = if can(BudgetKind::Epoch) {
        Budget::Epoch(if endless { LOOP_TICKS } else { TICKS })
    } else if can(BudgetKind::Fuel) {
        Budget::Fuel(LOOP_FUEL)
    } else {
        Budget::None
    };
    let options = Options {
        limits: Limits {
            max_memory_pages: PAGES,
            ..Limits::default()
        },
        metering: budget.kind(),
    };
    let module = match worker.load(wasm, &options) {
        Ok(module) => module,
        Err(error) => return judge_refusal(expect, &error),
    };
    let invocation = Invocation {
        pages: 0,
        writes: Vec::new(),
        calls: vec![Call {
            export: "run".to_owned(),
            arguments: vec![1],
            budget,
        }],
        reads: Vec::new(),
    };
    let allowance = match (endless, budget) {
        (true, Budget::None) => Duration::from_millis(100),
        (true, _) => LOOP_GRACE,
        (false, _) => ALLOWANCE,
    };
    // What an engine states and does not hold is another thing than what it never stated.
    let may_be_killed = endless && (budget == Budget::None || emulated().is_some());
    let start = Instant::now();
    let ran = worker.run(module, InstanceChoice::Fresh, budget, invocation, allowance);
    let elapsed = start.elapsed();
    let observation = match ran {
        Ok(observation) => observation,
        Err(RunError::Worker(WorkerError::TimedOut { .. })) if may_be_killed => {
            return (
                Outcome::Pass,
                format!("the engine could not stop it; its worker was killed after {elapsed:.0?}"),
            );
        }
        Err(error) => return judge_refusal(expect, &error),
    };
    let Some(ended) = observation.calls.first() else {
        return (Outcome::Error, "no call was made".to_owned());
    };
    let seen = match ended {
        Ended::Returned(value) => format!("returned {value}"),
        Ended::Failed(error) => format!("failed to {error}"),
    };
    let holds = match (expect, ended) {
        (Expect::Value(due) | Expect::VectorValue(due), Ended::Returned(value)) => due == value,
        (Expect::Trap(due), Ended::Failed(Error::Trap { trap, .. })) => due == trap,
        (Expect::Stopped, Ended::Failed(Error::Trap { trap, .. })) => {
            // An emulated machine is slow by itself: there the stop is all that can be checked.
            let late = emulated().is_none()
                && budget
                    .time()
                    .is_some_and(|time| elapsed > time + LOOP_GRACE);
            matches!(trap, Trap::EpochDeadline | Trap::FuelExhausted) && !late
        }
        _ => false,
    };
    if holds {
        (Outcome::Pass, format!("{seen} ({elapsed:.0?})"))
    } else {
        (
            Outcome::Fail,
            format!("{seen} where {} is due", due(expect)),
        )
    }
}

fn judge_refusal(expect: &Expect, error: &RunError) -> (Outcome, String) {
    let detail = format!("failed to {error}");
    let outcome = match (expect, error) {
        (
            Expect::Refused,
            RunError::Engine(
                Error::Rejected { .. }
                | Error::Trap {
                    trap: Trap::ResourceLimit,
                    ..
                },
            ),
        ) => Outcome::Pass,
        // It lists SIMD, or had not been asked.
        (Expect::VectorValue(_), RunError::Engine(_)) => Outcome::Fail,
        (_, RunError::Engine(Error::Unsupported { .. })) => Outcome::Unsupported,
        (_, RunError::Engine(_)) => Outcome::Fail,
        (_, RunError::Worker(_)) => Outcome::Error,
    };
    (outcome, detail)
}

fn due(expect: &Expect) -> String {
    match expect {
        Expect::Trap(trap) => trap.to_string(),
        Expect::Stopped => "EpochDeadline or FuelExhausted in time".to_owned(),
        Expect::Refused => "a refusal".to_owned(),
        Expect::Value(value) | Expect::VectorValue(value) => format!("the value {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_code_that_flushes_denormals_fails() {
        assert_eq!(native().outcome, Outcome::Pass);
        for flushed in [
            [0, DENORMAL_TWICE, DENORMAL],
            [DENORMAL_SUM, 0, DENORMAL],
            [DENORMAL_SUM, DENORMAL_TWICE, 0],
        ] {
            assert_eq!(judge_native(flushed).outcome, Outcome::Fail);
        }
    }

    #[test]
    fn only_an_engine_without_simd_is_spared_the_check_of_vectors() {
        assert!(optional("choices by comparisons of vectors"));
        assert!(!optional("choices by comparisons"));
        let refused = RunError::Engine(Error::Unsupported {
            reason: "it lists SIMD".to_owned(),
        });
        let (outcome, _) = judge_refusal(&Expect::VectorValue(0), &refused);
        assert_eq!(outcome, Outcome::Fail);
    }
}
