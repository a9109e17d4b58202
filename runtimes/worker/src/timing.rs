//! The timed loops of a worker: between the two looks at the clock there is nothing but what is measured.

mod instances;
mod invocations;

use super::{
    protocol::{Batch, Series, Timed, Times},
    server::{Loaded, live},
};
pub(super) use instances::footprint;
use invocations::{path, reset, reuse, stages};
use runtime_api::{Entry, Error, Instance, Result, Runtime, inside};
use runtime_cache::{Cache, Source};
use runtime_call::Call;
use std::time::{Duration, Instant};

/// A batch lasts at least this many steps of the clock.
const STEPS: u64 = 1000;
/// Batches of a request: what a wire message may ask for is bounded.
const MAX_BATCHES: u32 = 10_000;
/// Instances that stages have at the same time.
const MAX_INSTANCES: u64 = 64;

/// How often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    pub(super) iterations: u64,
    pub(super) batch_ns: u64,
    pub(super) batches: u32,
}

/// Times `what` on a loaded module. After a trap its instance is gone.
pub(super) fn time(
    runtime: &dyn Runtime,
    loaded: &mut Loaded,
    number: u64,
    what: &Timed,
    repeat: Repeat,
) -> Result<Times> {
    if repeat.batches > MAX_BATCHES {
        return Err(adapter(format!("at most {MAX_BATCHES} batches at a time")));
    }
    let result = match what {
        Timed::Call { call } => calls(live(loaded, number)?, call, repeat),
        Timed::Hand { call } => by_hand(live(loaded, number)?, call, repeat),
        Timed::Validate => batches("validate", repeat, |iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                runtime.validate(&loaded.wasm)?;
            }
            Ok(start.elapsed())
        }),
        Timed::Compile => batches("compile", repeat, |iterations| {
            let mut elapsed = Duration::ZERO;
            for _ in 0..iterations {
                let start = Instant::now();
                let module = runtime.compile(&loaded.wasm, &loaded.options)?;
                elapsed += start.elapsed();
                drop(module);
            }
            Ok(elapsed)
        }),
        Timed::LoadCached => load_cached(runtime, loaded, repeat),
        Timed::Write { at, length } => {
            let instance = live(loaded, number)?;
            let bytes = memory(instance, *at, *length)?;
            batches("write", repeat, |iterations| {
                let start = Instant::now();
                for _ in 0..iterations {
                    instance.write(*at, &bytes)?;
                }
                Ok(start.elapsed())
            })
        }
        Timed::Read { at, length } => {
            let instance = live(loaded, number)?;
            let mut bytes = memory(instance, *at, *length)?;
            batches("read", repeat, |iterations| {
                let start = Instant::now();
                for _ in 0..iterations {
                    instance.read(*at, &mut bytes)?;
                }
                Ok(start.elapsed())
            })
        }
        Timed::Stages { budget, invocation } => stages(loaded, *budget, invocation, repeat),
        Timed::Path { budget, invocation } => path(loaded, *budget, invocation, repeat),
        Timed::Reuse { budget, invocation } => reuse(loaded, *budget, invocation, repeat),
        Timed::Batch { call } => batch(live(loaded, number)?, call, repeat),
        Timed::InPlace { at, length } => in_place(live(loaded, number)?, *at, *length, repeat),
        Timed::Reset {
            heap_base,
            budget,
            invocation,
        } => reset(loaded, *heap_base, *budget, invocation, repeat),
        Timed::Traps {
            call,
            alive,
            budget,
            modules,
            within_ms,
        } => {
            let _others = instances::others(
                runtime,
                loaded.options,
                *modules,
                Duration::from_millis(*within_ms),
            )?;
            instances::traps(loaded, call, *alive, *budget, repeat)
        }
    };
    if matches!(result, Err(Error::Trap { .. })) {
        loaded.instance = None;
    }
    result
}

fn calls(instance: &mut dyn Instance, call: &Call, repeat: Repeat) -> Result<Times> {
    let entry = entry(instance, call)?;
    let mut returned = 0;
    let mut times = batches("call", repeat, |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            returned |= instance.call(entry, &call.arguments, call.budget)?;
        }
        Ok(start.elapsed())
    })?;
    times.returned = returned;
    Ok(times)
}

fn by_hand(instance: &mut dyn Instance, call: &Call, repeat: Repeat) -> Result<Times> {
    let entry = entry(instance, call)?;
    let mut returned = 0;
    let mut times = batches("hand", repeat, |iterations| {
        let (elapsed, value) =
            instance.call_by_hand(entry, &call.arguments, call.budget, iterations)?;
        returned |= value;
        Ok(elapsed)
    })?;
    times.returned = returned;
    Ok(times)
}

/// Most memory that this process ever had resident, where the system says.
pub(super) fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The smallest difference between two looks at the clock that differ.
pub(super) fn clock_step_ns() -> u64 {
    let step = || {
        let start = Instant::now();
        loop {
            let elapsed = start.elapsed();
            if !elapsed.is_zero() {
                return elapsed.as_nanos() as u64;
            }
        }
    };
    (0..100).map(|_| step()).min().unwrap_or(1).max(1)
}

