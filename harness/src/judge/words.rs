//! The verdict in words: what nobody asked, what was not run, on what native code it rests.

use super::Word;
use crate::{
    basics,
    conform::{
        envelope::{Envelope, OfEngine},
        forms,
        judge::Layer,
        record::Entry,
        report::{Conformance, TimeReport},
        truths::Truth,
    },
    coverage::Coverage,
    engine::{EngineReport, NativeCode},
    outcome::Outcome,
    time_limits::OF_RUN,
};
use kernel_cases::open::Strength;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Names that a list in a sentence has, at most.
const MOST_NAMES: usize = 6;

/// An engine, what it did, and what was due.
type Share = (String, u64, u64);

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
    /// Blocks that only trap: nobody has shown that no call gets there.
    Traps {
        /// How many.
        blocks: u64,
        /// The modules that they are in.
        modules: usize,
    },
    /// Which code the cases ran.
    Coverage,
    /// Calls that run code which no case runs: nobody looked for them in these modules; in none where the list is empty.
    Search(Vec<String>),
    /// Generated cases: none was asked for.
    GeneratedCases,
    /// Variants that no engine ran, by kernel and features.
    Variants(Vec<String>),
    /// Kernels whose answers no two engines were compared in.
    Agreement(Vec<String>),
    /// Faults in kernels: none could be asked of these engines.
    Planted(Vec<String>),
    /// Calls of sequences that engines left out, with how many they made and how many were due.
    Sequences(Vec<Share>),
    /// Cases that engines called in one place only, with how many they called in another one too and how many held.
    Places(Vec<Share>),
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

/// What nobody asked, of a qualification with so many interruptions and these planted faults, of the kernels `judged` of a pack of so many.
pub fn not_asked(
    interruptions: u32,
    planted: &[basics::Finding],
    judged: &[String],
    kernels: usize,
    conform: &Conformance,
) -> Vec<NotAsked> {
    let interruptions = (interruptions == 0).then_some(NotAsked::Interruptions);
    let mut told: BTreeMap<&str, bool> = BTreeMap::new();
    for finding in planted {
        *told.entry(&finding.runtime).or_default() |= finding.outcome != Outcome::Unsupported;
    }
    let untold = told.into_iter().filter(|(_, asked)| !asked);
    let untold: Vec<String> = untold.map(|(id, _)| id.to_owned()).collect();
    let planted = (!untold.is_empty()).then_some(NotAsked::Planted(untold));
    let of_kernels = of_kernels(judged.to_vec(), kernels, conform);
    interruptions
        .into_iter()
        .chain(planted)
        .chain(of_kernels)
        .collect()
}

/// What nobody asked of the kernels of a pack.
pub fn not_asked_of_conformance(conform: &Conformance) -> Vec<NotAsked> {
    let judged = conform.truths.iter().map(|one| one.kernel.clone());
    of_kernels(judged.collect(), conform.pack_kernels, conform)
}

fn of_kernels(judged: Vec<String>, all: usize, conform: &Conformance) -> Vec<NotAsked> {
    let code = code(&conform.coverage);
    let kernels = (judged.len() < all).then_some(NotAsked::Kernels { judged, all });
    let own: Vec<String> = conform
        .truths
        .iter()
        .filter(|truth| truth.strength() == Some(Strength::Own))
        .map(|truth| truth.kernel.clone())
        .collect();
    let own = (!own.is_empty()).then_some(NotAsked::OtherTruth(own));
    let generated = (conform.cases == 0).then_some(NotAsked::GeneratedCases);
    let lists = [
        (
            variants(&conform.results),
            NotAsked::Variants as fn(Vec<String>) -> NotAsked,
        ),
        (not_compared(&conform.results), NotAsked::Agreement),
    ];
    let lists = lists.into_iter();
    let lists = lists.filter_map(|(names, of)| (!names.is_empty()).then(|| of(names)));
    let parts = [
        (
            shares(&conform.envelope, |engine| {
                let made = engine.sequence_calls;
                (made, made + engine.left_out)
            }),
            NotAsked::Sequences as fn(Vec<Share>) -> NotAsked,
        ),
        (
            shares(&conform.envelope, |engine| {
                (engine.cases - engine.once, engine.cases)
            }),
            NotAsked::Places,
        ),
    ];
    let parts = parts.into_iter();
    let parts = parts.filter_map(|(engines, of)| (!engines.is_empty()).then(|| of(engines)));
    let traps = traps(&conform.coverage);
    let all = [code, traps, search(conform), kernels, own, generated];
    all.into_iter()
        .flatten()
        .chain(lists)
        .chain(parts)
        .collect()
}

