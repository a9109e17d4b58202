//! Everything that is shown of a run, derived from its records alone.

use super::{
    job::budget_size,
    native,
    record::{Cell, Key, Record, Run, Twin},
};
use crate::{
    outcome::Outcome,
    statistics::{self, Estimate, Processes, Ratio, Word},
};
use runtime_api::BudgetKind;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a claim said of epochs: at most 5 %.
const EPOCH_CLAIM: f64 = 1.05;
/// What a claim said of fuel: at most 30 %.
const FUEL_CLAIM: f64 = 1.30;
/// The share that overhead has at the cross-over.
const CROSSOVER_SHARE: f64 = 0.1;

/// All tables.
#[derive(Clone, Debug, Serialize)]
pub struct Tables {
    /// `pass` if every output that was checked was right.
    pub verdict: &'static str,
    /// How the run was asked for, and where it ran.
    pub run: Run,
    /// How long it took, in seconds; `None` if it did not come to its end.
    pub seconds: Option<f64>,
    /// Groups of cells that were left out because the time was over, and all groups.
    pub left_out: (u64, u64),
    /// Engines and their versions.
    pub engines: BTreeMap<String, String>,
    /// Times of calls and phases in nanoseconds per iteration.
    pub times: Vec<Time>,
    /// Claims and goals beside what was measured.
    pub claims: Vec<Claim>,
    /// What a call through the engine traits takes, over the same call by hand.
    pub tax: Vec<Compared>,
    /// What budgets cost: over no budget, in the same process, batch beside batch.
    pub budgets: Vec<Compared>,
    /// A sentence for each engine on what budgets cost.
    pub sentences: Vec<Sentence>,
    /// Kernels over the native build of the same source.
    pub kernels: Vec<Kernel>,
    /// Geometric means of the ratios in `kernels`.
    pub means: Vec<Mean>,
    /// Things compared with themselves.
    pub noise: Vec<Noise>,
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

/// A claim beside a measured value.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// Engine id.
    pub runtime: String,
    /// What is claimed or aimed at.
    pub claim: &'static str,
    /// At most so many nanoseconds.
    pub at_most_ns: f64,
    /// What was measured.
    pub measured: Estimate,
    /// `held`, `not held` or `unsure`.
    pub verdict: &'static str,
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

/// What budgets cost on an engine.
#[derive(Clone, Debug, Serialize)]
pub struct Sentence {
    /// Engine id.
    pub runtime: String,
    /// Kind of budget.
    pub budget: BudgetKind,
    /// The module of each kernel that is looked at.
    pub variant: String,
    /// The claim, as a ratio that it may reach.
    pub at_most: f64,
    /// Kernels for which it holds: the interval ends at or below it.
    pub held: usize,
    /// Kernels for which it does not: the interval begins above it.
    pub not_held: usize,
    /// All kernels that were measured.
    pub of: usize,
    /// In words.
    pub text: String,
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

/// An engine compared with itself.
#[derive(Clone, Debug, Serialize)]
pub struct Noise {
    /// Engine id.
    pub runtime: String,
    /// Whether the two ran beside each other in a process or each in its own.
    pub twin: Twin,
    /// Pairs.
    pub pairs: usize,
    /// Pairs that are called unsure, as all should be.
    pub unsure: usize,
    /// The largest distance of a ratio from 1: differences below it mean nothing in this run.
    pub floor: f64,
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
    /// `fuel`, `code_bytes` or `peak_rss_bytes`.
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

/// Batches by process and round, in nanoseconds per iteration.
type Rounds = BTreeMap<u32, BTreeMap<u32, f64>>;

struct Index<'a> {
    seed: u64,
    rounds: BTreeMap<&'a Key, Rounds>,
    /// Any cell that measured the key.
    cells: BTreeMap<Key, &'a Cell>,
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
        let claims = index.claims();
        // A run that shows nothing has not passed; emulated, it is not to show times.
        let engines_shown = index
            .rounds
            .keys()
            .any(|key| !key.runtime.starts_with(native::BASELINE));
        let shown = engines_shown || run.fingerprint.emulated.is_some();
        let passed = !bad && end.is_some() && shown;
        Some(Tables {
            verdict: if passed { "pass" } else { "fail" },
            run: (**run).clone(),
            seconds: end.map(|end| end.seconds),
            left_out: end.map_or((0, 0), |end| (end.left_out, end.groups)),
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
            claims,
            tax: index.tax(),
            sentences: sentences(&budgets, budget_size(run.quick)),
            budgets,
            means: means(&kernels),
            kernels,
            noise: index.noise(),
            crossovers: index.crossovers(),
            facts: facts(records),
            not_measured,
        })
    }
}

impl<'a> Index<'a> {
    fn of(seed: u64, records: &'a [Record]) -> Self {
        // An output that was wrong in one process leaves no number of any.
        let wrong: BTreeSet<&Key> = records
            .iter()
            .filter_map(|record| match record {
                Record::Cell(cell) if cell.outcome.is_bad() => Some(&cell.key),
                _ => None,
            })
            .collect();
        let mut rounds: BTreeMap<&Key, Rounds> = BTreeMap::new();
        let mut cells = BTreeMap::new();
        for record in records {
            match record {
                Record::Sample(sample) if sample.round > 0 && !wrong.contains(&sample.key) => {
                    rounds
                        .entry(&sample.key)
                        .or_default()
                        .entry(sample.process)
                        .or_default()
                        .insert(
                            sample.round,
                            sample.nanoseconds as f64 / sample.iterations as f64,
                        );
                }
                Record::Cell(cell) if cell.outcome == Outcome::Pass => {
                    cells.insert(cell.key.clone(), cell);
                }
                _ => {}
            }
        }
        Self {
            seed,
            rounds,
            cells,
        }
    }

