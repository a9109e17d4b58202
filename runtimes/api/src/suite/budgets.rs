//! Budgets: what stops a call, and what must not.

use super::{
    Check, Need, Stop, Subject, Verdict, call_within, fail, options, require, require_equal,
    require_error,
};
use crate::{Budget, BudgetKind, Error, Stage, TICK, Trap};
use std::{
    thread,
    time::{Duration, Instant},
};

/// What an engine may be late by in stopping a call.
const GRACE: Duration = Duration::from_millis(500);

/// The endless loops mix their counter into a result: an optimiser computes at once what mere counting ends with.
const MODULE: &str = r#"(module
  (func (export "endless") (result i32)
    (local $count i64) (local $mix i64)
    (loop $again
      (local.set $mix (i64.add (local.get $count)
        (i64.mul (i64.xor (local.get $mix) (i64.shr_u (local.get $mix) (i64.const 7))) (i64.const 0x9E3779B97F4A7C15))))
      (local.set $count (i64.add (local.get $count) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $count) (i64.const 0x1000000000))))
    (i32.wrap_i64 (local.get $mix)))
  (func (export "spin") (param $times i32) (result i32)
    (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (local.get $times)))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
    (local.get $sum))
  (func $leaf (param i64) (result i64) (i64.add (local.get 0) (i64.const 1)))
  (func (export "endless-calls") (result i32)
    (local $count i64)
    (loop $again
      (local.set $count (call $leaf (local.get $count)))
      (br_if $again (i64.lt_u (local.get $count) (i64.const 0x1000000000))))
    (i32.const 1))
  (func (export "answer") (result i32) (i32.const 42)))"#;

const ENDLESS_START: &str = r#"(module
  (global $mixed (export "mixed") (mut i64) (i64.const 0))
  (func $start
    (local $count i64) (local $mix i64)
    (loop $again
      (local.set $mix (i64.add (local.get $count)
        (i64.mul (i64.xor (local.get $mix) (i64.shr_u (local.get $mix) (i64.const 7))) (i64.const 0x9E3779B97F4A7C15))))
      (local.set $count (i64.add (local.get $count) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $count) (i64.const 0x1000000000))))
    (global.set $mixed (local.get $mix)))
  (start $start))"#;

/// Work of every sort that an engine may account for or interrupt differently; long enough for many interruptions.
const WORK: &str = r#"(module
  (memory (export "memory") 1)
  (table 64 funcref)
  (type $mixes (func (param i32 f64) (result i32)))
  (elem (i32.const 0) $mix $mix)
  (func $mix (type $mixes)
    (i32.rotl
      (i32.add (local.get 0) (i32.reinterpret_f32 (f32.demote_f64 (f64.mul (local.get 1) (f64.const 1.5)))))
      (i32.const 7)))
  (func (export "work") (param $rounds i32) (param $seed i32) (result i32)
    (local $sum i32) (local $float f64) (local $wide i64)
    (local.set $sum (local.get $seed))
    (loop $again
      (if (i32.eqz (i32.rem_u (local.get $rounds) (i32.const 10000)))
        (then (drop (memory.grow (i32.const 1)))))
      (local.set $float (f64.add (local.get $float) (f64.sqrt (f64.convert_i32_u (local.get $sum)))))
      (local.set $wide
        (i64.add (i64.mul (local.get $wide) (i64.const 31)) (i64.extend_i32_u (local.get $sum))))
      (i32.store (i32.and (local.get $sum) (i32.const 0xfff0)) (local.get $rounds))
      (local.set $sum
        (call_indirect (type $mixes)
          (i32.xor (local.get $sum) (i32.load (i32.and (local.get $rounds) (i32.const 0xfff0))))
          (local.get $float)
          (i32.and (local.get $rounds) (i32.const 1))))
      (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (i32.xor
      (i32.xor (local.get $sum) (memory.size))
      (i32.xor
        (i32.wrap_i64 (local.get $wide))
        (i32.wrap_i64 (i64.reinterpret_f64 (local.get $float)))))))"#;

/// Counts growths whose answer contradicts the table's size before and after, and rounds made too often: an engine
/// that goes on in the wrong place after an interrupted growth does part of a round twice.
const TABLE_GROWTH: &str = r#"(module
  (table $table 1 funcref)
  (func (export "contradictions") (param $times i32) (result i32)
    (local $before i32) (local $after i32) (local $answer i32) (local $wrong i32) (local $rounds i32)
    (local $left i32)
    (local.set $left (local.get $times))
    (loop $again
      (local.set $rounds (i32.add (local.get $rounds) (i32.const 1)))
      (local.set $before (table.size $table))
      (local.set $answer (table.grow $table (ref.null func) (i32.const 800)))
      (local.set $after (table.size $table))
      (if (i32.eq (local.get $answer) (i32.const -1))
        (then (local.set $after (i32.add (local.get $after) (i32.const 800))))
        (else
          (local.set $wrong
            (i32.add (local.get $wrong) (i32.ne (local.get $answer) (local.get $before))))))
      (local.set $wrong
        (i32.add (local.get $wrong)
          (i32.ne (local.get $after) (i32.add (local.get $before) (i32.const 800)))))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.add (local.get $wrong) (i32.sub (local.get $rounds) (local.get $times)))))"#;