fn code(coverage: &[Coverage]) -> Option<NotAsked> {
    let open = |module: &Coverage| module.open().count();
    let blocks = coverage.iter().map(open).sum();
    match blocks {
        _ if coverage.is_empty() => Some(NotAsked::Coverage),
        0 => None,
        blocks => Some(NotAsked::Code {
            blocks,
            all: coverage.iter().map(|module| module.blocks).sum(),
            modules: coverage.iter().filter(|module| open(module) > 0).count(),
        }),
    }
}

fn traps(coverage: &[Coverage]) -> Option<NotAsked> {
    let open = |module: &Coverage| module.only_traps - module.only_traps_ran.min(module.only_traps);
    let blocks = coverage.iter().map(open).sum();
    let modules = coverage.iter().filter(|module| open(module) > 0).count();
    (modules > 0).then_some(NotAsked::Traps { blocks, modules })
}

/// Whoever does not know which code ran is not told that nobody looked for calls that run more of it.
fn search(conform: &Conformance) -> Option<NotAsked> {
    let not_searched: Vec<String> = match &conform.search {
        _ if conform.coverage.is_empty() => return None,
        None => return Some(NotAsked::Search(Vec::new())),
        Some(searched) => searched.not_searched.keys().cloned().collect(),
    };
    (!not_searched.is_empty()).then_some(NotAsked::Search(not_searched))
}

/// Modules of which something passed, and all of them, of those sums that `about` chooses.
fn passed<'a>(
    results: &'a [Entry],
    about: impl Fn(&Entry) -> bool,
    name: impl Fn(&'a Entry) -> String,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let sums = results
        .iter()
        .filter(|entry| entry.case.is_none() && about(entry));
    let (mut passed, mut all) = (BTreeSet::new(), BTreeSet::new());
    for entry in sums {
        all.insert(name(entry));
        if entry.passed > 0 {
            passed.insert(name(entry));
        }
    }
    (passed, all)
}

/// Variants that no engine ran.
fn variants(results: &[Entry]) -> Vec<String> {
    let is_variant = |entry: &Entry| entry.variant != "base" && !forms::is_form(&entry.variant);
    let name = |entry: &Entry| format!("{} ({})", entry.kernel, entry.variant);
    let (passed, all) = passed(results, is_variant, name);
    all.difference(&passed).cloned().collect()
}

/// Kernels in which layer L2 had nothing to compare.
fn not_compared(results: &[Entry]) -> Vec<String> {
    let (compared, _) = passed(
        results,
        |entry| entry.layer == Layer::L2,
        |entry| entry.kernel.clone(),
    );
    let judged = |entry: &Entry| entry.outcome != Outcome::Unjudged;
    let (_, all) = passed(results, judged, |entry| entry.kernel.clone());
    all.difference(&compared).cloned().collect()
}

/// What engines did of what was due, of all kernels together; those that did all of it are not named.
fn shares(envelope: &[Envelope], share: fn(&OfEngine) -> (u64, u64)) -> Vec<Share> {
    let mut engines: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for engine in envelope.iter().flat_map(|kernel| &kernel.engines) {
        let (done, due) = share(engine);
        let of = engines.entry(&engine.runtime).or_default();
        *of = (of.0 + done, of.1 + due);
    }
    let short = engines.into_iter().filter(|(_, (done, due))| done < due);
    short
        .map(|(id, (done, due))| (id.to_owned(), done, due))
        .collect()
}

/// Engines with the same share stand together.
fn shares_in_words(engines: &[Share], words: &str) -> String {
    let mut by_share: BTreeMap<(u64, u64), Vec<&str>> = BTreeMap::new();
    for (id, done, due) in engines {
        by_share.entry((*done, *due)).or_default().push(id);
    }
    let shares = by_share.iter().map(|((done, due), ids)| {
        let ids = ids.join(", ");
        format!("{ids} {words} {done} of {due}")
    });
    let shares: Vec<String> = shares.collect();
    shares.join("; ")
}

