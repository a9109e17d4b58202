//! Everything that is shown of a run, derived from its records alone.

mod aims;
mod claims;
mod goals;
mod index;
mod metering;
mod noise;
mod tax;
mod words;

pub use claims::Claim;
pub use goals::{AgainstNative, Goal};
pub use metering::{Metering, Sentence};
pub use noise::{Noise, SelfComparison};
pub use tax::Tax;
pub(super) use words::is_yardstick;
pub use words::{Counts, Verdict, denominator};

use super::{
    job::budget_size,
    native,
    record::{Key, Record, Run},
};
use crate::{
    outcome::{Outcome, Whole},
    statistics::{self, Estimate, Ratio},
};
use index::Index;
use runtime_api::BudgetKind;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// All tables.
#[derive(Clone, Debug, Serialize)]
pub struct Tables {
    /// `pass` if every output that was checked was right.
    pub verdict: Whole,
    /// How the run was asked for, and where it ran.
    pub run: Run,
    /// How long it took, in seconds; `None` if it did not come to its end.
    pub seconds: Option<f64>,
    /// Groups of cells that were left out because the time was over, and all groups.
    pub left_out: (u64, u64),
    /// Class of size at which budgets are compared.
    pub budget_size: &'static str,
    /// Engines and their versions.
    pub engines: BTreeMap<String, String>,
    /// Times of calls and phases in nanoseconds per iteration.
    pub times: Vec<Time>,
    /// What this project aims at, beside what was measured.
    pub goals: Vec<Goal>,
    /// The figures of the design beside what was measured.
    pub claims: Vec<Claim>,
    /// What a call through the engine traits takes, over the same call by hand.
    pub tax: Vec<Tax>,
    /// What budgets cost: over no budget, in the same process, batch beside batch.
    pub budgets: Vec<Compared>,
    /// What budgets cost over all kernels.
    pub metering: Vec<Metering>,
    /// The same in a sentence for each engine.
    pub sentences: Vec<Sentence>,
    /// Kernels over the native build of the same source.
    pub kernels: Vec<Kernel>,
    /// The bandwidth of memory.
    pub ceilings: Vec<Ceiling>,
    /// Kernels on `wasmtime.cranelift` beside native code, for the goals.
    pub against_native: Vec<AgainstNative>,
    /// Geometric means of the ratios in `kernels`.
    pub means: Vec<Mean>,
    /// Things compared with themselves.
    pub noise: Vec<Noise>,
    /// The same in one word for each engine.
    pub self_comparisons: Vec<SelfComparison>,
    /// Where the overhead of a call falls below 10 %.
    pub crossovers: Vec<Crossover>,
    /// Fuel, sizes of code, memory.
    pub facts: Vec<Known>,
    /// Cells without a number, with the reason and the number of processes.
    pub not_measured: Vec<NotMeasured>,
}

/// A time.
#[derive(Clone, Debug, Serialize)]
pub struct Time {
    /// Of what.
    #[serde(flatten)]
    pub key: Key,
    /// Class of size.
    pub size: String,
    /// Nanoseconds per iteration.
    pub nanoseconds: Estimate,
}

/// A ratio of two cells.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// The cell that is compared: its budget or its quantity is the subject.
    #[serde(flatten)]
    pub key: Key,
    /// Class of size.
    pub size: String,
    /// Over what it is compared with.
    pub ratio: Ratio,
    /// The chance that a batch takes longer than one of the other: 0.5 is no effect.
    pub chance_longer: Option<f64>,
}

/// A kernel on an engine.
#[derive(Clone, Debug, Serialize)]
pub struct Kernel {
    /// Of what.
    #[serde(flatten)]
    pub key: Key,
    /// Class of size.
    pub size: String,
    /// Elements of the main tensor.
    pub elements: u64,
    /// Nanoseconds per call.
    pub nanoseconds: Estimate,
    /// Bytes read and written per nanosecond (GB/s).
    pub gigabytes_per_second: f64,
    /// Operations per nanosecond (GFLOP/s), where a formula says.
    pub gigaflops: Option<f64>,
    /// Share of the memory bandwidth that was measured on arrays of this size.
    pub bandwidth_share: Option<f64>,
    /// Over the native build for the baseline processor.
    pub over_native: Option<Ratio>,
    /// Over the native build for this processor.
    pub over_native_cpu: Option<Ratio>,
    /// Over native code of others, by its id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub over_others: BTreeMap<String, Ratio>,
}