    fn processes(&self, key: &Key) -> Processes {
        self.rounds.get(key).map_or_else(Vec::new, |rounds| {
            rounds
                .values()
                .map(|rounds| rounds.values().copied().collect())
                .collect()
        })
    }

    /// The same rounds of the same processes of both.
    fn pairs(&self, new: &Key, old: &Key) -> (Processes, Processes) {
        let (Some(new), Some(old)) = (self.rounds.get(new), self.rounds.get(old)) else {
            return Default::default();
        };
        new.iter()
            .filter_map(|(process, new)| {
                let old = old.get(process)?;
                let both = new
                    .iter()
                    .filter_map(|(round, new)| Some((*new, *old.get(round)?)));
                Some(both.unzip::<f64, f64, Vec<f64>, Vec<f64>>())
            })
            .unzip()
    }

    fn estimate(&self, key: &Key) -> Option<Estimate> {
        statistics::estimate(&self.processes(key), self.seed)
    }

    /// Class of size of what a key measures; phases have the class of their kernel's call.
    fn size(&self, key: &Key) -> String {
        let call = Key {
            quantity: "call".to_owned(),
            ..key.clone()
        };
        self.cells
            .get(key)
            .or_else(|| self.cells.get(&call))
            .map(|cell| cell.size.clone())
            .unwrap_or_default()
    }

    fn paired(&self, new: &Key, old: &Key) -> Option<Compared> {
        let (new_times, old_times) = self.pairs(new, old);
        Some(Compared {
            key: new.clone(),
            size: self.size(new),
            ratio: statistics::paired(&new_times, &old_times, self.seed)?,
            chance_longer: statistics::chance_larger(&old_times.concat(), &new_times.concat()),
        })
    }

    fn times(&self) -> Vec<Time> {
        self.rounds
            .keys()
            .filter_map(|key| {
                Some(Time {
                    key: (*key).clone(),
                    size: self.size(key),
                    nanoseconds: self.estimate(key)?,
                })
            })
            .collect()
    }

    fn tax(&self) -> Vec<Compared> {
        self.rounds
            .keys()
            .filter(|key| key.quantity == "hand")
            .filter_map(|hand| {
                let call = Key {
                    quantity: "call".to_owned(),
                    ..(*hand).clone()
                };
                self.paired(&call, hand)
            })
            .collect()
    }

    fn budgets(&self) -> Vec<Compared> {
        self.rounds
            .keys()
            .filter(|key| {
                key.quantity == "call" && key.twin.is_none() && key.budget != BudgetKind::None
            })
            .filter_map(|metered| {
                let unmetered = Key {
                    budget: BudgetKind::None,
                    ..(*metered).clone()
                };
                self.paired(metered, &unmetered)
            })
            .collect()
    }

