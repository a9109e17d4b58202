//! What a call through the host costs beyond the adapter's own: `cargo run --release -p runtime-host --features wasmtime,wasmi --example
//! overhead -- PACK TRUST_LIST`. Prints a table for each engine, and calls per second from 1 to 8 threads.
//!
//! Method: rounds of a few thousand calls by turns, host and adapter, on one thread and one instance each, of rmsnorm_f32 with one row of 16
//! elements; per round nanoseconds per call, of 41 rounds the median and the interval of the middle 95 % of medians of resampled rounds.
//! What a host adds is taken round by round; *least* is the difference of the quickest rounds, which what else a machine does disturbs
//! least. Threads: 8 rounds of a quarter of a second, host and adapter by turns, an instance for each thread. Of a round the calls per second,
//! and the processor time of the process per call, which a machine that is busy leaves as it is: a lock that threads spin on, or memory that
//! they take from each other, shows in it. The classes of devices are compared with the same engine: for `Threaded` its instances are bound to threads.

use runtime_api::{Info, Instance, Limits, Module, Options};
use runtime_host::{Budget, DeviceClass, Host, Measure, Runtime, Sizes, Trust};
use std::{
    error::Error,
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const KERNEL: &str = "rmsnorm_f32";
const HIDDEN: u32 = 16;
const ROUNDS: usize = 41;
const CALLS: u32 = 4000;

/// Much, because on a busy machine a thread may wait long for a processor.
const EPOCH: Budget = Budget::Epoch(1000);

type Open = fn() -> runtime_api::Result<Box<dyn Runtime>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(pack), Some(keys)) = (arguments.next(), arguments.next()) else {
        return Err("name a pack and a list of trusted keys".into());
    };
    let (pack, keys) = (Path::new(&pack), Path::new(&keys));
    let engines: [(&str, Open, Budget); 4] = [
        ("wasmtime.cranelift", runtime_wasmtime::cranelift, EPOCH),
        (
            "wasmtime.cranelift",
            runtime_wasmtime::cranelift,
            Budget::Fuel(1 << 30),
        ),
        ("wasmtime.pulley", runtime_wasmtime::pulley, EPOCH),
        ("wasmi", runtime_wasmi::runtime, Budget::Fuel(1 << 30)),
    ];
    println!(
        "| engine | budget | adapter alone, ns | host, ns | host adds, ns | least | host with latencies adds, ns | least |\n|---|---|---|---|---|---|---|---|"
    );
    for (name, open, budget) in engines {
        let host = |measure| -> Result<Host, Box<dyn Error>> {
            let host = Host::builder()
                .engine(open()?)
                .trust(Trust::file(keys))
                .budget(budget)
                .measure(measure)
                .build()?;
            host.upgrade(pack)?;
            Ok(host)
        };
        let (counts, latencies) = (host(Measure::Counts)?, host(Measure::Latency)?);
        let mut alone = alone(open, pack, keys, budget)?;
        let mut rounds = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            rounds[0].push(timed(&mut alone));
            rounds[1].push(timed(&mut || call(&counts)));
            rounds[2].push(timed(&mut || call(&latencies)));
        }
        let beyond = |index: usize| -> Vec<f64> {
            let pairs = rounds[index].iter().zip(&rounds[0]);
            pairs.map(|(host, alone)| host - alone).collect()
        };
        let quickest = |index: usize| rounds[index].iter().copied().fold(f64::MAX, f64::min);
        println!(
            "| {name} | {budget:?} | {} | {} | {} | {:.0} | {} | {:.0} |",
            summary(&rounds[0]),
            summary(&rounds[1]),
            summary(&beyond(1)),
            quickest(1) - quickest(0),
            summary(&beyond(2)),
            quickest(2) - quickest(0)
        );
    }
    threads(pack, keys)?;
    classes(pack, keys)
}

/// Prints the calls per second of several threads at once.
fn threads(pack: &Path, keys: &Path) -> Result<(), Box<dyn Error>> {
    let host = Host::builder()
        .engine(runtime_wasmtime::cranelift()?)
        .trust(Trust::file(keys))
        .budget(EPOCH)
        .build()?;
    host.upgrade(pack)?;
    println!(
        "\n| threads | host, million calls per second | host, ns of a processor per call | adapter alone, ns of a processor per call |\n|---|---|---|---|"
    );
    for threads in [1, 2, 4, 8] {
        let (mut rates, mut of_host, mut of_adapter) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..8 {
            let (rate, nanoseconds) = throughput(threads, || || call(&host));
            rates.push(rate / 1e6);
            of_host.push(nanoseconds);
            of_adapter.push(
                throughput(threads, || {
                    alone(runtime_wasmtime::cranelift, pack, keys, EPOCH)
                        .expect("it was opened before this")
                })
                .1,
            );
        }
        println!(
            "| {threads} | {:.2}, best {:.2} | {} | {} |",
            median(&rates),
            rates.iter().copied().fold(0.0, f64::max),
            summary(&of_host),
            summary(&of_adapter)
        );
    }
    Ok(())
}