/// A geometric mean over kernels.
#[derive(Clone, Debug, Serialize)]
pub struct Mean {
    /// Engine id.
    pub runtime: String,
    /// Variant.
    pub variant: String,
    /// Class of size.
    pub size: String,
    /// Mean of the ratios to the native baseline.
    pub over_native: f64,
    /// The largest of them, and whose.
    pub worst: (String, f64),
    /// Kernels in the mean: those that every engine with this variant has.
    pub kernels: usize,
    /// Kernels of this size and variant on any engine.
    pub of: usize,
}

/// What memory can do: the triad on arrays of this size.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    /// Which native build.
    pub runtime: String,
    /// Class of size.
    pub size: String,
    /// Bytes that a pass over the arrays reads and writes.
    pub bytes: u64,
    /// Bytes per nanosecond.
    pub gigabytes_per_second: Estimate,
}

/// The line through the times of a kernel.
#[derive(Clone, Debug, Serialize)]
pub struct Crossover {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// Nanoseconds before the first element.
    pub overhead_ns: f64,
    /// Nanoseconds per element.
    pub slope_ns: f64,
    /// Elements from which the overhead is below 10 %.
    pub elements: Option<f64>,
    /// Sizes that the line goes through.
    pub sizes: usize,
}

/// A number without noise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Known {
    /// Engine id.
    pub runtime: String,
    /// Its version.
    pub version: String,
    /// `fuel`, `code_bytes`, `peak_rss_bytes` or `clock_step_ns`.
    pub quantity: String,
    /// Kernel id; empty for the process.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// Shape, for fuel.
    pub case: String,
    /// Metering of the code, for sizes.
    pub metering: Option<BudgetKind>,
    /// The number; the largest where processes differ.
    pub value: u64,
    /// Whether all processes gave the same.
    pub constant: bool,
}

/// A cell without a number.
#[derive(Clone, Debug, Serialize)]
pub struct NotMeasured {
    /// Of what.
    #[serde(flatten)]
    pub key: Key,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// In so many processes.
    pub processes: usize,
}

impl Tables {
    /// Derives all tables; `None` if the records do not begin with a run.
    pub fn of(records: &[Record]) -> Option<Tables> {
        let Some(Record::Run(run)) = records.first() else {
            return None;
        };
        let index = Index::of(run.seed, records);
        let end = records.iter().find_map(|record| match record {
            Record::End(end) => Some(end),
            _ => None,
        });
        let not_measured = not_measured(records);
        let bad = not_measured.iter().any(|cell| cell.outcome.is_bad());
        let budgets = index.budgets();
        let kernels = index.kernels();
        let source = words::Source {
            run,
            index: &index,
            left_out: end.map_or(0, |end| end.left_out),
            started: records
                .iter()
                .filter_map(|record| match record {
                    Record::Engine(engine) => Some(engine.runtime.as_str()),
                    _ => None,
                })
                .collect(),
            not_measured: &not_measured,
            budgets: &budgets,
        };
        let tax = tax::all(&source);
        let metering = metering::all(&source);
        let claims = claims::claims(&source, &metering);
        let (noise, self_comparisons) = noise::noise(&source);
        let (goals, against_native) =
            goals::goals(&source, &tax, &metering, &kernels, &self_comparisons);
        // A run that shows nothing has not passed; emulated, it is not to show times.
        let engines_shown = index
            .rounds
            .keys()
            .any(|key| !key.runtime.starts_with(native::BASELINE));
        let shown = engines_shown || run.fingerprint.emulated.is_some();
        let passed = !bad && end.is_some() && shown;
        Some(Tables {
            verdict: Whole::of(!passed),
            run: (**run).clone(),
            seconds: end.map(|end| end.seconds),
            left_out: end.map_or((0, 0), |end| (end.left_out, end.groups)),
            budget_size: budget_size(run.quick),
            engines: records
                .iter()
                .filter_map(|record| match record {
                    Record::Engine(engine) => {
                        Some((engine.runtime.clone(), engine.info.version.clone()))
                    }
                    _ => None,
                })
                .collect(),
            times: index.times(),
            goals,
            claims,
            tax,
            sentences: metering::sentences(&metering),
            metering,
            budgets,
            ceilings: index.ceilings(),
            against_native,
            means: means(&kernels),
            kernels,
            noise,
            self_comparisons,
            crossovers: index.crossovers(),
            facts: facts(records),
            not_measured,
        })
    }
}

