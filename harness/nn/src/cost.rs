//! `assay nn --cost`: what a call through WASI-NN costs.
//!
//! Per engine and model three ways by turns, in rounds: the guest computes and gets the output, so many times in one call; the kernel host is asked for
//! the same graph without a guest; native code computes the same graph. Per round nanoseconds per computation. Of the rounds the median, and the
//! middle 95 % of the medians of resampled rounds. One process: the intervals say nothing of another.

use crate::{
    check::keep,
    offer::{Offer, open},
    program::Arguments,
};
use anyhow::{Result, anyhow};
use assay::{exit, machine::Fingerprint, output::Output, statistics};
use runtime_api::{Budget, BudgetKind, Options, Runtime};
use runtime_nn::{
    Backend, Dtype, Encoding, Graph, Guest, Limits, Nn, Target, Tensor,
    check::{
        MODEL_GUEST,
        models::{self, How, Model, ModelGuest},
    },
};
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const ROUNDS: usize = 41;
const CALLS: u32 = 200;

#[derive(Serialize)]
struct Document {
    machine: Fingerprint,
    rounds: usize,
    calls: u32,
    rows: Vec<Row>,
    /// Bringing a named graph in: the first time in a process, and once more in another instance, with how many nodes it has; nanoseconds.
    loads: Vec<Loads>,
}

/// Nanoseconds per computation.
#[derive(Serialize)]
struct Row {
    engine: String,
    backend: &'static str,
    model: String,
    guest: Interval,
    direct: Interval,
    native: Interval,
}

#[derive(Serialize)]
struct Loads {
    backend: &'static str,
    model: String,
    first: f64,
    by_name: f64,
}

#[derive(Serialize)]
struct Interval {
    value: f64,
    low: f64,
    high: f64,
}