/// Prints what a call costs where the host serves on the caller's thread, and where it serves on threads of its own.
fn classes(pack: &Path, keys: &Path) -> Result<(), Box<dyn Error>> {
    println!(
        "\n| class | threads that call | million calls per second | ns of a processor per call | ns of the clock per call, one thread |\n|---|---|---|---|---|"
    );
    for class in [
        DeviceClass::Server,
        DeviceClass::Threaded(1),
        DeviceClass::Threaded(2),
    ] {
        let engine = runtime_wasmtime::cranelift()?;
        let engine = match class {
            DeviceClass::Threaded(_) => Box::new(Bound(engine)),
            _ => engine,
        };
        let host = Host::builder()
            .class(class)
            .engine(engine)
            .trust(Trust::file(keys))
            .budget(EPOCH)
            .build()?;
        host.upgrade(pack)?;
        let alone: Vec<f64> = (0..ROUNDS).map(|_| timed(&mut || call(&host))).collect();
        for threads in [1, 2, 4, 8] {
            let (rates, nanoseconds): (Vec<f64>, Vec<f64>) = (0..8)
                .map(|_| throughput(threads, || || call(&host)))
                .unzip();
            println!(
                "| {class:?} | {threads} | {:.2} | {} | {} |",
                median(&rates) / 1e6,
                summary(&nanoseconds),
                if threads == 1 {
                    summary(&alone)
                } else {
                    String::new()
                }
            );
        }
    }
    Ok(())
}

/// An engine whose instances stay on the thread that made them.
struct Bound(Box<dyn Runtime>);

impl Runtime for Bound {
    fn info(&self) -> &Info {
        self.0.info()
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> runtime_api::Result<Box<dyn Module>> {
        Ok(Box::new(BoundModule(self.0.compile(wasm, options)?)))
    }
}

struct BoundModule(Box<dyn Module>);

impl Module for BoundModule {
    fn instantiate(&self, budget: Budget) -> runtime_api::Result<Box<dyn Instance>> {
        self.0.instantiate(budget)
    }
}

fn params() -> [u8; 12] {
    let mut params = [0; 12];
    params[..4].copy_from_slice(&1e-5_f32.to_le_bytes());
    params[4..8].copy_from_slice(&HIDDEN.to_le_bytes());
    params[8..].copy_from_slice(&1_u32.to_le_bytes());
    params
}

const SIZES: Sizes = Sizes {
    a: 4 * HIDDEN,
    b: 4 * HIDDEN,
    output: 4 * HIDDEN,
    scratch: 0,
};

/// A call through the host, whose tensors stay as they are.
fn call(host: &Host) {
    let served = host.call_in_place(KERNEL, &params(), SIZES, false, &mut |_, _| {}, &mut |_| {});
    assert!(served.is_ok());
}

/// The adapter's own call, of the same module with the same tensors.
fn alone(
    open: Open,
    pack: &Path,
    keys: &Path,
    budget: Budget,
) -> Result<impl FnMut(), Box<dyn Error>> {
    let trust = kernel_pack::TrustList::read(keys)?;
    let policy = kernel_pack::Policy::at(std::time::SystemTime::now());
    let pack = kernel_pack::verify(pack, &trust, &policy)?;
    let kernel = pack.kernel(KERNEL).ok_or("the pack has no rmsnorm_f32")?;
    let runtime = open()?;
    let features = &runtime.info().capabilities.features;
    let features = features
        .iter()
        .filter_map(|name| kernel_pack::Feature::parse(name))
        .collect();
    let (wasm, facts) = match kernel.variant_for(&features) {
        Some(variant) => (variant.wasm(), variant.facts()),
        None => (kernel.wasm(), kernel.facts()),
    };
    let options = Options {
        limits: Limits::default(),
        metering: budget.kind(),
    };
    let mut instance = runtime.compile(wasm, &options)?.instantiate(budget)?;
    let init = instance.entry("kernel_init", 2)?;
    let entry = instance.entry(kernel.entry_point(), 1)?;
    let placed =
        runtime_call::Placed::new(instance.as_mut(), &params(), SIZES, facts.heap_base, 64)?;
    runtime_call::initialise(instance.as_mut(), init, placed.regions().params, budget)?;
    let descriptor = placed.descriptor_address();
    Ok(move || {
        // The engine must live as long as its instance.
        let _engine = &runtime;
        assert_eq!(instance.call(entry, &[descriptor], budget), Ok(0));
    })
}

/// Nanoseconds per call.
fn timed(call: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    (0..CALLS).for_each(|_| call());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The median, and an interval for it from 1000 resamples.
fn summary(values: &[f64]) -> String {
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut medians: Vec<f64> = (0..1000)
        .map(|_| {
            let resampled: Vec<f64> = values
                .iter()
                .map(|_| values[random() % values.len()])
                .collect();
            median(&resampled)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    format!(
        "{:.0} ({:.0} to {:.0})",
        median(values),
        medians[25],
        medians[974]
    )
}

/// Calls per second of so many threads, each of which makes what it calls, and nanoseconds of a processor per call.
fn throughput<C: FnMut()>(threads: usize, make: impl Fn() -> C + Sync) -> (f64, f64) {
    let (ended, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let (ready, time) = (Barrier::new(threads + 1), Duration::from_millis(250));
    let mut before = 0.0;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut call = make();
                call();
                ready.wait();
                let mut made = 0;
                while !ended.load(Ordering::Relaxed) {
                    call();
                    made += 1;
                }
                calls.fetch_add(made, Ordering::Relaxed);
            });
        }
        ready.wait();
        before = processor_seconds();
        std::thread::sleep(time);
        ended.store(true, Ordering::Relaxed);
    });
    let calls = calls.into_inner() as f64;
    let spent = processor_seconds() - before;
    (calls / time.as_secs_f64(), 1e9 * spent / calls)
}

/// Of all threads of this process.
fn processor_seconds() -> f64 {
    cpu_time::ProcessTime::now().as_duration().as_secs_f64()
}