pub(super) fn checks() -> Vec<Check> {
    let epoch = &[Need::Budget(BudgetKind::Epoch)];
    let fuel = &[Need::Budget(BudgetKind::Fuel)];
    vec![
        Check::new("budget.epoch.stops", epoch, epoch_stops),
        Check::new("budget.epoch.stops-start", epoch, epoch_stops_start),
        Check::new("budget.epoch.per-call", epoch, epoch_per_call),
        Check::new("budget.epoch.extremes", epoch, epoch_extremes),
        Check::new("budget.fuel.stops", fuel, fuel_stops),
        Check::new("budget.fuel.stops-start", fuel, fuel_stops_start),
        Check::new("budget.fuel.per-call", fuel, fuel_per_call),
        Check::new("budget.fuel.extremes", fuel, fuel_extremes),
        Check::new("budget.same-result", &[], same_result),
        Check::new(
            "budget.table-growth",
            &[Need::Feature("reference-types")],
            table_growth,
        ),
        Check::new("budget.none-when-metered", &[], none_when_metered),
        Check::new("budget.other-kind", &[], other_kind),
        Check::new("budget.unclaimed", &[], unclaimed),
    ]
}

fn require_stopped(what: &str, error: &Error, stage: Stage, trap: &Trap) -> Verdict {
    let expected = Error::trap(stage, trap.clone());
    require_equal(what, error, &expected)
}

/// Runs until the deadline stops it in time. A loaded machine may delay any thread, so of three stops the fastest
/// counts; the class must be right, and none may come early, every time.
fn timely(ticks: u32, mut stop: impl FnMut() -> Result<Duration, Stop>) -> Verdict {
    let latest = TICK * ticks + GRACE;
    // The tick that runs when the call begins counts as one.
    let earliest = TICK * ticks.saturating_sub(2);
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let elapsed = stop()?;
        require(elapsed >= earliest, || {
            format!("stopped after {elapsed:?}, before {earliest:?}")
        })?;
        fastest = fastest.min(elapsed);
        if fastest <= latest {
            return Ok(());
        }
    }
    fail(format!("stopped after {fastest:?}, later than {latest:?}"))
}

fn epoch_stops(subject: &Subject<'_>) -> Verdict {
    let module = subject.module_with(MODULE, &options(BudgetKind::Epoch))?;
    for export in ["endless", "endless-calls"] {
        timely(5, || {
            let mut instance = module.instantiate(Budget::Epoch(100))?;
            let entry = instance.entry(export, 0)?;
            let start = Instant::now();
            let result = instance.call(entry, &[], Budget::Epoch(5));
            let elapsed = start.elapsed();
            let error = require_error(export, result)?;
            require_stopped(export, &error, Stage::Call, &Trap::EpochDeadline)?;
            Ok(elapsed)
        })?;
    }
    let mut fresh = module.instantiate(Budget::Epoch(100))?;
    let answer = call_within(&mut *fresh, "answer", &[], Budget::Epoch(100))?;
    require_equal("fresh instance", answer, 42)
}

fn epoch_stops_start(subject: &Subject<'_>) -> Verdict {
    let module = subject.module_with(ENDLESS_START, &options(BudgetKind::Epoch))?;
    timely(5, || {
        let start = Instant::now();
        let result = module.instantiate(Budget::Epoch(5));
        let elapsed = start.elapsed();
        let error = require_error("start", result)?;
        require_stopped("start", &error, Stage::Instantiate, &Trap::EpochDeadline)?;
        Ok(elapsed)
    })
}

