//! The verdict: what follows from the evidence of a qualification. A pure function, and the only place where an engine is called qualified.
//!
//! An engine qualifies if every kernel was run on it and holds, and the basics, the traps and the numeric instructions do. A device adds that
//! it must hold the device's limits, and that every kernel must fit. What was not asked is part of a good verdict's words.

mod words;

pub use words::{
    NotAsked, conformance_words, doubt, not_asked, not_asked_of_conformance, not_run, truths, words,
};

use crate::{
    basics,
    conform::{
        device::{Device, Fit, Profile},
        report::Conformance,
    },
    engine::{EngineReport, NativeCode, Status},
    outcome::Outcome,
    results::PackIdentity,
    traps::{self, Survey, latency},
};
use runtime_api::COMPILED_ELSEWHERE;
use serde::{Deserialize, Serialize};
use std::fmt;

mod reasons;

use reasons::{of_basics, of_kernels, of_planted};

/// What a qualification has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Which pack.
    pub pack: PackIdentity,
    /// The kernels that were asked for, in the order of the pack.
    pub kernels: Vec<String>,
    /// Which shapes fit the profile's device; empty where it is none.
    pub fits: Vec<Fit>,
    /// Kernels on engines, with the numeric instructions.
    pub conform: Conformance,
    /// The basics, native code's first.
    pub basics: Vec<basics::Finding>,
    /// Faults that were planted into kernels.
    pub planted: Vec<basics::Finding>,
    /// Traps, budgets and limits.
    pub traps: Survey,
    /// Interruptions of each kind of code; 0 where engines were not interrupted.
    pub interruptions: u32,
    /// Parts that were not asked in full, because the time of the run was over.
    pub unfinished: Vec<String>,
}

/// The verdict on a pack and the engines together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// At least one engine qualifies, and none that is there fails.
    Qualified,
    /// Anything else.
    NotQualified,
}

/// The verdict on an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineWord {
    /// It may run the kernels.
    Qualified,
    /// It must not.
    NotQualified,
    /// It is not in this build or not on this machine.
    Absent,
    /// It cannot be held to the limits of the device.
    Unsupported,
}

/// The verdict on an engine, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineVerdict {
    /// Engine id.
    pub id: String,
    /// The verdict in a word.
    pub verdict: EngineWord,
    /// Why it does not qualify.
    pub reasons: Vec<String>,
    /// What is known to fail and does not forbid the verdict: for whom the engine is not.
    #[serde(default)]
    pub limitations: Vec<String>,
    /// Native code that the verdict rests on and that is not known to be what the engine makes of the modules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub native_code_not_compared: Vec<NativeCode>,
}

/// What follows from the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// In a word.
    pub word: Word,
    /// On each engine, in the order of reports.
    pub engines: Vec<EngineVerdict>,
    /// Traps, budgets and limits on each engine that was run.
    pub trap_summaries: Vec<traps::Summary>,
}

/// What follows from the evidence for a profile.
pub fn judge(evidence: &Evidence, profile: Profile) -> Verdict {
    let ran = evidence.conform.runtimes();
    let trap_summaries: Vec<traps::Summary> =
        ran.iter().map(|id| evidence.traps.summary(id)).collect();
    let engines: Vec<EngineVerdict> = evidence
        .conform
        .engines
        .iter()
        .map(|engine| match profile.device() {
            _ if engine.status == Status::Absent => absent(engine),
            None => of_engine(evidence, engine, &trap_summaries),
            Some(device) => on_device(
                device,
                evidence,
                of_engine(evidence, engine, &trap_summaries),
            ),
        })
        .collect();
    let has = |word| engines.iter().any(|engine| engine.verdict == word);
    let good = evidence.conform.follows().passed()
        && evidence.conform.verdict.passed()
        && native_holds(&evidence.basics)
        && evidence.unfinished.is_empty()
        && has(EngineWord::Qualified)
        && !has(EngineWord::NotQualified);
    Verdict {
        word: if good {
            Word::Qualified
        } else {
            Word::NotQualified
        },
        engines,
        trap_summaries,
    }
}

/// Whether native code keeps denormals: where it does not, or nobody looked, it is no reference for engines.
fn native_holds(basics: &[basics::Finding]) -> bool {
    let mut native = basics
        .iter()
        .filter(|finding| finding.runtime == basics::NATIVE)
        .peekable();
    native.peek().is_some() && native.all(|finding| finding.outcome == Outcome::Pass)
}

