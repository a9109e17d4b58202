//! Whether what is claimed or aimed at holds, in one word, and why there is no number.

use super::{Compared, NotMeasured, index::Index};
use crate::{
    bench::{
        native,
        record::{Key, Run},
    },
    statistics::{self, Estimate, Processes, Ratio},
};
use runtime_api::BudgetKind;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a measured value says of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    /// The whole interval lies at or below the bound.
    #[serde(rename = "held")]
    Held,
    /// The whole interval lies above it.
    #[serde(rename = "not held")]
    NotHeld,
    /// Neither is shown.
    #[serde(rename = "unsure")]
    Unsure,
    /// There is no number, for a reason that stands beside it.
    #[serde(rename = "not measured")]
    NotMeasured,
}

impl Verdict {
    /// Of a value that may be `at_most` so large. One process alone has no interval and shows nothing.
    pub fn of(measured: &Estimate, at_most: f64) -> Self {
        match (measured.low, measured.high) {
            (_, Some(high)) if high <= at_most => Verdict::Held,
            (Some(low), _) if low > at_most => Verdict::NotHeld,
            _ => Verdict::Unsure,
        }
    }

    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::NotHeld => "not held",
            Verdict::Unsure => "unsure",
            Verdict::NotMeasured => "not measured",
        }
    }
}

/// How many of several hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Those that hold.
    pub held: usize,
    /// Those that do not.
    pub not_held: usize,
    /// Those of which neither is shown.
    pub unsure: usize,
    /// All, those that were not measured among them.
    pub of: usize,
    /// What they are.
    pub what: &'static str,
}

impl Counts {
    /// Counts words; what has none was not measured.
    pub fn of(words: impl IntoIterator<Item = Verdict>, of: usize, what: &'static str) -> Self {
        let mut counts = Counts {
            of,
            what,
            ..Counts::default()
        };
        for word in words {
            match word {
                Verdict::Held => counts.held += 1,
                Verdict::NotHeld => counts.not_held += 1,
                Verdict::Unsure => counts.unsure += 1,
                Verdict::NotMeasured => {}
            }
        }
        counts
    }

    /// Held if all are, not held if one is not. Of what is not complete nothing can be held.
    pub fn verdict(&self) -> Verdict {
        let measured = self.held + self.not_held + self.unsure;
        match () {
            () if measured == 0 => Verdict::NotMeasured,
            () if self.not_held > 0 => Verdict::NotHeld,
            () if self.held == self.of => Verdict::Held,
            () => Verdict::Unsure,
        }
    }

    /// `12 of 13 kernels`.
    pub fn shown(&self) -> String {
        format!("{} of {} {}", self.held, self.of, self.what)
    }
}

/// What the words are derived from.
pub(super) struct Source<'a> {
    pub(super) run: &'a Run,
    pub(super) index: &'a Index<'a>,
    /// Groups of cells that were left out because the time was over.
    pub(super) left_out: u64,
    /// Engines with a process in this run.
    pub(super) started: BTreeSet<&'a str>,
    pub(super) not_measured: &'a [NotMeasured],
    pub(super) budgets: &'a [Compared],
}

impl<'a> Source<'a> {
    /// All engines that were asked for; the native builds are yardsticks, not engines.
    pub(super) fn engines(&self) -> BTreeSet<&'a str> {
        let absent = self.run.absent.iter().map(|(id, _)| id.as_str());
        self.started
            .iter()
            .copied()
            .chain(absent)
            .filter(|id| !is_yardstick(id))
            .collect()
    }

    /// Why an engine has no number of what `fits`.
    pub(super) fn why(&self, runtime: &str, fits: impl Fn(&Key) -> bool) -> String {
        if let Some(how) = &self.run.fingerprint.emulated {
            return format!("not measured (emulated): {how}");
        }
        if let Some((_, reason)) = self.run.absent.iter().find(|(id, _)| id == runtime) {
            return format!("the engine is absent: {reason}");
        }
        if !self.started.contains(runtime) {
            return "the engine is not part of this run".to_owned();
        }
        self.not_measured
            .iter()
            .find(|cell| cell.key.runtime == runtime && fits(&cell.key))
            .map_or_else(
                || match self.left_out {
                    0 => "this run did not measure it".to_owned(),
                    _ => "this run did not measure it: its time was over, and groups of cells were left out".to_owned(),
                },
                |cell| format!("{}: {}", cell.outcome, cell.reason),
            )
    }

    /// A quantity of rmsnorm_f32 of 1 x 64, with epochs where the engine has them: what serves untrusted code.
    pub(super) fn smallest(&self, runtime: &str, quantity: &str) -> Option<(BudgetKind, Estimate)> {
        let of = |budget| {
            let key = self.index.rounds.keys().find(|key| {
                key.runtime == runtime
                    && key.kernel == "rmsnorm_f32"
                    && key.variant == "base"
                    && key.quantity == quantity
                    && key.budget == budget
                    && key.twin.is_none()
                    && self.index.size(key) == "small"
            })?;
            Some((budget, self.index.estimate(key)?))
        };
        of(BudgetKind::Epoch).or_else(|| of(BudgetKind::None))
    }
}

pub(in crate::bench) fn is_yardstick(runtime: &str) -> bool {
    runtime.starts_with(native::BASELINE)
}

/// The geometric mean of several ratios, with an interval over processes. Each map holds the ratio of one thing by process; processes
/// that lack one of them are left out, because what they have in common with others would be another mean. Without any that has
/// all there is a value and no interval.
pub(super) fn mean_of(things: &[BTreeMap<u32, f64>]) -> Option<Ratio> {
    let complete = complete(things)?;
    if !complete.is_empty() {
        return statistics::pooled(&complete, statistics::family_wise(1));
    }
    let means = things
        .iter()
        .map(|thing| {
            let values: Vec<f64> = thing.values().copied().collect();
            statistics::geometric_mean(&values)
        })
        .collect::<Option<Vec<f64>>>()?;
    statistics::pooled(&[means], statistics::family_wise(1))
}

/// The geometric mean of ratios of things that ran in processes of their own: the times of `new` and `old` by process, in the same order
/// of things. `None` where no process of either has all.
pub(super) fn mean_of_two(
    new: &[BTreeMap<u32, f64>],
    old: &[BTreeMap<u32, f64>],
    seed: u64,
) -> Option<Ratio> {
    let means = |things: &[BTreeMap<u32, f64>]| -> Option<Processes> {
        complete(things)?
            .iter()
            .map(|times| Some(vec![statistics::geometric_mean(times)?]))
            .collect()
    };
    statistics::unpaired(&means(new)?, &means(old)?, seed)
}

/// Of each process that has all things, what it has.
fn complete(things: &[BTreeMap<u32, f64>]) -> Option<Processes> {
    let processes = things.first()?.keys();
    let of = |process| {
        let values = things.iter().map(|thing| thing.get(process).copied());
        values.collect::<Option<Vec<f64>>>()
    };
    Some(processes.filter_map(of).collect())
}

/// What a word is about: `12 of 13 kernels`, or of how many processes a value is.
pub fn denominator(counts: Option<&Counts>, measured: Option<&Estimate>) -> String {
    match (counts, measured) {
        (Some(counts), _) => counts.shown(),
        (None, Some(Estimate { processes: 1, .. })) => "1 process".to_owned(),
        (None, Some(measured)) => format!("{} processes", measured.processes),
        (None, None) => String::new(),
    }
}
