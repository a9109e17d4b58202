//! What `assay nn --check` found. Its program stands beside this one, and writes what is read here.

use crate::outcome::Outcome;
use serde::{Deserialize, Serialize};

/// Name of the file in a results folder.
pub const FILE: &str = "nn.json";

/// Conformance of WASI-NN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NnReport {
    /// 1, the version of this document.
    pub nn: u32,
    /// Whether nothing fails.
    pub passed: bool,
    /// Engines with backends, in the order in which they were asked.
    pub cells: Vec<Cell>,
    /// Outputs that must be the same bits and are not.
    pub disagreements: Vec<String>,
    /// Engines and backends that were not asked.
    pub left_out: Vec<LeftOut>,
}

/// An engine with a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The engine.
    pub engine: String,
    /// The backend; `planted` for those that are wrong on purpose.
    pub backend: String,
    /// The checks, in order.
    pub findings: Vec<Finding>,
    /// SHA-256 of what each model gave, by its name.
    pub outputs: Vec<(String, String)>,
}

/// A check, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was asked.
    pub check: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen, or what is wrong.
    pub detail: String,
}

/// An engine or a backend that is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its id.
    pub what: String,
    /// Unsupported or absent.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

impl NnReport {
    /// All checks of all cells.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.cells.iter().flat_map(|cell| &cell.findings)
    }

    /// How it stands, in a few words.
    pub fn words(&self) -> String {
        let count = |fits: fn(Outcome) -> bool| {
            let findings = self.findings();
            findings.filter(|finding| fits(finding.outcome)).count()
        };
        let mut words = format!(
            "{} of {} checks pass, {} fail",
            count(|outcome| outcome == Outcome::Pass),
            self.findings().count(),
            count(Outcome::is_bad)
        );
        if !self.disagreements.is_empty() {
            words += &format!("; {} outputs disagree", self.disagreements.len());
        }
        words
    }

    /// Whether nothing fails, as it follows from what stands here and not from what is said.
    pub fn holds(&self) -> bool {
        self.disagreements.is_empty() && !self.findings().any(|it| it.outcome.is_bad())
    }
}
