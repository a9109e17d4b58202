//! Batches of calls: as single calls are, one after the other, with a budget for each.

use super::{Check, Need, Stop, Subject, Verdict, call, fail, options, require, require_equal};
use crate::{Budget, BudgetKind, Entry, Error, Instance, Stage, Stopped, TICK, Trap};
use std::time::{Duration, Instant};

/// `serve` takes the address of two words: what it is to do, and where the number of this call goes. It answers as it was told.
const MODULE: &str = r#"(module
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (func (export "serve") (param $at i32) (result i32)
    (local $left i32) (local $sum i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (local.set $left (i32.load (local.get $at)))
    (if (i32.eq (local.get $left) (i32.const -1)) (then unreachable))
    (if (i32.lt_s (local.get $left) (i32.const 0)) (then (return (local.get $left))))
    (if (local.get $left)
      (then (loop $again
        (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (local.get $left)))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
    (i32.store offset=4 (local.get $at) (global.get $calls))
    (i32.store offset=8 (local.get $at) (local.get $sum))
    (i32.const 0))
  (func (export "endless") (param $at i32) (result i32)
    (local $count i64) (local $mix i64)
    (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
    (loop $again
      (local.set $mix (i64.add (local.get $count)
        (i64.mul (i64.xor (local.get $mix) (i64.shr_u (local.get $mix) (i64.const 7))) (i64.const 0x9E3779B97F4A7C15))))
      (local.set $count (i64.add (local.get $count) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $count) (i64.const 0x1000000000))))
    (i32.wrap_i64 (local.get $mix)))
  (func (export "none") (result i32) (i32.const 0))
  (func (export "calls") (result i32) (global.get $calls)))"#;

/// What a call of `serve` is to do.
const TRAP: i32 = -1;
/// Bytes of a descriptor.
const STRIDE: u32 = 16;

pub(super) fn checks() -> Vec<Check> {
    let epoch = &[Need::Budget(BudgetKind::Epoch)];
    let fuel = &[Need::Budget(BudgetKind::Fuel)];
    vec![
        Check::new("batch.as-single-calls", &[], as_single_calls),
        Check::new("batch.trap", &[], trap),
        Check::new("batch.status", &[], status),
        Check::new("batch.refusals", &[], refusals),
        Check::new("budget.fuel.batch", fuel, fuel_per_call),
        Check::new("budget.epoch.batch-stops", epoch, epoch_stops),
        Check::new("budget.epoch.batch", epoch, epoch_per_call),
    ]
}

/// Writes a descriptor for each of `orders` and answers their addresses.
fn place(instance: &mut dyn Instance, orders: &[i32]) -> Result<Vec<u32>, Stop> {
    let mut addresses = Vec::new();
    for (at, order) in (64..).step_by(STRIDE as usize).zip(orders) {
        instance.write(at, &order.to_le_bytes())?;
        addresses.push(at);
    }
    Ok(addresses)
}

fn prepare(subject: &Subject<'_>, budget: Budget) -> Result<(Box<dyn Instance>, Entry), Stop> {
    let module = subject.module_with(MODULE, &options(budget.kind()))?;
    let mut instance = module.instantiate(budget)?;
    let entry = instance.entry("serve", 1)?;
    Ok((instance, entry))
}

fn stopped(what: &str, result: Result<(), Stopped>) -> Result<Stopped, Stop> {
    match result {
        Ok(()) => fail(format!("{what}: the batch came to its end")),
        Err(stopped) => Ok(stopped),
    }
}

fn whole(what: &str, result: Result<(), Stopped>) -> Verdict {
    result.map_err(|stopped| match stopped.error {
        Error::Unsupported { reason } => Stop::Unsupported(reason),
        _ => Stop::Fail(format!("{what}: failed to {stopped}")),
    })
}

fn as_single_calls(subject: &Subject<'_>) -> Verdict {
    let orders: Vec<i32> = (0..40).map(|order| order % 7 * 100).collect();
    for budget in subject.generous_budgets() {
        let mut memories = Vec::new();
        for batched in [true, false] {
            let (mut instance, entry) = prepare(subject, budget)?;
            let addresses = place(&mut *instance, &orders)?;
            whole("nothing", instance.call_batch(entry, &[], budget))?;
            if batched {
                whole("batch", instance.call_batch(entry, &addresses, budget))?;
                // The instance goes on, with batches and without.
                whole("again", instance.call_batch(entry, &addresses[..3], budget))?;
                require_equal("alone", instance.call(entry, &[addresses[3]], budget)?, 0)?;
            } else {
                for at in addresses.iter().chain(&addresses[..4]) {
                    require_equal("alone", instance.call(entry, &[*at], budget)?, 0)?;
                }
            }
            let mut memory = vec![0; 1024];
            instance.read(0, &mut memory)?;
            memories.push(memory);
        }
        require(memories[0] == memories[1], || {
            format!("under {budget:?} a batch leaves another memory than single calls")
        })?;
        let mut last = [0; 4];
        last.copy_from_slice(&memories[0][64 + 39 * 16 + 4..][..4]);
        require_equal("number of the last call", u32::from_le_bytes(last), 40)?;
    }
    Ok(())
}

fn trap(subject: &Subject<'_>) -> Verdict {
    for budget in subject.generous_budgets() {
        for index in [0, 3, 5] {
            let (mut instance, entry) = prepare(subject, budget)?;
            let mut orders = [0; 6];
            orders[index] = TRAP;
            let addresses = place(&mut *instance, &orders)?;
            let result = instance.call_batch(entry, &addresses, budget);
            let expected = Stopped {
                index,
                error: Error::trap(Stage::Call, Trap::Unreachable),
            };
            require_equal("trap", stopped("trap", result)?, expected)?;
        }
        let (mut fresh, entry) = prepare(subject, budget)?;
        let addresses = place(&mut *fresh, &[0, 5])?;
        whole(
            "fresh instance",
            fresh.call_batch(entry, &addresses, budget),
        )?;
    }
    Ok(())
}

fn status(subject: &Subject<'_>) -> Verdict {
    let (mut instance, entry) = prepare(subject, Budget::None)?;
    let addresses = place(&mut *instance, &[0, 0, -7, 0, TRAP])?;
    let result = instance.call_batch(entry, &addresses, Budget::None);
    let expected = Stopped {
        index: 2,
        error: Error::trap(Stage::Call, Trap::KernelStatus { code: -7 }),
    };
    require_equal("status", stopped("status", result)?, expected)?;
    // The instance is as good as before, and no call came after that one.
    require_equal("calls made", call(&mut *instance, "calls", &[])?, 3)?;
    for (index, number) in [1, 2, 0, 0, 0].into_iter().enumerate() {
        let mut word = [0; 4];
        instance.read(addresses[index] + 4, &mut word)?;
        let what = format!("what call {index} left");
        require_equal(&what, u32::from_le_bytes(word), number)?;
    }
    whole(
        "after a status",
        instance.call_batch(entry, &addresses[..2], Budget::None),
    )
}

fn refusals(subject: &Subject<'_>) -> Verdict {
    let (mut instance, _) = prepare(subject, Budget::None)?;
    let without_parameters = instance.entry("none", 0)?;
    for (what, entry) in [
        ("an entry of no parameter", without_parameters),
        ("an entry never made", Entry(usize::MAX)),
    ] {
        let Stopped { index, error } = stopped(
            what,
            instance.call_batch(entry, &[64, 80, 96], Budget::None),
        )?;
        require_equal(what, index, 0)?;
        require(matches!(error, Error::Adapter { .. }), || {
            format!("{what}: {error:?} instead of Error::Adapter")
        })?;
    }
    let entry = instance.entry("serve", 1)?;
    let result = instance.call_batch(entry, &[64, 80], Budget::Fuel(1_000_000));
    let Stopped { index, error } = stopped("another kind of budget", result)?;
    require_equal("another kind of budget", index, 0)?;
    require(matches!(error, Error::Unsupported { .. }), || {
        format!("another kind of budget: {error:?} instead of Error::Unsupported")
    })?;
    require_equal("calls made", call(&mut *instance, "calls", &[])?, 0)
}

/// One call fits the budget, the hundred of the batch together would not, and one that does not fit is stopped where it stands.
fn fuel_per_call(subject: &Subject<'_>) -> Verdict {
    let budget = Budget::Fuel(50_000);
    let (mut instance, entry) = prepare(subject, budget)?;
    let mut orders = [1000; 100];
    let addresses = place(&mut *instance, &orders)?;
    whole(
        "a hundred calls",
        instance.call_batch(entry, &addresses, budget),
    )?;
    orders[60] = 50_000;
    place(&mut *instance, &orders)?;
    // What a rich call leaves is not saved.
    instance.call(entry, &[addresses[0]], Budget::Fuel(1_000_000_000))?;
    let result = instance.call_batch(entry, &addresses, budget);
    let expected = Stopped {
        index: 60,
        error: Error::trap(Stage::Call, Trap::FuelExhausted),
    };
    require_equal("too much work", stopped("too much work", result)?, expected)
}

fn epoch_stops(subject: &Subject<'_>) -> Verdict {
    let mut last = Duration::ZERO;
    // A loaded machine may delay any thread: of three stops one must be in time.
    for _ in 0..3 {
        let (mut instance, _) = prepare(subject, Budget::Epoch(100))?;
        let entry = instance.entry("endless", 1)?;
        let start = Instant::now();
        let result = instance.call_batch(entry, &[0, 0, 1, 0], Budget::Epoch(5));
        last = start.elapsed();
        let expected = Stopped {
            index: 2,
            error: Error::trap(Stage::Call, Trap::EpochDeadline),
        };
        require_equal("endless", stopped("endless", result)?, expected)?;
        if last <= TICK * 5 + Duration::from_millis(500) {
            return Ok(());
        }
    }
    fail(format!("stopped after {last:?} of 50 ms"))
}

/// All calls together take longer than the deadline of one.
fn epoch_per_call(subject: &Subject<'_>) -> Verdict {
    const BUDGET: Budget = Budget::Epoch(30);
    let deadline = TICK * 30;
    let generous = Budget::Epoch(6000);
    let (mut instance, entry) = prepare(subject, generous)?;
    // How much work takes a tenth of the deadline here.
    let mut work = 10_000;
    loop {
        let addresses = place(&mut *instance, &[work])?;
        let start = Instant::now();
        instance.call(entry, &addresses, generous)?;
        if start.elapsed() >= deadline / 10 || work > i32::MAX / 2 {
            break;
        }
        work *= 2;
    }
    let mut last = String::new();
    // A loaded machine may make any single call too long, or fast ones of those that were slow: of three batches one must show it.
    for count in [20, 40, 60] {
        let (mut instance, entry) = prepare(subject, generous)?;
        let addresses = place(&mut *instance, &vec![work; count])?;
        let start = Instant::now();
        let result = instance.call_batch(entry, &addresses, BUDGET);
        let elapsed = start.elapsed();
        match result {
            Ok(()) if elapsed > deadline + TICK * 2 => return Ok(()),
            Ok(()) => last = format!("{count} calls took {elapsed:?}, too little to show anything"),
            Err(stopped) => last = format!("{count} calls: failed to {stopped}"),
        }
    }
    fail(last)
}
