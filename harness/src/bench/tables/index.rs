//! What the tables ask of the records: times by key, and what is compared with what.

use super::{Claim, Compared, Crossover, Kernel, Noise, Time, verdict};
use crate::{
    bench::{
        native,
        record::{Cell, Key, Record, Twin},
    },
    outcome::Outcome,
    statistics::{self, Estimate, Processes, Ratio, Word},
};
use runtime_api::BudgetKind;
use std::collections::{BTreeMap, BTreeSet};

/// The share that overhead has at the cross-over.
const CROSSOVER_SHARE: f64 = 0.1;

/// Batches by process and round, in nanoseconds per iteration.
type Rounds = BTreeMap<u32, BTreeMap<u32, f64>>;

/// The records by what they measure.
pub(super) struct Index<'a> {
    seed: u64,
    pub(super) rounds: BTreeMap<&'a Key, Rounds>,
    /// Any cell that measured the key.
    cells: BTreeMap<Key, &'a Cell>,
}

impl<'a> Index<'a> {
    pub(super) fn of(seed: u64, records: &'a [Record]) -> Self {
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

    pub(super) fn times(&self) -> Vec<Time> {
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

    pub(super) fn tax(&self) -> Vec<Compared> {
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

    pub(super) fn budgets(&self) -> Vec<Compared> {
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

    pub(super) fn noise(&self) -> Vec<Noise> {
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

    pub(super) fn kernels(&self) -> Vec<Kernel> {
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

    pub(super) fn claims(&self) -> Vec<Claim> {
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

    pub(super) fn crossovers(&self) -> Vec<Crossover> {
        type Points<'a> = BTreeMap<(&'a str, &'a str, &'a str), Vec<(f64, f64)>>;
        let mut points = Points::new();
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
