//! Whole invocations: stage by stage, on fresh instances, on one, and with a reset after each.

use super::{MAX_INSTANCES, Repeat, adapter, batches, entry, memory, nanoseconds};
use crate::{
    protocol::{Batch, Series, Times},
    server::Loaded,
};
use runtime_api::{Budget, Instance, Result};
use runtime_call::{Call, Fetched, Form, Image, Invocation, Read, Write, execute};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Modules among which one is looked up by name.
const NAMES: usize = 16;

/// Each stage for all instances before the next one, so that each lasts long enough for the clock.
pub(super) fn stages(
    loaded: &Loaded,
    budget: Budget,
    invocation: &Invocation,
    repeat: Repeat,
) -> Result<Times> {
    const NAMES_OF_STAGES: [&str; 7] = [
        "lookup",
        "instantiate",
        "resolve",
        "memory",
        "call",
        "fetch",
        "drop",
    ];
    let (before, call, after) = parts(invocation)?;
    let count = repeat.iterations.clamp(1, MAX_INSTANCES);
    let names = names();
    let wanted: Vec<String> = (0..count as usize).map(name).collect();
    let mut series = NAMES_OF_STAGES.map(|name| Series {
        name: name.to_owned(),
        batches: Vec::new(),
    });
    let mut returned = 0;
    let mut reads = Vec::new();
    // The first round is the warm-up.
    for round in 0..=repeat.batches {
        let mut elapsed = [Duration::ZERO; NAMES_OF_STAGES.len()];
        let mut instances = Vec::with_capacity(count as usize);
        let mut entries = Vec::with_capacity(count as usize);
        let mut fetched = Vec::with_capacity(count as usize);

        let start = Instant::now();
        for name in &wanted {
            std::hint::black_box(names.get(std::hint::black_box(name.as_str())));
        }
        elapsed[0] = start.elapsed();
        let start = Instant::now();
        for _ in 0..count {
            instances.push(loaded.module.instantiate(budget)?);
        }
        elapsed[1] = start.elapsed();
        let start = Instant::now();
        for instance in &mut instances {
            entries.push(entry(instance.as_mut(), call)?);
        }
        elapsed[2] = start.elapsed();
        let start = Instant::now();
        for instance in &mut instances {
            execute(instance.as_mut(), &before)?;
        }
        elapsed[3] = start.elapsed();
        let start = Instant::now();
        for (instance, entry) in instances.iter_mut().zip(&entries) {
            returned |= instance.call(*entry, &call.arguments, call.budget)?;
        }
        elapsed[4] = start.elapsed();
        let start = Instant::now();
        for instance in &mut instances {
            fetched.push(fetch(instance.as_mut(), after)?);
        }
        elapsed[5] = start.elapsed();
        let start = Instant::now();
        drop(instances);
        elapsed[6] = start.elapsed();

        if let Some(last) = fetched.pop() {
            reads = last;
        }
        if round == 0 {
            continue;
        }
        for (series, elapsed) in series.iter_mut().zip(elapsed) {
            series.batches.push(Batch {
                nanoseconds: nanoseconds(elapsed),
                iterations: count,
            });
        }
    }
    Ok(Times {
        series: series.into(),
        warm_up: count,
        returned,
        reads: as_fetched(reads),
    })
}

pub(super) fn path(
    loaded: &Loaded,
    budget: Budget,
    invocation: &Invocation,
    repeat: Repeat,
) -> Result<Times> {
    let (before, call, after) = parts(invocation)?;
    let names = names();
    let (mut returned, mut reads) = (0, Vec::new());
    let wanted = name(NAMES / 2);
    let mut times = batches("path", repeat, |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            std::hint::black_box(names.get(std::hint::black_box(wanted.as_str())));
            let mut instance = loaded.module.instantiate(budget)?;
            let entry = entry(instance.as_mut(), call)?;
            execute(instance.as_mut(), &before)?;
            returned |= instance.call(entry, &call.arguments, call.budget)?;
            reads = fetch(instance.as_mut(), after)?;
        }
        Ok(start.elapsed())
    })?;
    times.returned = returned;
    times.reads = as_fetched(reads);
    Ok(times)
}

