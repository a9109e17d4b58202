//! The numeric instructions themselves: each one runs over operands at which implementations go wrong, and its results are
//! compared with an oracle in plain Rust. Kernels use few instructions; an engine may compute them all rightly and still
//! lose the sign of a zero somewhere else.
//!
//! What is compared: every bit, but for the sign and payload of a NaN that an instruction computes, which the specification
//! leaves open within the arithmetic NaNs. Each instruction runs in a loop over operands in memory, and again over constants,
//! which optimisers fold: a second implementation. Operands at which an instruction traps belong to the trap checks.

mod grid;
mod operation;
mod oracle;
mod plan;
mod run;
mod simd;
mod suite;
#[cfg(test)]
mod tests;

pub use plan::Plan;
pub use run::run;
pub use suite::{FILE, on_all};

use crate::outcome::Outcome;
use serde::{Deserialize, Serialize};

/// What became of one instruction on one engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Engine id.
    pub runtime: String,
    /// The instruction, its immediates included.
    pub operation: String,
    /// The feature it belongs to; `None` for WebAssembly 1.0.
    pub feature: Option<String>,
    /// Unsupported only where the engine does not list the feature, or says so itself; a known failure only where the
    /// ledger of expectations explains it.
    pub outcome: Outcome,
    /// Number of tuples of operands that were due, constants included.
    pub cases: u64,
    /// The first wrong result, or why there is none.
    pub detail: String,
}

impl Finding {
    /// Whether it forbids that the engine qualifies: an instruction of a feature may be unsupported, for packs name the features
    /// they need; WebAssembly 1.0 must hold.
    pub fn is_bad(&self) -> bool {
        match self.outcome {
            Outcome::Pass | Outcome::KnownFailure => false,
            Outcome::Unsupported => self.feature.is_none(),
            Outcome::Fail | Outcome::Error | Outcome::Absent | Outcome::Unjudged => true,
        }
    }
}

/// The instructions on one engine, summed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Engine id.
    pub runtime: String,
    /// Number of instructions there are.
    pub operations: usize,
    /// Number of instructions that hold.
    pub held: usize,
    /// Number of instructions that the engine does not have.
    pub unsupported: usize,
    /// Number of instructions that fail in a way that is known and explained.
    pub known_failures: usize,
    /// Number of results of the instructions that hold.
    pub cases: u64,
    /// Why instructions are unsupported or known to fail, each reason once.
    pub because: Vec<String>,
    /// Instructions that do not hold.
    pub findings: Vec<Finding>,
    /// Whether nothing forbids that the engine qualifies.
    pub holds: bool,
}

impl Summary {
    /// Sums up all findings of an engine; `operations` is how many instructions there are.
    pub fn of(operations: usize, runtime: &str, findings: &[Finding]) -> Summary {
        let count = |outcome| {
            findings
                .iter()
                .filter(|finding| finding.outcome == outcome)
                .count()
        };
        let mut because: Vec<String> = findings
            .iter()
            .filter(|finding| {
                matches!(
                    finding.outcome,
                    Outcome::Unsupported | Outcome::KnownFailure
                )
            })
            .map(|finding| finding.detail.clone())
            .collect();
        because.sort_unstable();
        because.dedup();
        Summary {
            runtime: runtime.to_owned(),
            operations,
            held: count(Outcome::Pass),
            unsupported: count(Outcome::Unsupported),
            known_failures: count(Outcome::KnownFailure),
            cases: findings
                .iter()
                .filter(|finding| finding.outcome == Outcome::Pass)
                .map(|finding| finding.cases)
                .sum(),
            because,
            holds: findings.len() == operations && !findings.iter().any(Finding::is_bad),
            findings: findings
                .iter()
                .filter(|finding| finding.is_bad())
                .cloned()
                .collect(),
        }
    }

    /// Why the engine does not conform: one line per instruction, and one for all that were not run for the same cause; empty if it does.
    pub fn reasons(&self) -> Vec<String> {
        let mut causes: Vec<(&Finding, usize)> = Vec::new();
        for finding in &self.findings {
            let same = causes.iter_mut().find(|(first, _)| {
                finding.outcome == Outcome::Error
                    && first.outcome == Outcome::Error
                    && first.detail == finding.detail
            });
            match same {
                Some((_, more)) => *more += 1,
                None => causes.push((finding, 0)),
            }
        }
        let mut reasons: Vec<String> = causes
            .iter()
            .map(|(finding, more)| {
                let others = match more {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!(
                    "numerics, {}{others}: {}: {}",
                    finding.operation, finding.outcome, finding.detail
                )
            })
            .collect();
        if !self.holds && reasons.is_empty() {
            reasons.push("numerics: not every operation was run".to_owned());
        }
        reasons
    }

    /// In one line, for people.
    pub fn line(&self) -> String {
        let mut line = format!("{} of {} operations hold", self.held, self.operations);
        for (number, what) in [
            (self.unsupported, "unsupported"),
            (self.known_failures, "known failures"),
        ] {
            if number > 0 {
                line += &format!(", {number} {what}");
            }
        }
        for reason in &self.because {
            line += &format!("\n    {reason}");
        }
        line
    }
}