    fn noise(&self) -> Vec<Noise> {
        let mut by_engine: BTreeMap<(String, Twin), Vec<Ratio>> = BTreeMap::new();
        for twin_key in self.rounds.keys() {
            let Some(twin) = twin_key.twin else { continue };
            let first = Key {
                twin: None,
                ..(*twin_key).clone()
            };
            let ratio = match twin {
                Twin::Beside => {
                    let (new, old) = self.pairs(twin_key, &first);
                    statistics::paired(&new, &old, self.seed)
                }
                Twin::Apart => statistics::unpaired(
                    &self.processes(twin_key),
                    &self.processes(&first),
                    self.seed,
                ),
            };
            if let Some(ratio) = ratio {
                by_engine
                    .entry((twin_key.runtime.clone(), twin))
                    .or_default()
                    .push(ratio);
            }
        }
        by_engine
            .into_iter()
            .map(|((runtime, twin), ratios)| Noise {
                runtime,
                twin,
                pairs: ratios.len(),
                unsure: ratios
                    .iter()
                    .filter(|ratio| ratio.word == Word::Unsure)
                    .count(),
                floor: ratios
                    .iter()
                    .map(|ratio| (ratio.estimate.value - 1.0).abs())
                    .fold(0.0, f64::max),
            })
            .collect()
    }

    fn kernels(&self) -> Vec<Kernel> {
        let mut kernels = Vec::new();
        for key in self.rounds.keys() {
            if key.quantity != "call" || key.twin.is_some() || key.budget != BudgetKind::None {
                continue;
            }
            let (Some(cell), Some(nanoseconds)) = (self.cells.get(*key), self.estimate(key)) else {
                continue;
            };
            let over = |yardstick: &str| {
                let theirs = Key {
                    runtime: yardstick.to_owned(),
                    variant: "base".to_owned(),
                    ..(*key).clone()
                };
                if key.runtime.starts_with(native::BASELINE) && key.runtime == theirs.runtime {
                    return None;
                }
                statistics::unpaired(&self.processes(key), &self.processes(&theirs), self.seed)
            };
            let rate = cell.bytes as f64 / nanoseconds.value;
            kernels.push(Kernel {
                size: cell.size.clone(),
                elements: cell.elements,
                gigabytes_per_second: rate,
                gigaflops: cell
                    .operations
                    .map(|operations| operations as f64 / nanoseconds.value),
                bandwidth_share: self.bandwidth(&cell.size).map(|most| rate / most),
                over_native: over(native::BASELINE),
                over_native_cpu: over(native::TUNED),
                nanoseconds,
                key: (*key).clone(),
            });
        }
        kernels
    }

    /// Bytes per nanosecond of the triad on arrays of this class of size.
    fn bandwidth(&self, size: &str) -> Option<f64> {
        let (key, cell) = self.cells.iter().find(|(key, cell)| {
            key.kernel == native::TRIAD && key.runtime == native::BASELINE && cell.size == size
        })?;
        Some(cell.bytes as f64 / self.estimate(key)?.value)
    }

    fn claims(&self) -> Vec<Claim> {
        const PARTS: [(&str, &str, f64); 7] = [
            ("lookup", "design: lookup of the kernel ~100 ns", 100.0),
            ("instantiate", "design: instance ~1 us", 1000.0),
            ("memory", "design: memory set-up ~500 ns", 500.0),
            ("fetch", "design: return ~100 ns", 100.0),
            ("path", "design: in all ~2 us", 2000.0),
            ("path", "design: under 10 us for small tensors", 10_000.0),
            ("path", "goal: full path at most 5 us", 5000.0),
        ];
        let mut claims = Vec::new();
        for key in self.rounds.keys() {
            if key.twin.is_some()
                || key.kernel != "rmsnorm_f32"
                || key.variant != "base"
                || key.budget == BudgetKind::Fuel
                || self.size(key) != "small"
            {
                continue;
            }
            let mut claim = |claim: &'static str, at_most_ns: f64, measured: Estimate| {
                claims.push(Claim {
                    runtime: key.runtime.clone(),
                    claim,
                    at_most_ns,
                    verdict: verdict(&measured, at_most_ns),
                    measured,
                });
            };
            // With epochs on where the engine has them: what serves untrusted code.
            let with_epochs = Key {
                budget: BudgetKind::Epoch,
                ..(*key).clone()
            };
            if key.budget == BudgetKind::None && self.rounds.contains_key(&with_epochs) {
                continue;
            }
            let Some(measured) = self.estimate(key) else {
                continue;
            };
            for (quantity, text, at_most) in PARTS {
                if key.quantity == quantity {
                    claim(text, at_most, measured);
                }
            }
            if key.quantity == "call" && !key.runtime.starts_with(native::BASELINE) {
                claim("goal: steady call at most 200 ns", 200.0, measured);
                claim("goal: steady call under 10 us", 10_000.0, measured);
            }
        }
        claims.extend(self.epoch_checks());
        claims.sort_by(|a, b| (&a.runtime, a.claim).cmp(&(&b.runtime, b.claim)));
        claims
    }

