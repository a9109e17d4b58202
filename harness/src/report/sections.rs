//! The sections of a report, from the records.

use super::{envelope, goals, nn, resources, timing, traps};
use crate::{
    basics,
    bench::tables::Tables,
    conform::report::Conformance,
    document::{Cell, Document, Part, Section, Table, Tone},
    judge::{self, EngineWord, Word},
    outcome::{Outcome, Whole},
    records::{Qualification, Records},
};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// The whole report.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn document(records: &Records, command: String) -> Result<Document> {
    let (title, mut verdict, mut tone, mut facts) = head(records);
    let mut sections: Vec<Section> = records.qualify.iter().map(self::verdict).collect();
    if let Some(bench) = &records.bench {
        let measured = measurements(bench);
        if verdict.is_empty() {
            verdict = measured;
            tone = match bench.verdict {
                Whole::Pass => Tone::Plain,
                Whole::Fail => Tone::Bad,
            };
        } else {
            facts.push(("Measurements".to_owned(), measured));
        }
        facts.extend(timing::facts(bench));
    }
    if let Some(conform) = records.conformance() {
        sections.push(support(conform));
        sections.extend(envelope::section(&conform.envelope));
    }
    if let Some(bench) = &records.bench {
        sections.push(goals::goals(bench));
    }
    sections.extend(goals::claims(records));
    if let Some(bench) = &records.bench {
        sections.extend(timing::sections(bench)?);
    }
    if let Some(report) = &records.traps {
        if !report.survey.latency.is_empty() {
            sections.push(traps::interruption(&report.survey)?);
        }
        sections.push(traps::trap_matrix(report));
    }
    if let Some(report) = &records.nn {
        facts.push(("WASI-NN".to_owned(), report.words()));
        sections.push(nn::section(report));
    }
    if let Some(conform) = records.conformance()
        && !conform.numerics.is_empty()
    {
        sections.push(numerics(conform));
    }
    if let Some(bench) = &records.bench {
        sections.push(resources::section(bench));
    }
    Ok(Document {
        title,
        verdict,
        tone,
        facts,
        sections,
        command,
    })
}

/// Title, verdict, its tone and facts, by what the records are of in the first place.
fn head(records: &Records) -> (String, String, Tone, Vec<(String, String)>) {
    match (&records.qualify, &records.conform) {
        (Some(qualify), _) => {
            let title = format!(
                "{} {}: which engines may run it",
                qualify.pack.name, qualify.pack.version
            );
            let tone = match qualify.verdict {
                // What nobody asked may still turn out badly.
                Word::Qualified if !qualify.is_unreserved() => Tone::Limited,
                Word::Qualified => Tone::Good,
                Word::NotQualified => Tone::Bad,
            };
            (title, qualify.words(), tone, facts(qualify))
        }
        (None, Some(conform)) => {
            let good = conform.verdict.passed();
            let verdict = format!("conformance: {}", judge::conformance_words(conform));
            let tone = match good {
                true if judge::not_asked_of_conformance(conform).is_empty() => Tone::Good,
                true => Tone::Limited,
                false => Tone::Bad,
            };
            let facts = vec![("Seed".to_owned(), conform.seed.to_string())];
            ("Conformance of engines".to_owned(), verdict, tone, facts)
        }
        (None, None) if records.traps.is_none() && records.bench.is_none() => {
            let (title, verdict, tone) = records.nn.as_ref().map(nn::head).unwrap_or_default();
            (title, verdict, tone, Vec::new())
        }
        (None, None) if records.traps.is_none() => (
            "Measurements of engines".to_owned(),
            String::new(),
            Tone::Plain,
            Vec::new(),
        ),
        (None, None) => {
            let outcomes: Vec<Outcome> = records.traps.iter().flat_map(traps::outcomes).collect();
            let count =
                |fits: fn(Outcome) -> bool| outcomes.iter().filter(|one| fits(**one)).count();
            let bad = count(Outcome::is_bad);
            let verdict = format!(
                "{} of {} checks pass, {bad} fail",
                count(|outcome| outcome == Outcome::Pass),
                outcomes.len()
            );
            let tone = if bad > 0 { Tone::Bad } else { Tone::Plain };
            let title = "Traps, budgets and limits of engines".to_owned();
            (title, verdict, tone, Vec::new())
        }
    }
}

/// What a run of measurements came to, in a few words.
fn measurements(bench: &Tables) -> String {
    let outputs = format!("outputs checked: {}", bench.verdict);
    if bench.run.fingerprint.emulated.is_some() {
        format!("{outputs}; times: not measured (emulated)")
    } else {
        format!("{outputs}; {}", goals::counted(&bench.goals))
    }
}

