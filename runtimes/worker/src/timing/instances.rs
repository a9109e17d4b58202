//! What instances cost that trap, and how much memory instances take.

use super::{MAX_INSTANCES, Repeat, adapter, entry, invocations::parts, nanoseconds};
use crate::{
    protocol::{Batch, Footprint, Series, Times},
    server::Loaded,
    system,
};
use runtime_api::{Budget, Entry, Error, Instance, Module, Options, Result, Runtime, Stage, Trap};
use runtime_call::{Call, Invocation, execute};
use std::time::{Duration, Instant};

/// Modules that a message may ask to load.
const MAX_MODULES: u32 = 1000;
/// From so many modules on it is known how long all of them take.
const ENOUGH: u32 = 20;

/// Loads as many modules as make `modules` together with the one that is there. All are small and differ.
pub(super) fn others(
    runtime: &dyn Runtime,
    options: Options,
    modules: u32,
    within: Duration,
) -> Result<Vec<Box<dyn Module>>> {
    if !(1..=MAX_MODULES).contains(&modules) {
        return Err(adapter(format!("1 to {MAX_MODULES} modules at a time")));
    }
    let start = Instant::now();
    let mut others = Vec::new();
    for number in 1..modules {
        let text = format!(
            r#"(module (memory (export "memory") 1)
              (func (export "add") (param i32) (result i32) (i32.add (local.get 0) (i32.const {number})))
              (func (export "trap") (param i32) (result i32) unreachable))"#
        );
        let wasm = wat::parse_str(text).map_err(|error| adapter(error.to_string()))?;
        others.push(runtime.compile(&wasm, &options)?);
        let spent = start.elapsed();
        let all = spent.saturating_mul(modules) / number;
        if (number >= ENOUGH || spent > within) && all > within {
            return Err(Error::unsupported(format!(
                "to load {modules} modules takes longer than the {:.0} s that it may take (more than {:.0} ms each)",
                within.as_secs_f64(),
                (within / modules).as_secs_f64() * 1e3,
            )));
        }
    }
    Ok(others)
}

/// Traps in so many instances, then as many fresh ones; the first round is the warm-up.
pub(super) fn traps(
    loaded: &Loaded,
    call: &Call,
    alive: u32,
    budget: Budget,
    repeat: Repeat,
) -> Result<Times> {
    let count = repeat.iterations.clamp(1, MAX_INSTANCES);
    let fresh = |live: &mut Vec<(Box<dyn Instance>, Entry)>| {
        for _ in 0..count {
            let mut instance = loaded.module.instantiate(budget)?;
            let entry = entry(instance.as_mut(), call)?;
            live.push((instance, entry));
        }
        Ok(())
    };
    let mut live = Vec::with_capacity(count as usize);
    fresh(&mut live)?;
    let mut ended = Vec::with_capacity(count as usize);
    let mut series = ["call", "trap"].map(|name| Series {
        name: name.to_owned(),
        batches: Vec::new(),
    });
    let mut returned = 0;
    for round in 0..=repeat.batches {
        let start = Instant::now();
        for (instance, entry) in &mut live {
            ended.push(instance.call(*entry, &call.arguments, call.budget));
        }
        let calls = start.elapsed();
        let start = Instant::now();
        live.clear();
        fresh(&mut live)?;
        let all = calls + start.elapsed();

        let due = Err(Error::trap(Stage::Call, Trap::Unreachable));
        if let Some(other) = ended.drain(..).find(|ended| *ended != due) {
            return Err(adapter(match other {
                Ok(value) => format!("a call that must trap returned {value}"),
                Err(error) => format!("a call that must execute `unreachable` failed to {error}"),
            }));
        }
        if let Some((instance, entry)) = live.first_mut() {
            returned |= instance.call(*entry, &[alive], call.budget)?;
        }
        if round > 0 {
            for (series, elapsed) in series.iter_mut().zip([calls, all]) {
                series.batches.push(Batch {
                    nanoseconds: nanoseconds(elapsed),
                    iterations: count,
                });
            }
        }
    }
    Ok(Times {
        series: series.into(),
        warm_up: count,
        returned,
        reads: Vec::new(),
    })
}

/// Resident memory of this process per instance: what making `count` of them adds, and what using them adds.
pub(crate) fn footprint(
    loaded: &mut Loaded,
    count: u64,
    budget: Budget,
    invocation: &Invocation,
) -> Result<Footprint> {
    if !(1..=MAX_INSTANCES).contains(&count) {
        return Err(adapter(format!("1 to {MAX_INSTANCES} instances at a time")));
    }
    let resident = || {
        system::resident_bytes(std::process::id()).ok_or_else(|| {
            Error::unsupported("the system does not say what memory of a process is resident")
        })
    };
    let (before, call, _) = parts(invocation)?;
    let used = |instance: &mut dyn Instance| {
        let entry = entry(instance, call)?;
        execute(instance, &before)?;
        instance.call(entry, &call.arguments, call.budget)
    };
    loaded.instance = None;
    // What the first instance alone brings is not each one's.
    used(loaded.module.instantiate(budget)?.as_mut())?;
    // Instances in memory that others left, or the compiler, would seem to take none.
    if !system::give_freed_memory_back() {
        return Err(Error::unsupported(
            "there is no telling freed memory from memory in use without glibc's malloc_trim",
        ));
    }
    let mut instances = Vec::with_capacity(count as usize);
    let none = resident()?;
    for _ in 0..count {
        instances.push(loaded.module.instantiate(budget)?);
    }
    let made = resident()?;
    for instance in &mut instances {
        used(instance.as_mut())?;
    }
    let all_used = resident()?;
    Ok(Footprint {
        rss_per_instance_bytes: made.saturating_sub(none) / count,
        rss_per_used_instance_bytes: all_used.saturating_sub(none) / count,
    })
}
