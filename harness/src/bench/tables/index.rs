//! What the tables ask of the records: times by key, and what is compared with what.

use super::{Ceiling, Compared, Crossover, Kernel, Time, is_yardstick};
use crate::{
    bench::{
        native,
        record::{Cell, Key, Record},
    },
    outcome::Outcome,
    statistics::{self, Estimate, Processes, Ratio},
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

    /// The median of each process.
    pub(super) fn medians(&self, key: &Key) -> BTreeMap<u32, f64> {
        let medians = self.rounds.get(key).into_iter().flatten();
        medians
            .filter_map(|(process, rounds)| {
                let values: Vec<f64> = rounds.values().copied().collect();
                Some((*process, statistics::median(&values)?))
            })
            .collect()
    }

    /// The median ratio of the same rounds, of each process that has both.
    pub(super) fn ratios_by_process(&self, new: &Key, old: &Key) -> BTreeMap<u32, f64> {
        let (Some(new), Some(old)) = (self.rounds.get(new), self.rounds.get(old)) else {
            return BTreeMap::new();
        };
        new.iter()
            .filter_map(|(process, new)| {
                let old = old.get(process)?;
                let ratios: Vec<f64> = new
                    .iter()
                    .filter_map(|(round, new)| Some(new / old.get(round)?))
                    .collect();
                Some((*process, statistics::median(&ratios)?))
            })
            .collect()
    }

    /// What a budget costs in each process.
    pub(super) fn budget_by_process(&self, metered: &Key) -> BTreeMap<u32, f64> {
        self.ratios_by_process(metered, &unmetered(metered))
    }

    /// The ratio of what ran beside each other.
    pub(super) fn paired_ratio(&self, new: &Key, old: &Key) -> Option<Ratio> {
        let (new, old) = self.pairs(new, old);
        statistics::paired(&new, &old, self.seed)
    }

    /// The ratio of what ran in processes of their own, in the same rounds of processes.
    pub(super) fn apart_ratio(&self, new: &Key, old: &Key) -> Option<Ratio> {
        let (new, old) = (self.rounds.get(new)?, self.rounds.get(old)?);
        let of = |rounds: &Rounds, others: &Rounds| -> Processes {
            let both = rounds
                .iter()
                .filter(|(process, _)| others.contains_key(process));
            both.map(|(_, rounds)| rounds.values().copied().collect())
                .collect()
        };
        statistics::unpaired(&of(new, old), &of(old, new), self.seed)
    }

    /// The ratio of what ran in processes of their own.
    pub(super) fn unpaired_ratio(&self, new: &Key, old: &Key) -> Option<Ratio> {
        statistics::unpaired(&self.processes(new), &self.processes(old), self.seed)
    }

    pub(super) fn estimate(&self, key: &Key) -> Option<Estimate> {
        statistics::estimate(&self.processes(key), self.seed)
    }

    /// Class of size of what a key measures; phases have the class of their kernel's call.
    pub(super) fn size(&self, key: &Key) -> String {
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
            .filter_map(|metered| self.paired(metered, &unmetered(metered)))
            .collect()
    }

    pub(super) fn kernels(&self) -> Vec<Kernel> {
        let mut kernels = Vec::new();
        let runtimes = self.rounds.keys().map(|key| key.runtime.as_str());
        let others: BTreeSet<&str> = runtimes
            .filter(|id| is_yardstick(id) && ![native::BASELINE, native::TUNED].contains(id))
            .collect();
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
                self.unpaired_ratio(key, &theirs)
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
                over_others: others
                    .iter()
                    .filter_map(|other| Some(((*other).to_owned(), over(other)?)))
                    .collect(),
                nanoseconds,
                key: (*key).clone(),
            });
        }
        kernels
    }

    /// The bandwidth of memory, by size of arrays.
    pub(super) fn ceilings(&self) -> Vec<Ceiling> {
        self.cells
            .iter()
            .filter(|(key, _)| key.kernel == native::TRIAD && key.twin.is_none())
            .filter_map(|(key, cell)| {
                let rate = |time: f64| cell.bytes as f64 / time;
                let time = self.estimate(key)?;
                Some(Ceiling {
                    runtime: key.runtime.clone(),
                    size: cell.size.clone(),
                    bytes: cell.bytes,
                    gigabytes_per_second: Estimate {
                        value: rate(time.value),
                        low: time.high.map(rate),
                        high: time.low.map(rate),
                        ..time
                    },
                })
            })
            .collect()
    }

    /// Bytes per nanosecond of the triad on arrays of this class of size.
    fn bandwidth(&self, size: &str) -> Option<f64> {
        let (key, cell) = self.cells.iter().find(|(key, cell)| {
            key.kernel == native::TRIAD && key.runtime == native::BASELINE && cell.size == size
        })?;
        Some(cell.bytes as f64 / self.estimate(key)?.value)
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

fn unmetered(key: &Key) -> Key {
    Key {
        budget: BudgetKind::None,
        ..key.clone()
    }
}