fn facts(qualify: &Qualification) -> Vec<(String, String)> {
    let pack = &qualify.pack;
    let versions: Vec<_> = qualify
        .conform
        .engines
        .iter()
        .map(|engine| match &engine.version {
            Some(version) => format!("{} {version}", engine.id),
            None => format!("{} {}", engine.id, engine.status),
        })
        .collect();
    [
        ("Pack", format!("{} {}", pack.name, pack.version)),
        ("Signed by", pack.key.clone()),
        ("Manifest", format!("sha256:{}", pack.manifest_sha256)),
        (
            "Kernels",
            format!("{} of {} judged", qualify.kernels.len(), pack.kernels),
        ),
        (
            "Truth",
            judge::truths(&qualify.conform.truths)
                .join("; ")
                .replace("truth: ", ""),
        ),
        ("Profile", qualify.profile.to_string()),
        ("Engines", versions.join(", ")),
        ("Seed of generated cases", qualify.conform.seed.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

pub(super) fn headers(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Pass => Tone::Plain,
        Outcome::Unsupported | Outcome::Absent | Outcome::Unjudged | Outcome::KnownFailure => {
            Tone::Limited
        }
        Outcome::Error | Outcome::Fail => Tone::Bad,
    }
}

fn verdict(qualify: &Qualification) -> Section {
    let rows = qualify
        .engines
        .iter()
        .map(|engine| {
            let tone = match engine.verdict {
                EngineWord::Qualified => Tone::Good,
                EngineWord::Absent | EngineWord::Unsupported => Tone::Limited,
                EngineWord::NotQualified => Tone::Bad,
            };
            vec![
                Cell::new(&engine.id),
                Cell::toned(engine.verdict.to_string(), tone),
                Cell::new(engine.reasons.join("; ")),
                Cell::new(engine.limitations.join("; ")),
            ]
        })
        .collect();
    let passed = |check: &&basics::Finding| check.outcome == Outcome::Pass;
    let mut parts = vec![
        Part::Table(Table {
            caption: "Verdict on each engine".to_owned(),
            headers: headers(&["engine", "verdict", "reasons", "known limitations"]),
            rows,
        }),
        Part::Text(format!(
            "Basics of traps, budgets, limits, denormals and choices by comparisons: {} of {} checks pass.",
            qualify.basics.iter().filter(passed).count(),
            qualify.basics.len()
        )),
        Part::Text(format!(
            "Faults planted into kernels of the pack: {} of {} were told.",
            qualify.planted.iter().filter(passed).count(),
            qualify.planted.len()
        )),
    ];
    if let Some(architecture) = &qualify.architecture {
        let how = qualify.emulated.as_ref().map_or_else(String::new, |how| {
            format!(", emulated ({how}): outputs and stops were checked, times were not measured")
        });
        parts.push(Part::Text(format!("Built for {architecture}{how}.")));
    }
    let denormals: Vec<String> = qualify
        .basics
        .iter()
        .filter(|check| check.runtime == basics::NATIVE)
        .map(|check| format!("Native code: {}.", check.detail))
        .collect();
    if !denormals.is_empty() {
        parts.push(Part::List(denormals));
    }
    let checks = qualify.basics.iter().chain(&qualify.planted);
    let bad: Vec<_> = checks
        .filter(|check| check.outcome != Outcome::Pass)
        .map(|check| {
            format!(
                "{}, {}: {}: {}",
                check.runtime, check.check, check.outcome, check.detail
            )
        })
        .collect();
    if !bad.is_empty() {
        parts.push(Part::List(bad));
    }
    Section {
        id: "verdict",
        title: "Verdict",
        parts,
    }
}

/// Checks that pass, by kernel and engine.
fn passed(conform: &Conformance) -> Part {
    #[derive(Default)]
    struct Sum {
        passed: u64,
        cases: u64,
        bad: BTreeSet<String>,
        limited: bool,
    }
    let engines: Vec<_> = conform
        .engines
        .iter()
        .map(|engine| engine.id.as_str())
        .collect();
    let mut kernels: Vec<(&str, &str)> = Vec::new();
    let mut sums: BTreeMap<((&str, &str), &str), Sum> = BTreeMap::new();
    for entry in conform.results.iter().filter(|entry| entry.case.is_none()) {
        let kernel = (entry.kernel.as_str(), entry.variant.as_str());
        if !kernels.contains(&kernel) {
            kernels.push(kernel);
        }
        let sum = sums.entry((kernel, &entry.runtime)).or_default();
        sum.passed += entry.passed;
        sum.cases += entry.cases;
        sum.limited |= entry.outcome != Outcome::Pass;
        if entry.outcome.is_bad() {
            sum.bad.insert(format!("{:?}", entry.layer));
        }
    }
    let rows = kernels
        .iter()
        .map(|kernel| {
            let mut row = vec![Cell::new(module_name(kernel.0, kernel.1))];
            row.extend(
                engines
                    .iter()
                    .map(|engine| match sums.get(&(*kernel, *engine)) {
                        None => Cell::toned("not run", Tone::Limited),
                        Some(sum) => {
                            let count = format!("{} of {}", sum.passed, sum.cases);
                            if !sum.bad.is_empty() {
                                let layers: Vec<_> = sum.bad.iter().cloned().collect();
                                Cell::toned(
                                    format!("{count}: fails {}", layers.join(", ")),
                                    Tone::Bad,
                                )
                            } else if sum.passed == 0 {
                                Cell::toned(format!("{count}: unsupported"), Tone::Limited)
                            } else {
                                Cell::new(count)
                            }
                        }
                    }),
            );
            row
        })
        .collect();
    let mut columns = headers(&["kernel"]);
    columns.extend(engines.iter().map(|engine| (*engine).to_owned()));
    Part::Table(Table {
        caption: "Checks that pass, of all pairs of case and layer; those that neither pass nor fail do not apply, for the reasons in the list"
            .to_owned(),
        headers: columns,
        rows,
    })
}

fn support(conform: &Conformance) -> Section {
    let mut parts = vec![passed(conform)];
    let mut why: Vec<_> = conform
        .engines
        .iter()
        .filter_map(|engine| {
            let reason = engine.reason.as_ref()?;
            Some(format!("{} is {}: {reason}", engine.id, engine.status))
        })
        .collect();
    why.extend(not_applicable(conform));
    if !why.is_empty() {
        parts.push(Part::List(why));
    }
    let layers = conform
        .results
        .iter()
        .map(|entry| {
            let ulp = entry.max_ulp.map_or_else(
                || Cell::new(""),
                |ulp| Cell::number(format!("{ulp:.3}"), ulp),
            );
            vec![
                Cell::new(&entry.runtime),
                Cell::new(module_name(&entry.kernel, &entry.variant)),
                Cell::new(format!("{:?}", entry.layer)),
                Cell::new(entry.source.name()),
                Cell::new(entry.case.clone().unwrap_or_default()),
                Cell::toned(entry.outcome.to_string(), tone(entry.outcome)),
                Cell::number(
                    format!("{} of {}", entry.passed, entry.cases),
                    entry.passed as f64,
                ),
                ulp,
                Cell::new(&entry.detail),
            ]
        })
        .collect();
    parts.push(Part::Folded(Table {
        caption: "Layers: sums over cases, and each failing case".to_owned(),
        headers: headers(&[
            "engine",
            "kernel",
            "layer",
            "source",
            "case",
            "outcome",
            "passed",
            "largest distance (ulp)",
            "detail",
        ]),
        rows: layers,
    }));
    Section {
        id: "support",
        title: "Kernels on engines",
        parts,
    }
}

/// Why checks neither pass nor fail: each reason once, with the kernels and layers that it is about.
fn not_applicable(conform: &Conformance) -> Vec<String> {
    let mut reasons: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for entry in &conform.results {
        if entry.case.is_none() && entry.passed < entry.cases && !entry.outcome.is_bad() {
            reasons.entry(&entry.detail).or_default().insert(format!(
                "{} {:?}",
                module_name(&entry.kernel, &entry.variant),
                entry.layer
            ));
        }
    }
    reasons
        .into_iter()
        .map(|(reason, about)| {
            let about: Vec<_> = about.into_iter().collect();
            let reason = if reason.is_empty() {
                "the reasons stand beside the cases in results.jsonl"
            } else {
                reason
            };
            format!("{}: {reason}", about.join(", "))
        })
        .collect()
}

/// `rope_f32`, or `rope_f32+simd` for a variant.
pub(super) fn module_name(kernel: &str, variant: &str) -> String {
    if variant == "base" {
        kernel.to_owned()
    } else {
        format!("{kernel}+{variant}")
    }
}

fn numerics(conform: &Conformance) -> Section {
    let rows = conform
        .numerics
        .iter()
        .map(|engine| {
            let count = |number: usize| Cell::number(number.to_string(), number as f64);
            let tone = if engine.holds { Tone::Good } else { Tone::Bad };
            let word = if engine.holds {
                "holds"
            } else {
                "does not hold"
            };
            vec![
                Cell::new(&engine.runtime),
                Cell::toned(word, tone),
                Cell::number(
                    format!("{} of {}", engine.held, engine.operations),
                    engine.held as f64,
                ),
                count(engine.unsupported),
                count(engine.known_failures),
                Cell::new(engine.because.join("; ")),
            ]
        })
        .collect();
    Section {
        id: "numerics",
        title: "Numeric instructions",
        parts: vec![Part::Table(Table {
            caption: "Instructions whose results are those of the oracle, over a grid of special values; NaN as a class".to_owned(),
            headers: headers(&[
                "engine",
                "outcome",
                "instructions that hold",
                "unsupported",
                "known to fail",
                "why",
            ]),
            rows,
        })],
    }
}
