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
#[cfg(test)]
mod tests;

pub use plan::Plan;
pub use run::run;

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
    /// Unsupported only where the engine does not list the feature, or says so itself.
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
        self.outcome.is_bad() || (self.outcome != Outcome::Pass && self.feature.is_none())
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
    /// Number of results that were compared.
    pub cases: u64,
    /// Why instructions are unsupported, each reason once.
    pub unsupported_because: Vec<String>,
    /// Instructions that do not hold.
    pub findings: Vec<Finding>,
    /// Whether nothing forbids that the engine qualifies.
    pub holds: bool,
}

impl Summary {
    /// Sums up all findings of an engine.
    pub fn of(plan: &Plan, runtime: &str, findings: &[Finding]) -> Summary {
        let count = |outcome| {
            findings
                .iter()
                .filter(|finding| finding.outcome == outcome)
                .count()
        };
        let mut unsupported_because: Vec<String> = findings
            .iter()
            .filter(|finding| finding.outcome == Outcome::Unsupported)
            .map(|finding| finding.detail.clone())
            .collect();
        unsupported_because.sort_unstable();
        unsupported_because.dedup();
        Summary {
            runtime: runtime.to_owned(),
            operations: plan.operations(),
            held: count(Outcome::Pass),
            unsupported: count(Outcome::Unsupported),
            cases: findings
                .iter()
                .filter(|finding| finding.outcome == Outcome::Pass)
                .map(|finding| finding.cases)
                .sum(),
            unsupported_because,
            holds: findings.len() == plan.operations() && !findings.iter().any(Finding::is_bad),
            findings: findings
                .iter()
                .filter(|finding| finding.is_bad())
                .cloned()
                .collect(),
        }
    }

    /// Why the engine does not conform: one line per instruction; empty if it does.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self
            .findings
            .iter()
            .map(|finding| {
                format!(
                    "numerics, {}: {}: {}",
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
        if self.unsupported > 0 {
            line += &format!(
                ", {} unsupported ({})",
                self.unsupported,
                self.unsupported_because.join("; ")
            );
        }
        line
    }
}