    /// What an epoch adds to a call that returns at once, in which the check at the function's entry is made once.
    fn epoch_checks(&self) -> Vec<Claim> {
        self.rounds
            .keys()
            .filter(|key| {
                key.kernel == native::EMPTY
                    && key.quantity == "call"
                    && key.budget == BudgetKind::Epoch
                    && key.twin.is_none()
            })
            .filter_map(|epoch| {
                let none = Key {
                    budget: BudgetKind::None,
                    ..(*epoch).clone()
                };
                let ratio = self.paired(epoch, &none)?.ratio.estimate;
                let none = self.estimate(&none)?.value;
                let difference = |ratio: f64| (ratio - 1.0) * none;
                let measured = Estimate {
                    value: difference(ratio.value),
                    low: ratio.low.map(difference),
                    high: ratio.high.map(difference),
                    ..ratio
                };
                Some(Claim {
                    runtime: epoch.runtime.clone(),
                    claim: "design: epoch check ~2 ns",
                    at_most_ns: 2.0,
                    verdict: verdict(&measured, 2.0),
                    measured,
                })
            })
            .collect()
    }

    fn crossovers(&self) -> Vec<Crossover> {
        let mut points: BTreeMap<(&str, &str, &str), Vec<(f64, f64)>> = BTreeMap::new();
        for (key, cell) in &self.cells {
            let shaped_alike = matches!(cell.size.as_str(), "small" | "4Ki" | "64Ki" | "1MiB");
            if key.quantity == "call"
                && key.twin.is_none()
                && key.budget == BudgetKind::None
                && shaped_alike
                && let Some(time) = self.estimate(key)
            {
                points
                    .entry((&key.runtime, &key.kernel, &key.variant))
                    .or_default()
                    .push((cell.elements as f64, time.value));
            }
        }
        points
            .into_iter()
            .filter_map(|((runtime, kernel, variant), points)| {
                let line = statistics::theil_sen(&points)?;
                Some(Crossover {
                    runtime: runtime.to_owned(),
                    kernel: kernel.to_owned(),
                    variant: variant.to_owned(),
                    overhead_ns: line.overhead,
                    slope_ns: line.slope,
                    elements: line.crossover(CROSSOVER_SHARE),
                    sizes: points.len(),
                })
            })
            .collect()
    }
}

/// Whether an interval lies at or below a bound. One process alone shows nothing.
fn verdict(measured: &Estimate, at_most: f64) -> &'static str {
    match (measured.low, measured.high) {
        (_, Some(high)) if high <= at_most => "held",
        (Some(low), _) if low > at_most => "not held",
        _ => "unsure",
    }
}

fn sentences(budgets: &[Compared], size: &str) -> Vec<Sentence> {
    let mut groups: BTreeMap<(String, BudgetKind, String), Vec<&Estimate>> = BTreeMap::new();
    for compared in budgets {
        let key = &compared.key;
        let own = [native::EMPTY, "loop"].contains(&key.kernel.as_str());
        if compared.size == size && !own {
            groups
                .entry((key.runtime.clone(), key.budget, key.variant.clone()))
                .or_default()
                .push(&compared.ratio.estimate);
        }
    }
    groups
        .into_iter()
        .map(|((runtime, budget, variant), ratios)| {
            let (at_most, claimed) = match budget {
                BudgetKind::Fuel => (FUEL_CLAIM, "15-30 %"),
                _ => (EPOCH_CLAIM, "2-5 %"),
            };
            let count = |word| {
                ratios
                    .iter()
                    .filter(|ratio| verdict(ratio, at_most) == word)
                    .count()
            };
            let (held, not_held, of) = (count("held"), count("not held"), ratios.len());
            let values: Vec<f64> = ratios.iter().map(|ratio| ratio.value).collect();
            let mean = statistics::geometric_mean(&values).unwrap_or(f64::NAN);
            Sentence {
                text: format!(
                    "{budget} on {runtime} ({variant}): claimed {claimed}: held for {held} of {of}, not held for {not_held}, \
                     unsure for {}; geometric mean {:+.1} %",
                    of - held - not_held,
                    100.0 * (mean - 1.0)
                ),
                runtime,
                budget,
                variant,
                at_most,
                held,
                not_held,
                of,
            }
        })
        .collect()
}

fn means(kernels: &[Kernel]) -> Vec<Mean> {
    type Ratios<'a> = BTreeMap<&'a str, f64>;
    let mut groups: BTreeMap<(&str, &str), BTreeMap<&str, Ratios<'_>>> = BTreeMap::new();
    for kernel in kernels {
        if let Some(ratio) = &kernel.over_native
            && kernel.key.runtime != native::TUNED
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
            let of_process = fact.quantity == "peak_rss_bytes";
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