pub(super) fn reuse(
    loaded: &mut Loaded,
    budget: Budget,
    invocation: &Invocation,
    repeat: Repeat,
) -> Result<Times> {
    let (before, call, after) = parts(invocation)?;
    loaded.instance = None;
    let instance = loaded
        .instance
        .insert(loaded.module.instantiate(budget)?)
        .as_mut();
    let entry = entry(instance, call)?;
    let (mut returned, mut reads) = (0, Vec::new());
    let mut times = batches("reuse", repeat, |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            execute(instance, &before)?;
            returned |= instance.call(entry, &call.arguments, call.budget)?;
            reads = fetch(instance, after)?;
        }
        Ok(start.elapsed())
    })?;
    times.returned = returned;
    times.reads = as_fetched(reads);
    Ok(times)
}

pub(super) fn reset(
    loaded: &mut Loaded,
    heap_base: u32,
    budget: Budget,
    invocation: &Invocation,
    repeat: Repeat,
) -> Result<Times> {
    let (before, call, after) = parts(invocation)?;
    loaded.instance = None;
    let instance = loaded
        .instance
        .insert(loaded.module.instantiate(budget)?)
        .as_mut();
    let entry = entry(instance, call)?;
    let image = Image::take(instance, heap_base)?;
    execute(instance, &before)?;
    let mut returned = instance.call(entry, &call.arguments, call.budget)?;
    let mut times = batches("reset", repeat, |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            image.restore(instance)?;
        }
        Ok(start.elapsed())
    })?;
    if Image::take(instance, heap_base)? != image {
        return Err(adapter("a reset does not restore memory".to_owned()));
    }
    let (names, wanted) = (names(), name(NAMES / 2));
    let mut reads = Vec::new();
    let pooled = batches("pooled", repeat, |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            std::hint::black_box(names.get(std::hint::black_box(wanted.as_str())));
            execute(instance, &before)?;
            returned |= instance.call(entry, &call.arguments, call.budget)?;
            reads = fetch(instance, after)?;
            image.restore(instance)?;
        }
        Ok(start.elapsed())
    })?;
    times.series.extend(pooled.series);
    times.warm_up += pooled.warm_up;
    times.returned = returned;
    times.reads = as_fetched(reads);
    Ok(times)
}

/// What comes before the one call, the call, and what is read after it.
pub(super) fn parts(invocation: &Invocation) -> Result<(Invocation, &Call, &[Read])> {
    let [call] = invocation.calls.as_slice() else {
        return Err(adapter("a timed invocation makes one call".to_owned()));
    };
    let bytes_only = |write: &Write| matches!(write, Write::Bytes { .. });
    if !invocation.writes.iter().all(bytes_only)
        || invocation.reads.iter().any(|read| read.form != Form::Bytes)
    {
        return Err(adapter("timed writes and reads are of bytes".to_owned()));
    }
    let before = Invocation {
        calls: Vec::new(),
        reads: Vec::new(),
        ..invocation.clone()
    };
    Ok((before, call, &invocation.reads))
}

pub(super) fn fetch(instance: &mut dyn Instance, reads: &[Read]) -> Result<Vec<Vec<u8>>> {
    reads
        .iter()
        .map(|read| memory(instance, read.at, read.length))
        .collect()
}

/// As a kernel registry has them: modules by name.
fn names() -> HashMap<String, usize> {
    (0..NAMES).map(|index| (name(index), index)).collect()
}

fn name(index: usize) -> String {
    format!("kernel_number_{}", index % NAMES)
}

pub(super) fn as_fetched(reads: Vec<Vec<u8>>) -> Vec<Fetched> {
    reads.into_iter().map(Fetched).collect()
}