/// The budget belongs to the entry: neither idle time nor earlier calls use it up.
fn epoch_per_call(subject: &Subject<'_>) -> Verdict {
    let module = subject.module_with(MODULE, &options(BudgetKind::Epoch))?;
    let mut instance = module.instantiate(Budget::Epoch(20))?;
    let entry = instance.entry("spin", 1)?;
    thread::sleep(TICK * 30);
    let sum = instance.call(entry, &[1000], Budget::Epoch(20))?;
    require_equal("after an idle time", sum, 500_500)?;
    for _ in 0..10 {
        thread::sleep(TICK * 4);
        let sum = instance.call(entry, &[1000], Budget::Epoch(20))?;
        require_equal("one of many calls", sum, 500_500)?;
    }
    Ok(())
}

fn epoch_extremes(subject: &Subject<'_>) -> Verdict {
    let module = subject.module_with(MODULE, &options(BudgetKind::Epoch))?;
    let mut instance = module.instantiate(Budget::Epoch(u64::MAX))?;
    for ticks in [u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 32] {
        let answer = call_within(&mut *instance, "answer", &[], Budget::Epoch(ticks))?;
        require_equal("a long deadline", answer, 42)?;
    }
    for ticks in [0, 1] {
        let mut instance = module.instantiate(Budget::Epoch(100))?;
        let result = call_within(&mut *instance, "endless", &[], Budget::Epoch(ticks));
        let error = require_error("endless", result)?;
        require_stopped(
            "a short deadline",
            &error,
            Stage::Call,
            &Trap::EpochDeadline,
        )?;
    }
    Ok(())
}

fn fuel_stops(subject: &Subject<'_>) -> Verdict {
    let module = subject.module_with(MODULE, &options(BudgetKind::Fuel))?;
    for export in ["endless", "endless-calls"] {
        let mut instance = module.instantiate(Budget::Fuel(100_000))?;
        let start = Instant::now();
        let result = call_within(&mut *instance, export, &[], Budget::Fuel(100_000));
        let elapsed = start.elapsed();
        let error = require_error(export, result)?;
        require_stopped(export, &error, Stage::Call, &Trap::FuelExhausted)?;
        require(elapsed < Duration::from_secs(2), || {
            format!("{export}: 100 000 of fuel lasted {elapsed:?}")
        })?;
    }
    let mut fresh = module.instantiate(Budget::Fuel(100_000))?;
    let answer = call_within(&mut *fresh, "answer", &[], Budget::Fuel(100_000))?;
    require_equal("fresh instance", answer, 42)
}

fn fuel_stops_start(subject: &Subject<'_>) -> Verdict {
    let module = subject.module_with(ENDLESS_START, &options(BudgetKind::Fuel))?;
    let error = require_error("start", module.instantiate(Budget::Fuel(100_000)))?;
    require_stopped("start", &error, Stage::Instantiate, &Trap::FuelExhausted)
}

/// One call fits the budget, a hundred together would not; what is left over is not saved for a later call either.
fn fuel_per_call(subject: &Subject<'_>) -> Verdict {
    let module = subject.module_with(MODULE, &options(BudgetKind::Fuel))?;
    let mut instance = module.instantiate(Budget::Fuel(50_000))?;
    let entry = instance.entry("spin", 1)?;
    for _ in 0..100 {
        let sum = instance.call(entry, &[1000], Budget::Fuel(50_000))?;
        require_equal("one of many calls", sum, 500_500)?;
    }
    instance.call(entry, &[1000], Budget::Fuel(1_000_000_000))?;
    let error = require_error(
        "spin",
        instance.call(entry, &[50_000], Budget::Fuel(40_000)),
    )?;
    require_stopped(
        "after a rich call",
        &error,
        Stage::Call,
        &Trap::FuelExhausted,
    )
}