/// What was not run because time was over or modules were given up, with `unfinished` parts of a qualification; `None` if all was run.
pub fn not_run(time: Option<&TimeReport>, unfinished: &[String]) -> Option<String> {
    let time = time?;
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in &time.not_run {
        let name = format!("{} ({}) on {}", one.kernel, one.variant, one.runtime);
        by_reason.entry(&one.reason).or_default().push(name);
    }
    let mut said: Vec<String> = by_reason
        .into_iter()
        .map(|(reason, names)| format!("{reason}: not run in full: {}", listed(&names)))
        .collect();
    if !unfinished.is_empty() {
        said.push(format!(
            "the time limit of {} s for {OF_RUN} was reached: not asked in full: {}",
            time.seconds,
            listed(unfinished)
        ));
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// Names in a sentence: not more than a reader takes in.
fn listed(names: &[String]) -> String {
    let shown = names[..names.len().min(MOST_NAMES)].join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
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

/// A verdict for people: with what was not asked, where it is a good one, with what was not run, and with the native code of engines that it
/// rests on.
pub fn words(
    word: Word,
    not_asked: &[NotAsked],
    not_run: Option<&str>,
    engines: &[EngineReport],
) -> String {
    in_words(
        &word.to_string(),
        word == Word::Qualified,
        not_asked,
        not_run,
        engines,
    )
}

/// The verdict of a conformance for people, as [`words`].
pub fn conformance_words(conform: &Conformance) -> String {
    in_words(
        &conform.verdict.to_string(),
        conform.verdict.passed(),
        &not_asked_of_conformance(conform),
        not_run(conform.time_limit.as_ref(), &[]).as_deref(),
        &conform.engines,
    )
}

fn in_words(
    verdict: &str,
    good: bool,
    not_asked: &[NotAsked],
    not_run: Option<&str>,
    engines: &[EngineReport],
) -> String {
    let mut words = verdict.to_owned();
    if good {
        for (index, one) in not_asked.iter().enumerate() {
            words += if index == 0 { ", though " } else { ", and " };
            words += &one.to_string();
        }
    }
    if let Some(not_run) = not_run {
        words += &format!("; {not_run}");
    }
    with_native_code(words, engines)
}

/// A verdict's words, and behind them on what native code it rests that is not known to be what the engines make of the modules.
fn with_native_code(words: String, engines: &[EngineReport]) -> String {
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

impl NotAsked {
    /// What it is about, in a word.
    pub const fn name(&self) -> &'static str {
        match self {
            NotAsked::Interruptions => "interruptions",
            NotAsked::Code { .. } => "code",
            NotAsked::Traps { .. } => "traps",
            NotAsked::Coverage => "coverage",
            NotAsked::Search(_) => "search",
            NotAsked::GeneratedCases => "generated cases",
            NotAsked::Variants(_) => "variants",
            NotAsked::Agreement(_) => "agreement",
            NotAsked::Planted(_) => "planted faults",
            NotAsked::Sequences(_) => "calls in sequences",
            NotAsked::Places(_) => "places of large tensors",
            NotAsked::Kernels { .. } => "kernels",
            NotAsked::OtherTruth(_) => "another truth than the author's own",
        }
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
            NotAsked::Traps { blocks, modules } => write!(
                f,
                "{blocks} trapping block{} of code, in {modules} module{}, {} not shown unreachable",
                if *blocks == 1 { "" } else { "s" },
                if *modules == 1 { "" } else { "s" },
                if *blocks == 1 { "was" } else { "were" }
            ),
            NotAsked::GeneratedCases => f.write_str("no generated case was asked"),
            NotAsked::Variants(modules) => {
                write!(f, "no engine ran {}", listed(modules))
            }
            NotAsked::Agreement(kernels) => {
                write!(f, "no two engines were compared in {}", listed(kernels))
            }
            NotAsked::Planted(engines) => {
                write!(
                    f,
                    "no fault in a kernel could be asked of {}",
                    listed(engines)
                )
            }
            NotAsked::Sequences(engines) => {
                write!(f, "{} calls in sequences", shares_in_words(engines, "made"))
            }
            NotAsked::Places(engines) => {
                write!(
                    f,
                    "{} cases at a second place",
                    shares_in_words(engines, "called")
                )
            }
            NotAsked::Coverage => f.write_str("nobody knows which code the cases ran"),
            NotAsked::Search(modules) if modules.is_empty() => {
                f.write_str("nobody searched for calls that run more of the code")
            }
            NotAsked::Search(modules) => write!(
                f,
                "nobody searched for calls that run more of {}",
                listed(modules)
            ),
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
