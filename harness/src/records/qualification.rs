//! The document of a qualification: the verdict, and what it follows from.

use crate::{
    basics::Finding,
    conform::{
        device::{Fit, Profile},
        report::Conformance,
    },
    judge::{self, EngineVerdict, Evidence, NotAsked, Verdict, Word},
    numerics::Summary,
    results::PackIdentity,
    traps,
};
use serde::{Deserialize, Serialize};

/// Name of the file in a results folder.
pub const FILE: &str = "qualify.json";

/// A qualification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Qualification {
    /// The verdict in a word; [`words`](Self::words) has what nobody asked besides.
    pub verdict: Word,
    /// What for.
    pub profile: Profile,
    /// What [`words`](Self::words) gives; records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Which pack.
    pub pack: PackIdentity,
    /// The kernels that the verdict is about: fewer than the pack's where `--kernel` chose.
    pub kernels: Vec<String>,
    /// Which shapes fit the profile's device; empty where it is none.
    #[serde(default)]
    pub fits: Vec<Fit>,
    /// The verdict on each engine.
    pub engines: Vec<EngineVerdict>,
    /// The basics, native code's first.
    pub basics: Vec<Finding>,
    /// Faults that were planted into kernels, and whether each engine told of them.
    #[serde(default)]
    pub planted: Vec<Finding>,
    /// Traps, budgets and limits, one summary per engine that was run; `traps.json` has every case.
    #[serde(default)]
    pub trap_summaries: Vec<traps::Summary>,
    /// Interruptions of each kind of code; 0 where engines were not interrupted.
    #[serde(default)]
    pub interruptions: u32,
    /// Parts that were not asked in full, because the time of the run was over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<String>,
    /// The numeric instructions, one summary per engine that was run.
    #[serde(default)]
    pub numerics: Vec<Summary>,
    /// Layers of all kernels.
    pub conform: Conformance,
    /// Architecture that the engines were built for, where it was recorded.
    #[serde(default)]
    pub architecture: Option<String>,
    /// Set where that is not the machine's own: times were not judged then, outputs and stops were.
    #[serde(default)]
    pub emulated: Option<String>,
    /// The results folder.
    #[serde(default)]
    pub evidence: String,
}

impl Qualification {
    /// What follows from the evidence, on a machine of this architecture.
    pub fn of(
        evidence: Evidence,
        profile: Profile,
        architecture: Option<String>,
        emulated: Option<String>,
    ) -> Self {
        let Verdict {
            word,
            engines,
            trap_summaries,
        } = judge::judge(&evidence, profile);
        let conform = evidence.conform;
        let mut qualification = Self {
            verdict: word,
            words: None,
            profile,
            pack: evidence.pack,
            kernels: evidence.kernels,
            fits: evidence.fits,
            engines,
            basics: evidence.basics,
            planted: evidence.planted,
            trap_summaries,
            interruptions: evidence.interruptions,
            unfinished: evidence.unfinished,
            numerics: conform.numerics.clone(),
            architecture,
            emulated,
            evidence: conform.evidence.clone(),
            conform,
        };
        qualification.words = Some(qualification.words());
        qualification
    }

    /// What nobody asked.
    pub fn not_asked(&self) -> Vec<NotAsked> {
        judge::not_asked(
            self.interruptions,
            &self.planted,
            &self.kernels,
            self.pack.kernels,
            &self.conform,
        )
    }

    /// The verdict for people: never a bare "qualified" where something was not asked.
    pub fn words(&self) -> String {
        let not_run = judge::not_run(self.conform.time_limit.as_ref(), &self.unfinished);
        judge::words(
            self.verdict,
            &self.not_asked(),
            not_run.as_deref(),
            &self.conform.engines,
        )
    }

    /// Whether the word says all: everything was asked, and no native code stands in for what engines make of the modules.
    pub fn is_unreserved(&self) -> bool {
        let mut engines = self.conform.engines.iter();
        self.not_asked().is_empty()
            && engines.all(|engine| engine.native_code_not_compared.is_empty())
    }
}