fn absent(engine: &EngineReport) -> EngineVerdict {
    EngineVerdict {
        id: engine.id.clone(),
        verdict: EngineWord::Absent,
        reasons: engine.reason.iter().cloned().collect(),
        limitations: Vec::new(),
        native_code_not_compared: Vec::new(),
    }
}

fn of_engine(
    evidence: &Evidence,
    engine: &EngineReport,
    traps: &[traps::Summary],
) -> EngineVerdict {
    let id = &engine.id;
    let mut reasons = of_kernels(evidence, id);
    let truths = &evidence.conform.truths;
    for kernel in &evidence.kernels {
        if !truths.iter().any(|truth| truth.kernel == *kernel) {
            reasons.push(format!("nothing says by what truth {kernel} was judged"));
        }
    }
    reasons.extend(of_basics(&evidence.basics, id));
    let compiled = engine.compiled_elsewhere.iter();
    let mut limitations: Vec<String> = compiled
        .map(|what| format!("{COMPILED_ELSEWHERE}: {what}"))
        .collect();
    let (untold, not_asked) = of_planted(&evidence.planted, id);
    reasons.extend(untold);
    limitations.extend(not_asked);
    for lack in &engine.lacks {
        let list = match lack.forbids() {
            true => &mut reasons,
            false => &mut limitations,
        };
        list.push(lack.to_string());
    }
    // No fault of the engine's; the verdict on the whole has it.
    limitations.extend(truths.iter().filter_map(|truth| {
        let reason = truth.unjudged.as_ref()?;
        Some(format!("{} was not judged: {reason}", truth.kernel))
    }));
    if let Some(summary) = traps.iter().find(|summary| summary.runtime == *id) {
        let failures = summary.failures.iter();
        reasons.extend(failures.map(|failure| format!("traps, {failure}")));
        limitations.extend(summary.limitations.iter().cloned());
        let kinds = summary.latency.len();
        if evidence.interruptions > 0 && kinds != latency::KINDS && evidence.traps.passes(id) {
            let all = latency::KINDS;
            reasons.push(format!(
                "traps, {kinds} of {all} kinds of code were interrupted"
            ));
        }
    }
    let mut numerics = evidence.conform.numerics.iter();
    match numerics.find(|summary| summary.runtime == *id) {
        Some(summary) => reasons.extend(summary.reasons()),
        None => reasons.push("the numeric instructions were not run".to_owned()),
    }
    reasons.extend(engine.reason.clone());
    EngineVerdict {
        id: id.clone(),
        verdict: if reasons.is_empty() {
            EngineWord::Qualified
        } else {
            EngineWord::NotQualified
        },
        reasons,
        limitations,
        native_code_not_compared: engine.native_code_not_compared.clone(),
    }
}

/// What a device adds: an engine that cannot be held to its limits is unsupported, and a kernel of which nothing fits, or which with its
/// module is too large, is not qualified.
fn on_device(device: &Device, evidence: &Evidence, mut verdict: EngineVerdict) -> EngineVerdict {
    if let Some(reason) = evidence.conform.held_back.get(&verdict.id) {
        verdict.verdict = EngineWord::Unsupported;
        verdict.reasons = vec![reason.clone()];
        return verdict;
    }
    let too_large = |fit: &&Fit| fit.largest.is_none() || fit.bytes > device.all_bytes;
    let too_large: Vec<&Fit> = evidence.fits.iter().filter(too_large).collect();
    if !too_large.is_empty() {
        verdict.verdict = EngineWord::NotQualified;
        let reasons = too_large.iter();
        verdict
            .reasons
            .extend(reasons.map(|fit| format!("{} does not fit the device", fit.kernel)));
    }
    for kernel in &evidence.kernels {
        if !evidence.fits.iter().any(|fit| fit.kernel == *kernel) {
            verdict.verdict = EngineWord::NotQualified;
            let reason = format!("nothing says whether {kernel} fits the device");
            verdict.reasons.push(reason);
        }
    }
    verdict
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Word::Qualified => "qualified",
            Word::NotQualified => "not-qualified",
        })
    }
}

impl fmt::Display for EngineWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EngineWord::Qualified => "qualified",
            EngineWord::NotQualified => "not-qualified",
            EngineWord::Absent => "absent",
            EngineWord::Unsupported => "unsupported",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
