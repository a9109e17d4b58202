//! One process's share of a measurement.

use crate::{
    cache::Format,
    engines::{self, ENGINES, Limit},
    generate::{Session, greedy},
    hosted::{Hosted, Source},
    kernels::{Kernels, Native, Timed, processor_time},
    model::Model,
};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Who ran the kernels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// `native`, or an engine's id.
    pub engine: String,
    /// The budget of its calls; native code has none.
    pub limit: Option<Limit>,
}

impl Way {
    /// Native kernels.
    pub fn native() -> Self {
        Self {
            engine: "native".to_owned(),
            limit: None,
        }
    }

    /// Native kernels once more, beside the first: what is measured of two that are the same.
    pub fn control() -> Self {
        Self {
            engine: "native, again".to_owned(),
            limit: None,
        }
    }

    /// Native kernels, the same again, and each engine of this build that has SIMD, with each budget that it has.
    ///
    /// # Errors
    /// An engine that does not start.
    pub fn all() -> Result<Vec<Self>> {
        let mut ways = vec![Self::native(), Self::control()];
        for id in ENGINES {
            let engine = engines::open(id)?;
            let able = &engine.info().capabilities;
            // The modules for engines without lanes have other bits than native code with them.
            if !able.features.iter().any(|feature| feature == "simd") {
                continue;
            }
            let budgets = &able.budgets;
            let limits = Limit::ALL
                .into_iter()
                .filter(|limit| budgets.contains(&limit.budget().kind()));
            ways.extend(limits.map(|limit| Self {
                engine: (*id).to_owned(),
                limit: Some(limit),
            }));
        }
        Ok(ways)
    }

    /// As tables call it.
    pub fn name(&self) -> String {
        match self.limit {
            Some(limit) => format!("{}, {}", self.engine, limit.name()),
            None => self.engine.clone(),
        }
    }
}

/// What one process measured of one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Which way.
    pub way: Way,
    /// Milliseconds of processor time of each token, of all threads of the process.
    pub milliseconds: Vec<f64>,
    /// Milliseconds of each token by the clock.
    pub wall: Vec<f64>,
    /// The same as `milliseconds` for tokens of which each call of a kernel was timed.
    pub clocked: Vec<f64>,
    /// Of each kernel, calls in such a token, and milliseconds of processor time of them, for each token.
    pub kernels: BTreeMap<String, (u64, Vec<f64>)>,
}

/// What one process measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// One for each way, native first.
    pub series: Vec<Series>,
}

/// Generates tokens the native way, and has each other way compute the same token right before or after, in an order drawn anew for
/// each token: `tokens` as they are, then half as many with a clock around each call of a kernel. Every way has a cache of its own.
/// Logits are compared bit by bit, outside of what is timed.
///
/// # Errors
/// Those of the engines and of the model; logits that differ.
pub fn take(
    model: &Model,
    source: &Source,
    ways: &[Way],
    format: Format,
    prompt: &[u32],
    tokens: usize,
    seed: u64,
) -> Result<Sample> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut runs = Vec::new();
    let mut logits = Vec::new();
    for way in ways {
        let mut run = Run::new(model, source, way, format)?;
        logits = run.session.feed(prompt)?;
        runs.push(run);
    }
    let mut order: Vec<usize> = (0..ways.len()).collect();
    for index in 0..tokens + tokens.div_ceil(2) {
        let token = greedy(&logits);
        random.shuffle(&mut order);
        let mut answers = vec![Vec::new(); ways.len()];
        for &way in &order {
            answers[way] = if index < tokens {
                runs[way].token(token)?
            } else {
                runs[way].clocked_token(token)?
            };
        }
        for (way, answer) in ways.iter().zip(&answers) {
            let mut both = answer.iter().zip(&answers[0]);
            ensure!(
                both.all(|(one, other)| one.to_bits() == other.to_bits()),
                "{} gives other logits than {}",
                way.name(),
                ways[0].name()
            );
        }
        logits = answers.swap_remove(0);
    }
    Ok(Sample {
        series: runs.into_iter().map(|run| run.series).collect(),
    })
}

/// A way at work.
struct Run<'a> {
    session: Session<'a, Timed<Box<dyn Kernels>>>,
    series: Series,
}

impl<'a> Run<'a> {
    fn new(model: &'a Model, source: &Source, way: &Way, format: Format) -> Result<Self> {
        let kernels: Box<dyn Kernels> = match way.limit {
            None => Box::new(Native { simd: true }),
            Some(limit) => Box::new(Hosted::open(source, &way.engine, limit.budget())?),
        };
        Ok(Self {
            session: Session::new(model, format, Timed::new(kernels)),
            series: Series {
                way: way.clone(),
                milliseconds: Vec::new(),
                wall: Vec::new(),
                clocked: Vec::new(),
                kernels: BTreeMap::new(),
            },
        })
    }

    fn token(&mut self, token: u32) -> Result<Vec<f32>> {
        let (wall, processor) = (Instant::now(), processor_time());
        let logits = self.session.feed(&[token])?;
        let (wall, processor) = (wall.elapsed(), processor_time() - processor);
        self.series.wall.push(milliseconds(wall));
        self.series.milliseconds.push(milliseconds(processor));
        Ok(logits)
    }

    fn clocked_token(&mut self, token: u32) -> Result<Vec<f32>> {
        self.session.kernels.is_on = true;
        let start = processor_time();
        let logits = self.session.feed(&[token])?;
        self.series
            .clocked
            .push(milliseconds(processor_time() - start));
        for (kernel, spent) in self.session.kernels.take() {
            let (calls, times) = self
                .series
                .kernels
                .entry(kernel.id().to_owned())
                .or_default();
            *calls = spent.calls;
            times.push(milliseconds(spent.time));
        }
        Ok(logits)
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