/// Finds out how often where that is not said, then runs the batches.
fn batches(
    name: &str,
    repeat: Repeat,
    mut run: impl FnMut(u64) -> Result<Duration>,
) -> Result<Times> {
    let mut batches = Vec::new();
    let (iterations, warm_up) = if repeat.iterations > 0 {
        (repeat.iterations, 0)
    } else {
        let least = STEPS.saturating_mul(clock_step_ns()).max(repeat.batch_ns);
        let (enough, warm_up) = calibrate(least, &mut run)?;
        batches.push(enough);
        (enough.iterations, warm_up)
    };
    while batches.len() < repeat.batches as usize {
        batches.push(Batch {
            nanoseconds: nanoseconds(run(iterations)?),
            iterations,
        });
    }
    Ok(Times {
        series: vec![Series {
            name: name.to_owned(),
            batches,
        }],
        warm_up,
        returned: 0,
        reads: Vec::new(),
    })
}

/// The first batch that lasts at least `least` nanoseconds, and how many iterations came before it.
fn calibrate(least: u64, run: &mut impl FnMut(u64) -> Result<Duration>) -> Result<(Batch, u64)> {
    let mut iterations = 1_u64;
    let mut warm_up = 0_u64;
    loop {
        let elapsed = nanoseconds(run(iterations)?).max(1);
        if elapsed >= least {
            let enough = Batch {
                nanoseconds: elapsed,
                iterations,
            };
            return Ok((enough, warm_up));
        }
        warm_up = warm_up.saturating_add(iterations);
        // A little more than it seems to take, and at most tenfold: the first iterations are slow.
        let wanted = u128::from(iterations) * u128::from(least) * 11 / (u128::from(elapsed) * 10);
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        iterations = wanted.clamp(iterations.saturating_add(1), iterations.saturating_mul(10));
    }
}

/// From a cache of its own, made for this: what a process does that finds its modules compiled.
fn load_cached(runtime: &dyn Runtime, loaded: &Loaded, repeat: Repeat) -> Result<Times> {
    if cfg!(not(unix)) {
        return Err(Error::unsupported(
            "a cache of compiled code needs owners and modes of files, as Unix has them",
        ));
    }
    let folder = tempfile::tempdir().map_err(|error| adapter(error.to_string()))?;
    // A folder below, which the cache makes itself: it takes none that others may look into.
    let cache = Cache::open(&folder.path().join("cache")).map_err(adapter)?;
    let load = || cache.compile(runtime, &loaded.wasm, &loaded.options);
    match load()? {
        (_, Source::NotKept) => {
            // Says why, where the engine has no such form.
            let code = runtime.precompile(&loaded.wasm, &loaded.options)?;
            return Err(adapter(format!(
                "{} bytes of code could not be kept",
                code.len()
            )));
        }
        (_, Source::Kept | Source::Cache) => {}
    }
    batches("load-cached", repeat, |iterations| {
        let mut elapsed = Duration::ZERO;
        for _ in 0..iterations {
            let start = Instant::now();
            let (module, source) = load()?;
            elapsed += start.elapsed();
            drop(module);
            if source != Source::Cache {
                return Err(adapter("the module was compiled again".to_owned()));
            }
        }
        Ok(elapsed)
    })
}

/// Calls in batches, one for each argument.
fn batch(instance: &mut dyn Instance, call: &Call, repeat: Repeat) -> Result<Times> {
    let calls = call.arguments.len() as u64;
    if calls == 0 {
        return Err(adapter("a batch has at least one call".to_owned()));
    }
    let entry = instance.entry(&call.export, 1)?;
    let repeat = Repeat {
        iterations: repeat.iterations.div_ceil(calls),
        ..repeat
    };
    let mut times = batches("batch", repeat, |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            instance
                .call_batch(entry, &call.arguments, call.budget)
                .map_err(|stopped| stopped.error)?;
        }
        Ok(start.elapsed())
    })?;
    times.warm_up = times.warm_up.saturating_mul(calls);
    for batch in times.series.iter_mut().flat_map(|one| &mut one.batches) {
        batch.iterations = batch.iterations.saturating_mul(calls);
    }
    Ok(times)
}

fn in_place(instance: &mut dyn Instance, at: u32, length: u32, repeat: Repeat) -> Result<Times> {
    let bytes = memory(instance, at, length)?;
    // The bytes are there already: others show that they come from here.
    let others: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    for wanted in [&others, &bytes] {
        instance.with_memory(at, length, &mut |place| {
            if place.len() == wanted.len() {
                place.copy_from_slice(wanted);
            }
        })?;
        if memory(instance, at, length)? != *wanted {
            return Err(adapter(
                "what was written in place does not read back".to_owned(),
            ));
        }
    }
    batches("in-place", repeat, |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            instance.with_memory(at, length, &mut |place| place.copy_from_slice(&bytes))?;
        }
        Ok(start.elapsed())
    })
}

/// Bytes of memory; what a wire message asks for is allocated only if memory has it.
fn memory(instance: &mut dyn Instance, at: u32, length: u32) -> Result<Vec<u8>> {
    let memory_bytes = u64::from(instance.memory_pages()?) * 65_536;
    inside(at, length.into(), memory_bytes)?;
    let mut bytes = vec![0; length as usize];
    instance.read(at, &mut bytes)?;
    Ok(bytes)
}

fn entry(instance: &mut dyn Instance, call: &Call) -> Result<Entry> {
    instance.entry(&call.export, call.arguments.len())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn adapter(message: String) -> Error {
    Error::Adapter { message }
}
