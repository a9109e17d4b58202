//! The envelope: which parameters, axes and sizes of tensors a kernel was asked and held for, on each engine.

use super::{judge::Layer, run::Judged};
use crate::outcome::Outcome;
use kernel_cases::case::Case;
use kernel_pack::{Param, contract::Contract};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a kernel was asked and held for, all of its modules together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Kernel id.
    pub kernel: String,
    /// On each engine that ran it.
    pub engines: Vec<OfEngine>,
}

/// What a kernel held for on an engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OfEngine {
    /// Engine id.
    pub runtime: String,
    /// Cases that were answered and held in every layer, without those that are refused.
    pub cases: u64,
    /// Calls in sequences that held.
    pub sequence_calls: u64,
    /// Calls in sequences that were left to engines that compile.
    pub left_out: u64,
    /// Those of the cases that were called once only, where ordinary calls lie: the engine interprets, and their tensors are large.
    #[serde(default)]
    pub once: u64,
    /// Bytes of the largest region of those cases.
    pub largest_region_bytes: u64,
    /// Parameters and axes of those cases, by name.
    pub ranges: BTreeMap<String, Range>,
}

/// From the smallest value to the largest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Smallest.
    pub from: f64,
    /// Largest.
    pub to: f64,
}

impl Envelope {
    /// Bytes of the largest region for which it held on every engine.
    pub fn largest_region_bytes(&self) -> u64 {
        let engines = self.engines.iter();
        let largest = engines.map(|engine| engine.largest_region_bytes).min();
        largest.unwrap_or_default()
    }

    /// The fewest cases that held on an engine.
    pub fn cases(&self) -> u64 {
        let engines = self.engines.iter();
        engines.map(|engine| engine.cases).min().unwrap_or_default()
    }

    /// The ranges for which it held on every engine.
    pub fn ranges(&self) -> BTreeMap<String, Range> {
        let mut engines = self.engines.iter();
        let mut ranges = engines
            .next()
            .map_or_else(BTreeMap::new, |first| first.ranges.clone());
        for engine in engines {
            ranges.retain(|name, range| {
                let Some(own) = engine.ranges.get(name) else {
                    return false;
                };
                range.from = range.from.max(own.from);
                range.to = range.to.min(own.to);
                range.from <= range.to
            });
        }
        ranges
    }

    /// The ranges in a line.
    pub fn words(&self) -> String {
        let ranges = self.ranges().into_iter();
        let ranges = ranges.map(|(name, Range { from, to })| match from == to {
            true => format!("{name} {}", number(from)),
            false => format!("{name} {} to {}", number(from), number(to)),
        });
        ranges.collect::<Vec<_>>().join(", ")
    }

    /// Calls in sequences, engine by engine: all that were due, or their share.
    pub fn sequences(&self) -> String {
        let most = self.engines.iter().map(|engine| engine.sequence_calls);
        let mut words = most.max().unwrap_or_default().to_string();
        for engine in self.engines.iter().filter(|engine| engine.left_out > 0) {
            let due = engine.sequence_calls + engine.left_out;
            let share = 100.0 * engine.sequence_calls as f64 / due as f64;
            words += &format!(", {} {share:.0} %", engine.runtime);
        }
        words
    }
}

/// A number with the four digits that a reader takes in; whole ones as they are.
fn number(value: f64) -> String {
    match value {
        whole if whole.fract() == 0.0 && whole.abs() < 1e9 => format!("{whole}"),
        other => format!("{other:.3e}"),
    }
}

/// Gathers envelopes while cases are judged.
#[derive(Default)]
pub(super) struct Envelopes {
    /// Kernels, in the order of the run.
    kernels: Vec<String>,
    engines: BTreeMap<(String, usize), OfEngine>,
}

