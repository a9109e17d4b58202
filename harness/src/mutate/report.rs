//! What became of mutants: `mutate.json`, and the same on screen.

use super::{Death, Kind, Place};
use crate::{outcome::Whole, results::PackIdentity};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt::Write};

/// Name of the document in a results folder.
pub const FILE: &str = "mutate.json";

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Fate {
    /// Something does not hold.
    Killed(Death),
    /// Everything holds, and a call shows that it is wrong.
    Wrong {
        /// The call, in words.
        call: String,
        /// What it does otherwise than the original.
        difference: String,
        /// The folder, below the results folder, with the mutant and the call's bytes.
        bytes: String,
    },
    /// Everything holds, and drawn calls give other answers, all of them within the contract's tolerance.
    WithinTolerance {
        /// What the first of them does otherwise than the original.
        difference: String,
    },
    /// Everything holds, and no drawn call tells it from the original.
    NoDifference,
    /// The harness could not tell.
    Error {
        /// Why.
        reason: String,
    },
}

/// A mutant, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Kernel id.
    pub kernel: String,
    /// `base`, or the variant's features.
    pub variant: String,
    /// The fault.
    #[serde(flatten)]
    pub place: Place,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// How many mutants of a kind became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfKind {
    /// All of them.
    pub mutants: u64,
    /// Something did not hold.
    pub killed: u64,
    /// Everything held, and a call shows that it is wrong.
    pub wrong: u64,
    /// Everything held, and answers differ by no more than the contract allows.
    pub within_tolerance: u64,
    /// Everything held, and no call tells it from the original.
    pub no_difference: u64,
    /// The harness could not tell.
    pub error: u64,
}

/// What became of the mutants of a pack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Pass if no survivor is wrong.
    pub verdict: Whole,
    /// Why it failed as a whole, besides mutants.
    pub reasons: Vec<String>,
    /// Which pack.
    pub pack: PackIdentity,
    /// The engine that judged.
    pub runtime: String,
    /// The engine that searched.
    pub searched_on: String,
    /// Seed of mutants and calls.
    pub seed: u64,
    /// Generated cases per kernel that each mutant was judged by.
    pub cases: u32,
    /// Calls drawn for each survivor.
    pub calls: u32,
    /// All mutants.
    pub total: OfKind,
    /// By kind of fault.
    pub kinds: BTreeMap<Kind, OfKind>,
    /// By layer: how many failed it first, some more than one.
    pub layers: BTreeMap<String, u64>,
    /// Each mutant.
    pub mutants: Vec<Judged>,
    /// The results folder.
    pub evidence: String,
}

impl OfKind {
    fn add(&mut self, fate: &Fate) {
        self.mutants += 1;
        *match fate {
            Fate::Killed(_) => &mut self.killed,
            Fate::Wrong { .. } => &mut self.wrong,
            Fate::WithinTolerance { .. } => &mut self.within_tolerance,
            Fate::NoDifference => &mut self.no_difference,
            Fate::Error { .. } => &mut self.error,
        } += 1;
    }

    fn percent(&self, of: u64) -> f64 {
        100.0 * of as f64 / self.mutants.max(1) as f64
    }
}

impl Report {
    /// Sums the mutants up, and says what follows.
    pub(super) fn sum_up(mut self) -> Self {
        for judged in &self.mutants {
            self.total.add(&judged.fate);
            self.kinds
                .entry(judged.place.kind)
                .or_default()
                .add(&judged.fate);
            if let Fate::Killed(death) = &judged.fate {
                for layer in &death.layers {
                    *self.layers.entry(layer.clone()).or_default() += 1;
                }
            }
        }
        if self.total.mutants == 0 {
            self.reasons.push("there was no mutant".to_owned());
        }
        self.verdict =
            Whole::of(self.total.wrong + self.total.error > 0 || !self.reasons.is_empty());
        self
    }
}

/// The document on screen.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writes(report, &mut text);
    text
}

fn writes(report: &Report, text: &mut String) -> std::fmt::Result {
    for judged in &report.mutants {
        let Judged {
            kernel,
            variant,
            place,
            fate,
        } = judged;
        let at = format!(
            "{kernel} ({variant}), {} in {} at byte {}: `{}` became `{}`",
            place.kind, place.function, place.offset, place.before, place.after
        );
        match fate {
            Fate::Wrong {
                call,
                difference,
                bytes,
            } => {
                writeln!(
                    text,
                    "wrong and not found: {at}\n  {difference}\n  {call}\n  bytes: {}/{bytes}",
                    report.evidence
                )?;
            }
            Fate::Error { reason } => writeln!(text, "error: {at}: {reason}")?,
            Fate::WithinTolerance { difference } => {
                writeln!(
                    text,
                    "within the contract's tolerance: {at}\n  {difference}"
                )?;
            }
            Fate::NoDifference => writeln!(text, "no difference found: {at}")?,
            Fate::Killed(_) => {}
        }
    }
    writeln!(
        text,
        "\n{:<18} {:>8} {:>8} {:>8} {:>17} {:>14} {:>6}",
        "fault", "mutants", "killed", "wrong", "within tolerance", "no difference", "error"
    )?;
    let rows = report
        .kinds
        .iter()
        .map(|(kind, of_kind)| (kind.to_string(), of_kind));
    for (name, row) in rows.chain([("all".to_owned(), &report.total)]) {
        writeln!(
            text,
            "{name:<18} {:>8} {:>8} {:>8} {:>17} {:>14} {:>6}",
            row.mutants, row.killed, row.wrong, row.within_tolerance, row.no_difference, row.error
        )?;
    }
    let layers: Vec<String> = report
        .layers
        .iter()
        .map(|(layer, count)| format!("{layer} {count}"))
        .collect();
    writeln!(
        text,
        "\nlayers that failed first, of those killed: {}",
        layers.join(", ")
    )?;
    for reason in &report.reasons {
        writeln!(text, "{reason}")?;
    }
    let total = &report.total;
    write!(
        text,
        "\nmutants: {} - {} of {} killed ({:.1} %); of the survivors {} are wrong ({:.1} %), {} differ within the contract's tolerance, and for {} ({:.1} %) {} calls found no \
         difference; \
         judged on {}, searched on {}; seed {}; results in {}",
        report.verdict,
        total.killed,
        total.mutants,
        total.percent(total.killed),
        total.wrong,
        total.percent(total.wrong),
        total.within_tolerance,
        total.no_difference,
        total.percent(total.no_difference),
        report.calls,
        report.runtime,
        report.searched_on,
        report.seed,
        report.evidence
    )
}