fn means(kernels: &[Kernel]) -> Vec<Mean> {
    type Ratios<'a> = BTreeMap<&'a str, f64>;
    let mut groups: BTreeMap<(&str, &str), BTreeMap<&str, Ratios<'_>>> = BTreeMap::new();
    for kernel in kernels {
        if let Some(ratio) = &kernel.over_native
            && !is_yardstick(&kernel.key.runtime)
        {
            groups
                .entry((&kernel.size, &kernel.key.variant))
                .or_default()
                .entry(&kernel.key.runtime)
                .or_default()
                .insert(&kernel.key.kernel, ratio.estimate.value);
        }
    }
    let mut means = Vec::new();
    for ((size, variant), engines) in groups {
        if size == "empty" {
            continue;
        }
        let all: BTreeSet<&str> = engines.values().flat_map(|r| r.keys().copied()).collect();
        let shared: Vec<&str> = all
            .iter()
            .copied()
            .filter(|kernel| engines.values().all(|ratios| ratios.contains_key(kernel)))
            .collect();
        for (runtime, ratios) in engines {
            let values: Vec<f64> = shared.iter().map(|kernel| ratios[kernel]).collect();
            let worst = shared
                .iter()
                .map(|kernel| ((*kernel).to_owned(), ratios[kernel]))
                .max_by(|a, b| a.1.total_cmp(&b.1));
            if let (Some(over_native), Some(worst)) = (statistics::geometric_mean(&values), worst) {
                means.push(Mean {
                    runtime: runtime.to_owned(),
                    variant: variant.to_owned(),
                    size: size.to_owned(),
                    over_native,
                    worst,
                    kernels: shared.len(),
                    of: all.len(),
                });
            }
        }
    }
    means
}

fn facts(records: &[Record]) -> Vec<Known> {
    let mut known: BTreeMap<_, BTreeSet<u64>> = BTreeMap::new();
    for record in records {
        if let Record::Fact(fact) = record {
            // The peak of a process is the largest of what it said.
            let of_process = ["peak_rss_bytes", "clock_step_ns"].contains(&fact.quantity.as_str());
            let part = |text: &String| {
                if of_process {
                    String::new()
                } else {
                    text.clone()
                }
            };
            known
                .entry((
                    fact.runtime.clone(),
                    fact.version.clone(),
                    fact.quantity.clone(),
                    part(&fact.kernel),
                    part(&fact.variant),
                    part(&fact.case),
                    fact.metering,
                ))
                .or_default()
                .insert(fact.value);
        }
    }
    known
        .into_iter()
        .map(
            |((runtime, version, quantity, kernel, variant, case, metering), values)| Known {
                runtime,
                version,
                quantity,
                kernel,
                variant,
                case,
                metering,
                constant: values.len() == 1,
                value: values.last().copied().unwrap_or_default(),
            },
        )
        .collect()
}

fn not_measured(records: &[Record]) -> Vec<NotMeasured> {
    let mut cells: BTreeMap<(Key, Outcome, String), BTreeSet<u32>> = BTreeMap::new();
    for record in records {
        if let Record::Cell(cell) = record
            && cell.outcome != Outcome::Pass
        {
            cells
                .entry((cell.key.clone(), cell.outcome, cell.detail.clone()))
                .or_default()
                .insert(cell.process);
        }
    }
    cells
        .into_iter()
        .map(|((key, outcome, reason), processes)| NotMeasured {
            key,
            outcome,
            reason,
            processes: processes.len(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