impl Envelopes {
    /// Takes a judged case or sequence.
    pub(super) fn add(&mut self, judged: &Judged<'_>) {
        let kernel = &judged.subject.kernel;
        let of = |layer| judged.layers.get(&layer).map(|one| one.outcome);
        let bad = judged.layers.values().any(|one| one.outcome.is_bad());
        if bad || of(Layer::L1) != Some(Outcome::Pass) {
            return;
        }
        if !self.kernels.contains(kernel) {
            self.kernels.push(kernel.clone());
        }
        let key = (kernel.clone(), judged.engine);
        let own = self.engines.entry(key).or_default();
        if let Some(sequence) = judged.sequence {
            own.sequence_calls += sequence.calls;
            own.left_out += sequence.left_out;
        }
        // What nobody said was right is no part of it.
        let said = [Layer::L3, Layer::L4, Layer::L5, Layer::L7];
        if let Some(prepared) = judged.case
            && prepared.case.expects_output()
            && said
                .into_iter()
                .any(|layer| of(layer) == Some(Outcome::Pass))
        {
            let contract = judged.subject.standard.contract.as_ref().ok();
            own.add(&prepared.case, contract.map(AsRef::as_ref));
            own.once += u64::from(judged.observed.is_some_and(|observed| observed.once));
        }
    }

    /// The envelopes, in the order of the run; engines are named by `runtimes`.
    pub(super) fn finish(mut self, runtimes: &[String]) -> Vec<Envelope> {
        let kernels = std::mem::take(&mut self.kernels).into_iter();
        let envelopes = kernels.map(|kernel| {
            let engines = runtimes.iter().enumerate();
            let engines = engines.filter_map(|(engine, id)| {
                let own = self.engines.remove(&(kernel.clone(), engine))?;
                let runtime = id.clone();
                Some(OfEngine { runtime, ..own })
            });
            Envelope {
                engines: engines.collect(),
                kernel,
            }
        });
        envelopes.collect()
    }
}

impl OfEngine {
    fn add(&mut self, case: &Case, contract: Option<&Contract>) {
        self.cases += 1;
        let regions = [case.a.len(), case.b.len(), case.output_size as usize];
        let largest = regions.into_iter().max().unwrap_or_default() as u64;
        self.largest_region_bytes = self.largest_region_bytes.max(largest);
        let params = contract.map_or_else(Vec::new, |contract| params(contract, case));
        let axes = case.open.iter().flat_map(|call| &call.values);
        let axes = axes.map(|(name, value)| (name.as_str(), *value));
        for (name, value) in params.into_iter().chain(axes) {
            if !value.is_finite() {
                continue;
            }
            let one = Range {
                from: value,
                to: value,
            };
            let range = self.ranges.entry(name.to_owned()).or_insert(one);
            range.from = range.from.min(value);
            range.to = range.to.max(value);
        }
    }
}

/// The parameters of a call, by the names of the contract; none where the struct has another length.
fn params<'a>(contract: &'a Contract, case: &Case) -> Vec<(&'a str, f64)> {
    let words = case.params.chunks_exact(4);
    if case.params.len() != contract.params.len() * 4 {
        return Vec::new();
    }
    let named = contract.params.iter().zip(words);
    let named = named.map(|((name, param), word)| {
        let word = [word[0], word[1], word[2], word[3]];
        let value = match param {
            Param::F32 { .. } => f64::from(f32::from_le_bytes(word)),
            Param::U32 { .. } => u32::from_le_bytes(word).into(),
            Param::I32 { .. } => i32::from_le_bytes(word).into(),
        };
        (name.as_str(), value)
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_every_engine_and_short_sequences_are_named() {
        let engine = |runtime: &str, from: f64, to: f64, left_out: u64| OfEngine {
            runtime: runtime.to_owned(),
            cases: 3,
            sequence_calls: 300,
            left_out,
            once: 0,
            largest_region_bytes: to as u64,
            ranges: BTreeMap::from([("rows".to_owned(), Range { from, to })]),
        };
        let envelope = Envelope {
            kernel: "k".to_owned(),
            engines: vec![engine("a", 1.0, 64.0, 0), engine("b", 2.0, 32.0, 100)],
        };
        assert_eq!(envelope.words(), "rows 2 to 32");
        assert_eq!(envelope.largest_region_bytes(), 32);
        assert_eq!(envelope.sequences(), "300, b 75 %");
        assert_eq!(number(1e-12), "1.000e-12");
        assert_eq!(number(131_072.0), "131072");
    }
}