impl Interval {
    fn of(values: &[f64]) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let median = |values: &[f64]| statistics::median(values).unwrap_or_default();
        let mut medians: Vec<f64> = (0..statistics::RESAMPLES)
            .map(|_| {
                let drawn = values.iter().map(|_| values[random.usize(..values.len())]);
                median(&drawn.collect::<Vec<_>>())
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let percentile = |share: f64| medians[(share * (medians.len() - 1) as f64) as usize];
        Self {
            value: median(values),
            low: percentile(0.025),
            high: percentile(0.975),
        }
    }

    fn text(&self) -> String {
        format!("{:.0} ({:.0} to {:.0})", self.value, self.low, self.high)
    }
}

pub(crate) fn run(arguments: &Arguments, offer: &Offer, output: &Output) -> Result<exit::Exit> {
    let machine = Fingerprint::take();
    output.text(
        "| engine | backend | model | through WASI-NN, ns | the backend alone, ns | native, ns |\n|---|---|---|---|---|---|",
    )?;
    let mut rows = Vec::new();
    let mut loads = Vec::new();
    for engine in &offer.engines {
        let runtime = open(engine)?;
        for id in &offer.backends {
            let backend = offer.backend(id, engine)?;
            for model in models::all() {
                let row = row(&*runtime, &backend, &model)?;
                output.text(&format!(
                    "| {} | {} | {} | {} | {} | {} |",
                    row.engine,
                    row.backend,
                    row.model,
                    row.guest.text(),
                    row.direct.text(),
                    row.native.text()
                ))?;
                rows.push(row);
                if engine == &offer.engines[0] {
                    loads.push(load(&backend, &model)?);
                }
            }
        }
    }
    output.text("\n| backend | model | loaded the first time, ns | by name in a guest, ns |\n|---|---|---|---|")?;
    for load in &loads {
        let (first, by_name) = (load.first, load.by_name);
        output.text(&format!(
            "| {} | {} | {first:.0} | {by_name:.0} |",
            load.backend, load.model
        ))?;
    }
    let document = Document {
        machine,
        rounds: ROUNDS,
        calls: CALLS,
        rows,
        loads,
    };
    keep(arguments, "nn-cost.json", &document)?;
    output.document(&document)?;
    Ok(exit::Exit::Passed)
}

fn limits() -> Limits {
    Limits {
        compute: Duration::from_secs(60),
        time: Duration::from_secs(3600),
        ..Limits::default()
    }
}

fn loaded(backend: &dyn Backend, model: &Model) -> Result<Arc<dyn Graph>> {
    let parts = [model.graph(backend.encoding()).to_vec()];
    backend
        .load(&parts, Target::Cpu)
        .map_err(|error| anyhow!("failed to {error}"))
}

fn row(runtime: &dyn Runtime, backend: &Arc<dyn Backend>, model: &Model) -> Result<Row> {
    let failed = |error: runtime_api::Error| anyhow!("failed to {error}");
    let options = Options {
        limits: runtime_api::Limits::default(),
        metering: BudgetKind::Epoch,
    };
    let bytes = model.graph(backend.encoding()).to_vec();
    let nn = Nn::new(limits()).named(&model.name, &**backend, bytes);
    let nn = Arc::new(nn.map_err(|error| anyhow!("failed to {error}"))?);
    let guest = Guest::compile(runtime, MODEL_GUEST, &options, nn).map_err(failed)?;
    let budget = Budget::Epoch(100_000);
    let instance = guest.instantiate(budget).map_err(failed)?;
    let mut guest = ModelGuest::new(instance, budget).map_err(failed)?;
    let ran = guest.run(How::Name(&model.name), &model.inputs, 1);
    ran.map_err(failed)?
        .map_err(|(function, errno)| anyhow!("{function} answers {}", errno.name()))?;

    let inputs: Vec<Arc<Tensor>> = model.inputs.iter().cloned().map(Arc::new).collect();
    let direct = loaded(&**backend, model)?;
    let native = loaded(&runtime_nn::backends::Native::simd(), model)?;
    let compute = |graph: &dyn Graph| {
        for _ in 0..CALLS {
            let outputs = graph.compute(&inputs, limits().compute);
            assert!(outputs.is_ok_and(|outputs| outputs[0].dtype() == Dtype::F32));
        }
    };
    let mut rounds = [const { Vec::new() }; 3];
    for round in 0..=ROUNDS {
        let times = [
            timed(&mut || assert_eq!(guest.again(CALLS), Ok(0))),
            timed(&mut || compute(&*direct)),
            timed(&mut || compute(&*native)),
        ];
        // The first warms up.
        if round > 0 {
            rounds
                .iter_mut()
                .zip(times)
                .for_each(|(all, time)| all.push(time));
        }
    }
    let [guest, direct, native] = rounds.map(|values| Interval::of(&values));
    Ok(Row {
        engine: runtime.info().id.clone(),
        backend: backend.id(),
        model: model.name.clone(),
        guest,
        direct,
        native,
    })
}

/// Nanoseconds per call.
fn timed(work: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// The median time of loading, and of loading the same by its name in sessions of their own.
fn load(backend: &Arc<dyn Backend>, model: &Model) -> Result<Loads> {
    let nanoseconds = |work: &mut dyn FnMut()| {
        let times = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e9
        });
        statistics::median(&times.collect::<Vec<_>>()).unwrap_or_default()
    };
    let graph = model.graph(backend.encoding());
    let nn = Nn::new(limits()).backend(Arc::clone(backend)).named(
        &model.name,
        &**backend,
        graph.to_vec(),
    );
    let nn = Arc::new(nn.map_err(|error| anyhow!("failed to {error}"))?);
    let first = nanoseconds(&mut || {
        let mut session = nn.session();
        let parts = vec![graph.to_vec()];
        assert_eq!(
            session.load(parts, Encoding::Autodetect, Target::Cpu),
            Ok(0)
        );
    });
    let by_name = nanoseconds(&mut || {
        assert_eq!(nn.session().load_by_name(&model.name), Ok(0));
    });
    Ok(Loads {
        backend: backend.id(),
        model: model.name.clone(),
        first,
        by_name,
    })
}
