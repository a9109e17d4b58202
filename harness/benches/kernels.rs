//! Steady calls of every kernel of the core pack on the engines that run in this process, for who changes a kernel or an engine's adapter:
//! `cargo bench -p assay -- rope_f32`. Inputs, limits and expected outputs are those of `assay bench`, which is what counts: it has fresh
//! processes, budgets and native code beside it.
//!
//! Nothing is timed whose output was not right just before. A cell is made when its turn comes, so a filter costs nothing else. Without
//! `--bench`, as `cargo test --all-targets` runs it, each engine calls each kernel once at its smallest size.

use anyhow::{Context, Result};
use assay::{
    bench::job::{self, Job},
    registry,
};
use criterion::{Criterion, criterion_group, criterion_main};
use kernel_pack::{Pack, PackKernel, Policy, TrustList};
use runtime_api::{Budget, BudgetKind, Entry, Instance, Module, Options, Runtime};
use runtime_call::{Call, Invocation, execute};
use std::{
    path::Path,
    time::{Duration, Instant, SystemTime},
};

/// Engines that need no executable of their own; those that this build lacks are passed over with the reason.
const ENGINES: [&str; 3] = ["wasmtime.cranelift", "wasmtime.pulley", "wasmi"];
const SEED: u64 = 1;

/// A kernel with its inputs on an engine.
struct Cell {
    // Dropped in this order.
    instance: Box<dyn Instance>,
    _module: Box<dyn Module>,
    _runtime: Box<dyn Runtime>,
    entry: Entry,
    job: Job,
}

impl Cell {
    /// Compiles, places the inputs and checks one call.
    fn new(engine: &str, kernel: &PackKernel, size: &str) -> Result<Self> {
        let mut group = job::single(kernel, size, SEED)?;
        let job = group.jobs.remove(0);
        let runtime = registry::open(engine)?;
        let options = Options {
            limits: group.limits,
            metering: BudgetKind::None,
        };
        let module = runtime.compile(&group.wasm, &options)?;
        let mut instance = module.instantiate(Budget::None)?;
        let call = |export: &str, arguments: Vec<u32>| Call {
            export: export.to_owned(),
            arguments,
            budget: Budget::None,
        };
        let mut calls = Vec::new();
        if let Some(arguments) = job.init {
            calls.push(call(kernel_abi::export::INIT, arguments.to_vec()));
        }
        calls.push(call(&job.entry, vec![job.argument]));
        let invocation = Invocation {
            calls,
            reads: job.check_read().into_iter().collect(),
            ..job.writing()
        };
        let observation = execute(instance.as_mut(), &invocation)?;
        let after = observation
            .reads
            .first()
            .context("the call did not return")?;
        job.check(&after.0).map_err(anyhow::Error::msg)?;
        Ok(Self {
            entry: instance.entry(&job.entry, 1)?,
            instance,
            _module: module,
            _runtime: runtime,
            job,
        })
    }

    /// How long so many calls take; inputs that a call changes are written again first.
    fn time(&mut self, calls: u64) -> Result<Duration> {
        if self.job.restore {
            execute(self.instance.as_mut(), &self.job.writing())?;
        }
        let mut returned = 0;
        let start = Instant::now();
        for _ in 0..calls {
            let argument = std::hint::black_box(self.job.argument);
            returned |= self.instance.call(self.entry, &[argument], Budget::None)?;
        }
        let elapsed = start.elapsed();
        anyhow::ensure!(returned == 0, "a timed call returned {returned}");
        Ok(elapsed)
    }
}

fn core_pack() -> Result<Pack> {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/packs");
    let trust = TrustList::read(&packs.join("trusted_keys"))?;
    let policy = Policy::at(SystemTime::now());
    Ok(kernel_pack::verify(&packs.join("core"), &trust, &policy)?)
}

fn kernels(criterion: &mut Criterion) {
    let pack = core_pack().unwrap_or_else(|error| panic!("{error:#}"));
    let timed = std::env::args().any(|argument| argument == "--bench");
    for engine in ENGINES {
        if let Err(absent) = registry::open(engine) {
            eprintln!("{engine} is passed over: failed to {absent}");
            continue;
        }
        for kernel in pack.kernels() {
            let mut group = criterion.benchmark_group(format!("{}/{engine}", kernel.id()));
            let mut sizes = job::size_names(kernel.id());
            sizes.truncate(if timed { usize::MAX } else { 1 });
            for size in sizes {
                let mut cell = None;
                group.bench_function(format!("{}_{size}", kernel.id()), |bencher| {
                    let cell = cell.get_or_insert_with(|| {
                        Cell::new(engine, kernel, size)
                            .unwrap_or_else(|error| panic!("{engine}, {}: {error:#}", kernel.id()))
                    });
                    bencher.iter_custom(|calls| {
                        cell.time(calls)
                            .unwrap_or_else(|error| panic!("{engine}, {}: {error:#}", kernel.id()))
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = kernels
}
criterion_main!(benches);
