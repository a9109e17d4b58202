//! What budgets cost over all kernels of the core pack.

use super::{
    aims::aims,
    words::{Counts, Source, Verdict, mean_of},
};
use crate::{bench::job::budget_size, statistics::Estimate};
use runtime_api::BudgetKind;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a kind of budget costs on an engine: base modules at the size at which budgets are compared.
#[derive(Clone, Debug, Serialize)]
pub struct Metering {
    /// Engine id.
    pub runtime: String,
    /// Kind of budget.
    pub budget: BudgetKind,
    /// Class of size.
    pub size: &'static str,
    /// What is claimed.
    pub claimed: &'static str,
    /// The most that is claimed, as a ratio.
    pub at_most: f64,
    /// Geometric mean over the kernels that were measured.
    pub mean: Option<Estimate>,
    /// The kernel that pays most, with its ratio.
    pub worst: Option<(String, Estimate)>,
    /// For how many kernels the claim holds.
    pub counts: Counts,
    /// Kernels for which it does not.
    pub missed: Vec<String>,
    /// Kernels without a ratio.
    pub missing: Vec<String>,
    /// The ratio of each kernel that was measured.
    pub ratios: Vec<(String, Estimate)>,
    /// Kernels whose interval is wider than +-2 %, with half its width.
    pub wide: Vec<(String, f64)>,
    /// Why nothing was measured, if nothing was.
    pub why: String,
}

/// What budgets cost on an engine, in a sentence.
#[derive(Clone, Debug, Serialize)]
pub struct Sentence {
    /// Engine id.
    pub runtime: String,
    /// Class of size.
    pub size: &'static str,
    /// In words.
    pub text: String,
}

impl Metering {
    /// Names of kernels whose interval is wider than +-2 %; one process has none, which is wider than any.
    pub fn wide_names(&self) -> String {
        let names: Vec<String> = self
            .wide
            .iter()
            .map(|(kernel, half)| match half.is_finite() {
                true => format!("{kernel} (+-{:.1} %)", 100.0 * half),
                false => format!("{kernel} (one process)"),
            })
            .collect();
        names.join(", ")
    }

    /// For how many kernels another bound holds.
    pub(super) fn counts_at(&self, at_most: f64) -> Counts {
        let words = self.ratios.iter();
        let words = words.map(|(_, ratio)| Verdict::of(ratio, at_most));
        Counts::of(words, kernel_core::KERNELS.len(), "kernels")
    }

    /// Kernels for which a bound is not held, or is not shown to be.
    pub(super) fn beyond(&self, at_most: f64) -> Vec<&str> {
        self.ratios
            .iter()
            .filter(|(_, ratio)| Verdict::of(ratio, at_most) != Verdict::Held)
            .map(|(kernel, _)| kernel.as_str())
            .collect()
    }

    /// Half the width of the widest interval, of those that are intervals.
    pub(super) fn widest(&self) -> Option<Estimate> {
        let widths = self.ratios.iter().map(|(_, ratio)| Estimate {
            value: half_width(ratio),
            low: None,
            high: None,
            ..*ratio
        });
        widths
            .filter(|width| width.value.is_finite())
            .max_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// Kernels with a ratio.
    pub fn measured(&self) -> usize {
        self.ratios.len()
    }
}

pub(super) fn all(source: &Source<'_>) -> Vec<Metering> {
    let mut all = Vec::new();
    for runtime in source.engines() {
        for budget in [BudgetKind::Epoch, BudgetKind::Fuel] {
            all.push(of(source, runtime, budget));
        }
    }
    all
}

pub(super) fn of(source: &Source<'_>, runtime: &str, budget: BudgetKind) -> Metering {
    let (claimed, at_most, intervals) = match budget {
        BudgetKind::Fuel => ("15-30 %", 1.30, &aims().intervals_of_fuel),
        _ => ("2-5 %", 1.05, &aims().intervals_of_epochs),
    };
    let size = budget_size(source.run.quick);
    let mut metering = Metering {
        runtime: runtime.to_owned(),
        budget,
        size,
        claimed,
        at_most,
        mean: None,
        worst: None,
        counts: Counts::default(),
        missed: Vec::new(),
        missing: Vec::new(),
        ratios: Vec::new(),
        wide: Vec::new(),
        why: String::new(),
    };
    let mut by_process: Vec<BTreeMap<u32, f64>> = Vec::new();
    for kernel in &kernel_core::KERNELS {
        let found = source.budgets.iter().find(|compared| {
            let key = &compared.key;
            key.runtime == runtime
                && key.kernel == kernel.id
                && key.variant == "base"
                && key.budget == budget
                && compared.size == size
        });
        let Some(found) = found else {
            metering.missing.push(kernel.id.to_owned());
            continue;
        };
        let ratio = &found.ratio.estimate;
        if Verdict::of(ratio, at_most) == Verdict::NotHeld {
            metering.missed.push(kernel.id.to_owned());
        }
        metering.ratios.push((kernel.id.to_owned(), *ratio));
        let half = half_width(ratio);
        if half > intervals.at_most {
            metering.wide.push((kernel.id.to_owned(), half));
        }
        let more = |worst: &(String, Estimate)| ratio.value > worst.1.value;
        if metering.worst.as_ref().is_none_or(more) {
            metering.worst = Some((kernel.id.to_owned(), *ratio));
        }
        by_process.push(source.index.budget_by_process(&found.key));
    }
    metering.counts = metering.counts_at(at_most);
    metering.mean = mean_of(&by_process).map(|ratio| ratio.estimate);
    if by_process.is_empty() {
        metering.why = source.why(runtime, |key| {
            key.budget == budget && key.quantity == "call" && key.variant == "base"
        });
    }
    metering
}

/// Half the width of the interval relative to its value; infinite of one process.
fn half_width(ratio: &Estimate) -> f64 {
    match (ratio.low, ratio.high) {
        (Some(low), Some(high)) => (high - low) / 2.0 / ratio.value,
        _ => f64::INFINITY,
    }
}

/// One sentence for each engine of which anything was measured.
pub(super) fn sentences(all: &[Metering]) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    for epoch in all.iter().filter(|m| m.budget == BudgetKind::Epoch) {
        let fuel = all
            .iter()
            .find(|m| m.budget == BudgetKind::Fuel && m.runtime == epoch.runtime);
        let Some(fuel) = fuel else { continue };
        if epoch.measured() + fuel.measured() == 0 {
            continue;
        }
        let part = |metering: &Metering| {
            let Counts {
                held,
                not_held,
                unsure,
                of,
                ..
            } = metering.counts;
            if metering.measured() == 0 {
                return format!("{} not measured ({})", metering.budget, metering.why);
            }
            let mut part = format!("{held} / {not_held} of {of} ({}", metering.budget);
            if unsure > 0 {
                part += &format!(", unsure for {unsure}");
            }
            if !metering.missing.is_empty() {
                part += &format!(", not measured for {}", metering.missing.len());
            }
            if let Some(mean) = &metering.mean {
                part += &format!(", geometric mean {:+.1} %", 100.0 * (mean.value - 1.0));
            }
            part + ")"
        };
        sentences.push(Sentence {
            text: format!(
                "{}: claimed 2-5 % / 15-30 %: held / not held for {}, {}; base modules, {} elements",
                epoch.runtime,
                part(epoch),
                part(fuel),
                if epoch.size == "4Ki" { "4 Ki" } else { "64 Ki" },
            ),
            runtime: epoch.runtime.clone(),
            size: epoch.size,
        });
    }
    sentences
}
