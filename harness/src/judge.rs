//! The verdict: what follows from the evidence of a qualification. A pure function, and the only place where an engine is called qualified.
//!
//! An engine qualifies if every kernel was run on it and holds, and the basics, the traps and the numeric instructions do. A device adds that
//! it must hold the device's limits, and that every kernel must fit. What was not asked is part of a good verdict's words.

use crate::{
    basics,
    conform::{
        device::{Device, Fit, Profile},
        report::Conformance,
        truths::Truth,
    },
    coverage::Coverage,
    engine::{EngineReport, NativeCode, Status},
    outcome::Outcome,
    results::PackIdentity,
    traps::{self, Survey, latency},
};
use kernel_cases::open::Strength;
use runtime_api::COMPILED_ELSEWHERE;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

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

/// What nobody asked, so that a good verdict says nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// How late engines stop.
    Interruptions,
    /// Code that no case ran, and that nobody has shown to be unreachable.
    Code {
        /// Basic blocks that did not run.
        blocks: usize,
        /// All of them.
        all: u64,
        /// The modules that they are in.
        modules: usize,
    },
    /// Which code the cases ran.
    Coverage,
    /// Kernels that were left out.
    Kernels {
        /// Those that were judged.
        judged: Vec<String>,
        /// How many the pack has.
        all: usize,
    },
    /// Somebody else's word: these kernels rest on their author's alone.
    OtherTruth(Vec<String>),
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

/// What nobody asked, of a run with so many interruptions of the kernels `judged`, by these truths, whose cases ran this code.
pub fn not_asked(
    interruptions: u32,
    judged: &[String],
    pack: &PackIdentity,
    truths: &[Truth],
    coverage: &[Coverage],
) -> Vec<NotAsked> {
    let interruptions = (interruptions == 0).then_some(NotAsked::Interruptions);
    let open = |module: &Coverage| module.open().count();
    let blocks = coverage.iter().map(open).sum();
    let code = match blocks {
        _ if coverage.is_empty() => Some(NotAsked::Coverage),
        0 => None,
        blocks => Some(NotAsked::Code {
            blocks,
            all: coverage.iter().map(|module| module.blocks).sum(),
            modules: coverage.iter().filter(|module| open(module) > 0).count(),
        }),
    };
    let kernels = (judged.len() < pack.kernels).then(|| NotAsked::Kernels {
        judged: judged.to_vec(),
        all: pack.kernels,
    });
    let own: Vec<String> = truths
        .iter()
        .filter(|truth| truth.strength() == Some(Strength::Own))
        .map(|truth| truth.kernel.clone())
        .collect();
    let own = (!own.is_empty()).then_some(NotAsked::OtherTruth(own));
    let all = [interruptions, code, kernels, own];
    all.into_iter().flatten().collect()
}

/// By what each kernel was judged, in a line each; kernels that have nothing but built-in oracles share one.
pub fn truths(truths: &[Truth]) -> Vec<String> {
    let builtin = |truth: &&Truth| {
        truth.unjudged.is_none()
            && truth
                .sources
                .iter()
                .any(|asked| asked.name.starts_with("builtin") && asked.absent.is_none())
    };
    let built_in: Vec<&str> = truths
        .iter()
        .filter(builtin)
        .map(|truth| truth.kernel.as_str())
        .collect();
    let shared =
        (!built_in.is_empty()).then(|| format!("truth: built-in oracles: {}", built_in.join(", ")));
    let others = truths.iter().filter(|truth| !builtin(truth));
    let others = others.map(|truth| format!("{}: {}", truth.kernel, truth.words()));
    shared.into_iter().chain(others).collect()
}

/// A verdict for people: with what was not asked, where it is a good one, and with the native code of `engines` that it rests on.
pub fn words(word: Word, not_asked: &[NotAsked], engines: &[EngineReport]) -> String {
    let mut words = word.to_string();
    if word == Word::Qualified {
        for (index, one) in not_asked.iter().enumerate() {
            words += if index == 0 { ", though " } else { ", and " };
            words += &one.to_string();
        }
    }
    with_native_code(words, engines)
}

/// A verdict's words, and behind them on what native code it rests that is not known to be what the engines make of the modules.
pub fn with_native_code(words: String, engines: &[EngineReport]) -> String {
    match native_code(engines) {
        Some(native_code) => format!("{words}; {native_code}"),
        None => words,
    }
}

/// What is not known of native code that a verdict rests on.
pub const fn doubt(code: &NativeCode) -> &'static str {
    if code.differs {
        "native code that differs"
    } else {
        "native code that was not compared"
    }
}

/// What a verdict rests on besides modules that engines compiled; nothing where there is none.
fn native_code(engines: &[EngineReport]) -> Option<String> {
    let mut grouped: BTreeMap<_, Vec<&NativeCode>> = BTreeMap::new();
    for engine in engines {
        for code in &engine.native_code_not_compared {
            let alike = (code.differs, &engine.id, &code.reason, &code.confinement);
            grouped.entry(alike).or_default().push(code);
        }
    }
    let said: Vec<String> = grouped
        .into_iter()
        .map(|((_, engine, reason, confinement), codes)| {
            let kernels: Vec<&str> = codes.iter().map(|code| code.kernel.as_str()).collect();
            let kernels = match kernels.as_slice() {
                [NativeCode::EVERY_MODULE] => "whatever else it ran".to_owned(),
                kernels => kernels.join(", "),
            };
            let what = doubt(codes[0]);
            format!("{what}, on {engine} of {kernels} ({reason}; {confinement})")
        })
        .collect();
    (!said.is_empty()).then(|| format!("it rests on {}", said.join(", and on ")))
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
    verdict
}

impl NotAsked {
    /// What it is about, in a word.
    pub const fn name(&self) -> &'static str {
        match self {
            NotAsked::Interruptions => "interruptions",
            NotAsked::Code { .. } => "code",
            NotAsked::Coverage => "coverage",
            NotAsked::Kernels { .. } => "kernels",
            NotAsked::OtherTruth(_) => "another truth than the author's own",
        }
    }
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

/// The end of a sentence that begins with the verdict.
impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAsked::Interruptions => f.write_str("nobody knows how late engines stop"),
            NotAsked::Code {
                blocks,
                all,
                modules,
            } => write!(
                f,
                "no case ran {blocks} of {all} basic blocks of code, in {modules} module{}",
                if *modules == 1 { "" } else { "s" }
            ),
            NotAsked::Coverage => f.write_str("nobody knows which code the cases ran"),
            NotAsked::Kernels { judged, all } => write!(
                f,
                "only {} of the pack's {all} kernels were judged: {}",
                judged.len(),
                judged.join(", ")
            ),
            NotAsked::OtherTruth(kernels) => {
                write!(f, "by the author's own truth alone: {}", kernels.join(", "))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
