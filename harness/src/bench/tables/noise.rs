//! Things compared with themselves: what differences mean nothing in a run.

use super::words::{Source, Verdict, is_yardstick};
use crate::{
    bench::record::{Key, Twin},
    statistics::{self, Ratio, Word},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// An engine compared with itself.
#[derive(Clone, Debug, Serialize)]
pub struct Noise {
    /// Engine id.
    pub runtime: String,
    /// Whether the two ran beside each other in a process or each in its own.
    pub twin: Twin,
    /// Pairs.
    pub pairs: usize,
    /// Pairs that are called unsure, as 95 in 100 should be.
    pub unsure: usize,
    /// The largest distance of a ratio from 1: differences below it mean nothing in this run.
    pub floor: f64,
}

/// All pairs of an engine in one word.
#[derive(Clone, Debug, Serialize)]
pub struct SelfComparison {
    /// Engine id.
    pub runtime: String,
    /// The pooled ratio over all pairs; its interval holds with 95 % for all engines at once.
    pub pooled: Ratio,
    /// The confidence of this interval alone.
    pub confidence: f64,
    /// Engines that share the 95 %.
    pub engines: usize,
    /// Pairs.
    pub pairs: usize,
    /// Pairs that are called faster or slower.
    pub alarms: usize,
    /// How many of them chance makes on average.
    pub expected: f64,
    /// The probability that chance makes as many or more.
    pub chance: f64,
    /// Whether the number of alarms is one that chance makes, for all engines at once.
    pub as_chance: bool,
    /// The largest distance of a ratio from 1.
    pub floor: f64,
}

impl SelfComparison {
    /// Held if the engine is neither faster nor slower than itself, and no more pairs alarm than chance explains.
    pub fn verdict(&self) -> Verdict {
        match (self.pooled.word, self.pooled.estimate.low) {
            (Word::Faster | Word::Slower, _) => Verdict::NotHeld,
            (Word::Unsure, None) => Verdict::Unsure,
            (Word::Unsure, Some(_)) if self.as_chance => Verdict::Held,
            (Word::Unsure, Some(_)) => Verdict::Unsure,
        }
    }
}

/// A pair of the same.
struct Pair<'a> {
    runtime: &'a str,
    twin: Twin,
    ratio: Ratio,
    by_process: BTreeMap<u32, f64>,
}

fn pairs<'a>(source: &Source<'a>) -> Vec<Pair<'a>> {
    let index = source.index;
    let of = |key: &'a Key| {
        let twin = key.twin?;
        let first = Key {
            twin: None,
            ..key.clone()
        };
        let (ratio, by_process) = match twin {
            Twin::Beside => (
                index.paired_ratio(key, &first)?,
                index.ratios_by_process(key, &first),
            ),
            Twin::Apart => {
                let (new, old) = (index.medians(key), index.medians(&first));
                // Both ran in the same round of processes.
                let ratios = new
                    .iter()
                    .filter_map(|(process, new)| Some((*process, new / old.get(process)?)));
                (index.apart_ratio(key, &first)?, ratios.collect())
            }
        };
        Some(Pair {
            runtime: &key.runtime,
            twin,
            ratio,
            by_process,
        })
    };
    index.rounds.keys().filter_map(|key| of(key)).collect()
}

/// The tables of counts and of words.
pub(super) fn noise(source: &Source<'_>) -> (Vec<Noise>, Vec<SelfComparison>) {
    let pairs = pairs(source);
    let mut counts: BTreeMap<(&str, Twin), Vec<&Pair<'_>>> = BTreeMap::new();
    let mut engines: BTreeMap<&str, Vec<&Pair<'_>>> = BTreeMap::new();
    for pair in &pairs {
        counts
            .entry((pair.runtime, pair.twin))
            .or_default()
            .push(pair);
        if !is_yardstick(pair.runtime) {
            engines.entry(pair.runtime).or_default().push(pair);
        }
    }
    let noise = counts
        .into_iter()
        .map(|((runtime, twin), pairs)| Noise {
            runtime: runtime.to_owned(),
            twin,
            pairs: pairs.len(),
            unsure: pairs.len() - alarms(&pairs),
            floor: floor(&pairs),
        })
        .collect();
    let families = engines.len();
    let words = engines
        .into_iter()
        .filter_map(|(runtime, pairs)| of_engine(runtime, &pairs, families))
        .collect();
    (noise, words)
}

fn of_engine(runtime: &str, pairs: &[&Pair<'_>], engines: usize) -> Option<SelfComparison> {
    let mut processes: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for pair in pairs {
        for (process, ratio) in &pair.by_process {
            processes.entry(*process).or_default().push(*ratio);
        }
    }
    let processes: Vec<Vec<f64>> = processes.into_values().collect();
    let confidence = statistics::family_wise(engines);
    let (expected, chance) = statistics::false_alarms(pairs.len(), alarms(pairs));
    Some(SelfComparison {
        runtime: runtime.to_owned(),
        pooled: statistics::pooled(&processes, confidence)?,
        confidence,
        engines,
        pairs: pairs.len(),
        alarms: alarms(pairs),
        expected,
        chance,
        as_chance: chance > 1.0 - confidence,
        floor: floor(pairs),
    })
}

fn alarms(pairs: &[&Pair<'_>]) -> usize {
    pairs
        .iter()
        .filter(|pair| pair.ratio.word != Word::Unsure)
        .count()
}

fn floor(pairs: &[&Pair<'_>]) -> f64 {
    pairs
        .iter()
        .map(|pair| (pair.ratio.estimate.value - 1.0).abs())
        .fold(0.0, f64::max)
}
