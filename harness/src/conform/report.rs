//! What conformance found: `conform.json`.

use super::{envelope::Envelope, record::Entry, search::Searched, truths::Truth};
use crate::{
    coverage::Coverage,
    engine::{EngineReport, Status},
    numerics::Summary,
    outcome::{Counts, Whole},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the file in a results folder.
pub const FILE: &str = "conform.json";

/// What conformance found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conformance {
    /// Whether everything that ran holds.
    pub verdict: Whole,
    /// Why it failed as a whole, besides the entries of `results`.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Seed of the generated cases.
    pub seed: u64,
    /// The run's own seed: of placements, sequences and the second batch of generated cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_seed: Option<u64>,
    /// Generated cases per kernel.
    #[serde(default)]
    pub cases: u32,
    /// Outcomes of all (case, layer) pairs on all engines; `absent` counts (engine, kernel) cells.
    #[serde(default)]
    pub counts: Counts,
    /// The engines that were asked for.
    pub engines: Vec<EngineReport>,
    /// Vector files that were passed over, compiled forms and caches that were used or not.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Sums, then failing cases.
    pub results: Vec<Entry>,
    /// The numeric instructions, one summary per engine that is ready; empty where one case alone was asked for.
    #[serde(default)]
    pub numerics: Vec<Summary>,
    /// Which code the cases ran, of each module; empty where that was not asked.
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// What a search for cases that run more of it did, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Searched>,
    /// Engines that were not run because they do not hold the limits of a device, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held_back: BTreeMap<String, String>,
    /// How long the run might take, and what was not run for that; records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<TimeReport>,
    /// How many kernels the pack has; 0 where earlier versions did not say.
    #[serde(default)]
    pub pack_kernels: usize,
    /// What each kernel was asked, as far as it held.
    #[serde(default)]
    pub envelope: Vec<Envelope>,
    /// The verdict with what nobody asked, where the document is of `conform` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// What said of each kernel what is right.
    #[serde(default)]
    pub truths: Vec<Truth>,
    /// The results folder.
    #[serde(default)]
    pub evidence: String,
}

/// How long a run might take, and what it did not run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeReport {
    /// Seconds that the run might take.
    pub seconds: u64,
    /// Seconds that a module might take on an engine, where that was asked for; else its manifest decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_seconds: Option<u64>,
    /// Modules of which not all was run on an engine, because time was over or the module was given up.
    #[serde(default)]
    pub not_run: Vec<NotRun>,
}

/// A module of which not all was run on an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRun {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// `base`, the variant's features, or the name of a form.
    pub variant: String,
    /// Cases that were not run.
    pub cases: u64,
    /// Sequences that were not run.
    pub sequences: u64,
    /// Why.
    pub reason: String,
}

impl Conformance {
    /// Ids of the engines that ran.
    pub fn runtimes(&self) -> Vec<String> {
        self.engines
            .iter()
            .filter(|engine| engine.status != Status::Absent)
            .map(|engine| engine.id.clone())
            .collect()
    }

    /// The verdict that follows from the counts and the reasons.
    pub fn follows(&self) -> Whole {
        Whole::of(self.counts.fail + self.counts.error > 0 || !self.reasons.is_empty())
    }

    /// Adds the numeric instructions, and lets what does not hold count.
    pub fn add_numerics(&mut self, numerics: Vec<Summary>) {
        for summary in &numerics {
            let reasons = summary.reasons().into_iter();
            let id = &summary.runtime;
            self.reasons
                .extend(reasons.map(|reason| format!("{id}, {reason}")));
        }
        self.numerics = numerics;
        self.verdict = self.follows();
    }

    /// Adds which code ran, and lets what speaks against a module count. Code that no case ran is for whoever asks for a verdict to judge.
    pub fn add_coverage(&mut self, coverage: Vec<Coverage>) {
        self.reasons
            .extend(coverage.iter().flat_map(Coverage::faults));
        self.coverage = coverage;
        self.verdict = self.follows();
    }
}