fn fuel_extremes(subject: &Subject<'_>) -> Verdict {
    let module = subject.module_with(MODULE, &options(BudgetKind::Fuel))?;
    let mut instance = module.instantiate(Budget::Fuel(u64::MAX))?;
    for fuel in [u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64] {
        let answer = call_within(&mut *instance, "answer", &[], Budget::Fuel(fuel))?;
        require_equal("much fuel", answer, 42)?;
    }
    for fuel in [0, 1] {
        let mut instance = module.instantiate(Budget::Fuel(1000))?;
        let result = call_within(&mut *instance, "endless", &[], Budget::Fuel(fuel));
        let error = require_error("endless", result)?;
        require_stopped("little fuel", &error, Stage::Call, &Trap::FuelExhausted)?;
    }
    Ok(())
}

/// Metering and interruptions change nothing but when code is stopped.
fn same_result(subject: &Subject<'_>) -> Verdict {
    let mut expected = None;
    for budget in subject.generous_budgets() {
        let module = subject.module_with(WORK, &options(budget.kind()))?;
        let mut instance = module.instantiate(budget)?;
        let found = call_within(&mut *instance, "work", &[30_000, 12_345], budget)?;
        // The first budget is none.
        let unmetered = *expected.get_or_insert(found);
        require_equal(&format!("result under {budget:?}"), found, unmetered)?;
        require_equal("pages", instance.memory_pages()?, 4)?;
    }
    Ok(())
}

/// An engine may refuse growth under a budget, but its answer must be the truth.
fn table_growth(subject: &Subject<'_>) -> Verdict {
    for budget in subject.generous_budgets() {
        let mut options = options(budget.kind());
        options.limits.max_table_elements = 10_000_000;
        let module = subject.module_with(TABLE_GROWTH, &options)?;
        let mut instance = module.instantiate(budget)?;
        let wrong = call_within(&mut *instance, "contradictions", &[5000], budget)?;
        require_equal(&format!("contradictions under {budget:?}"), wrong, 0)?;
    }
    Ok(())
}

/// Code that is metered runs without a limit under [`Budget::None`], also after idle time and after other budgets.
fn none_when_metered(subject: &Subject<'_>) -> Verdict {
    for budget in subject.generous_budgets() {
        let module = subject.module_with(MODULE, &options(budget.kind()))?;
        let mut instance = module.instantiate(Budget::None)?;
        thread::sleep(TICK * 3);
        let entry = instance.entry("spin", 1)?;
        let sum = instance.call(entry, &[100_000], Budget::None)?;
        require_equal("without a budget", sum, 705_082_704)?;
        instance.call(entry, &[10], budget)?;
        thread::sleep(TICK * 3);
        let sum = instance.call(entry, &[100_000], Budget::None)?;
        require_equal("without a budget, later", sum, 705_082_704)?;
    }
    Ok(())
}

/// A budget of a kind that the module was not compiled for must not be dropped silently.
fn other_kind(subject: &Subject<'_>) -> Verdict {
    let kinds = [BudgetKind::Epoch, BudgetKind::Fuel];
    for compiled in subject.generous_budgets() {
        let module = subject.module_with(MODULE, &options(compiled.kind()))?;
        for budget in [Budget::Epoch(1000), Budget::Fuel(1_000_000)] {
            if kinds.contains(&compiled.kind()) && budget.kind() == compiled.kind() {
                continue;
            }
            let what = format!("{budget:?} of a module compiled for {compiled:?}");
            require_unsupported(&what, module.instantiate(budget))?;
            let mut instance = module.instantiate(Budget::None)?;
            let result = call_within(&mut *instance, "answer", &[], budget);
            require_unsupported(&what, result)?;
            let answer = call_within(&mut *instance, "answer", &[], compiled)?;
            require_equal("afterwards", answer, 42)?;
        }
    }
    Ok(())
}

/// What is not claimed is refused, and says why.
fn unclaimed(subject: &Subject<'_>) -> Verdict {
    let claimed = &subject.runtime.info().capabilities.budgets;
    for kind in [BudgetKind::Epoch, BudgetKind::Fuel] {
        if !claimed.contains(&kind) {
            let wasm = super::binary(MODULE)?;
            let result = subject.runtime.compile(&wasm, &options(kind));
            require_unsupported(&format!("metering {kind}"), result)?;
        }
    }
    Ok(())
}

fn require_unsupported<T>(what: &str, result: crate::Result<T>) -> Verdict {
    match require_error(what, result)? {
        Error::Unsupported { reason } => require(!reason.is_empty(), || {
            format!("{what}: unsupported without a reason")
        }),
        other => fail(format!("{what}: {other:?} instead of Error::Unsupported")),
    }
}
