//! The sections of words: goals, claims, and what a run cannot tell apart.

use super::{sections::headers, timing};
use crate::{
    bench::{
        record::Twin,
        tables::{Claim, Goal, Tables, Verdict, denominator},
    },
    document::{Cell, Part, Section, Table, Tone},
    outcome::Outcome,
    records::Records,
    traps::{Survey, latency::Latency},
};
use std::collections::BTreeMap;

/// Goals in a section of their own.
pub fn goals(tables: &Tables) -> Section {
    let rows = tables
        .goals
        .iter()
        .map(|goal| {
            vec![
                Cell::new(goal.goal),
                Cell::new(&goal.runtime),
                Cell::new(goal.aim),
                match &goal.measured {
                    Some(measured) => timing::value(measured, goal.unit),
                    // What is counted may have no value of its own.
                    None if goal.counts.is_some() => Cell::default(),
                    None => not_measured(),
                },
                Cell::new(denominator(goal.counts.as_ref(), goal.measured.as_ref())),
                word(goal.verdict),
                Cell::new(&goal.note),
            ]
        })
        .collect();
    let against = tables.against_native.iter().map(|row| {
        let ratio = |ratio: Option<&crate::statistics::Estimate>| {
            ratio.map_or_else(not_measured, |ratio| timing::value(ratio, "ratio"))
        };
        vec![
            Cell::new(row.kernel),
            ratio(row.base.as_ref()),
            ratio(row.simd.as_ref()),
            timing::share(row.native_bandwidth),
            timing::share(row.simd_bandwidth),
            Cell::new(match row.memory_bound {
                Some(true) => "yes",
                Some(false) => "no",
                None => "not measured",
            }),
            word(row.verdict),
            Cell::new(match row.verdict {
                Verdict::NotHeld | Verdict::Unsure => {
                    "docs/writing-kernels.md says what bounds this kernel"
                }
                Verdict::Held | Verdict::NotMeasured => "",
            }),
        ]
    });
    let against: Vec<_> = against.collect();
    let mut parts = vec![
        summary(
            "Goals by the number of engines on which they hold",
            "goal",
            tables.goals.iter().map(|goal| (goal.goal, goal.verdict)),
        ),
        Part::Table(Table {
            caption: "Goals: what was measured, with its 95 % interval; held if the whole interval lies at or below the aim, not held if it lies above, else unsure"
                .to_owned(),
            headers: headers(&["goal", "engine", "aim", "measured", "of", "verdict", "note"]),
            rows,
        }),
    ];
    if !against.is_empty() {
        parts.push(Part::Table(Table {
            caption: "wasmtime.cranelift at main tensors of 1 MiB: time over the native build for the baseline processor, with 95 % intervals, and the share of the memory bandwidth that the triad reaches on arrays of 1 MiB; from half of it on memory bounds a kernel"
                .to_owned(),
            headers: headers(&[
                "kernel",
                "base (scalar) over native",
                "simd over native",
                "native: of bandwidth",
                "simd: of bandwidth",
                "bound by memory",
                "simd at most 2",
                "reason",
            ]),
            rows: against,
        }));
    }
    Section {
        id: "goals",
        title: "Goals",
        parts,
    }
}

/// The figures of the design; `None` where nothing was measured that they are about.
pub fn claims(records: &Records) -> Option<Section> {
    let mut rows: Vec<(&str, Verdict, Vec<Cell>)> = Vec::new();
    let mut parts = Vec::new();
    if let Some(tables) = &records.bench {
        rows.extend(
            tables
                .claims
                .iter()
                .map(|claim| (claim.claim, claim.verdict, row(claim))),
        );
        let sentences = tables.sentences.iter();
        let sentences: Vec<_> = sentences.map(|sentence| sentence.text.clone()).collect();
        if !sentences.is_empty() {
            parts.push(Part::List(sentences));
        }
    }
    if let Some(traps) = &records.traps {
        rows.extend(interruptions(&traps.survey));
    }
    if rows.is_empty() {
        return None;
    }
    let words = rows.iter().map(|(claim, word, _)| (*claim, *word));
    parts.insert(
        0,
        summary(
            "Claims of the design by the number of engines on which they hold",
            "claim",
            words,
        ),
    );
    parts.insert(
        1,
        Part::Table(Table {
            caption: "Claims of the design: what was measured, with its 95 % interval; held if the whole interval lies at or below the claim, not held if it lies above, else unsure"
                .to_owned(),
            headers: headers(&["claim", "engine", "claimed", "measured", "verdict", "note"]),
            rows: rows.into_iter().map(|(.., row)| row).collect(),
        }),
    );
    Some(Section {
        id: "claims",
        title: "Claims of the design",
        parts,
    })
}

fn row(claim: &Claim) -> Vec<Cell> {
    vec![
        Cell::new(claim.claim),
        Cell::new(&claim.runtime),
        Cell::new(claim.claimed),
        claim
            .measured
            .as_ref()
            .map_or_else(not_measured, |measured| timing::value(measured, claim.unit)),
        word(claim.verdict),
        Cell::new(&claim.note),
    ]
}

/// How late control comes back after a deadline: the kind of code that does worst on each engine.
fn interruptions(traps: &Survey) -> Vec<(&'static str, Verdict, Vec<Cell>)> {
    const CLAIM: &str = "interruption";
    let mut engines: BTreeMap<&str, Vec<&Latency>> = BTreeMap::new();
    for one in &traps.latency {
        engines.entry(&one.runtime).or_default().push(one);
    }
    let of_engine = |(engine, all): (&str, Vec<&Latency>)| {
        let measured = all.iter().filter_map(|one| Some((one.p99_ms?, *one)));
        let late = |(p99, one): &(f64, &Latency)| p99 / one.bound_ms;
        let worst = measured.max_by(|a, b| late(a).total_cmp(&late(b)));
        let held = all
            .iter()
            .filter(|one| one.outcome == Outcome::Pass)
            .count();
        let verdict = match worst {
            None => Verdict::NotMeasured,
            Some(_) if all.iter().any(|one| one.outcome.is_bad()) => Verdict::NotHeld,
            Some(_) if held == all.len() => Verdict::Held,
            Some(_) => Verdict::Unsure,
        };
        let (claimed, value, note) = match worst {
            Some((p99, one)) => (
                format!("within {:.0} ms at the 99th percentile", one.bound_ms),
                Cell::number(
                    format!(
                        "p99 {p99:.1} ms, p50 {:.1}, maximum {:.1}",
                        one.p50_ms.unwrap_or(f64::NAN),
                        one.max_ms.unwrap_or(f64::NAN)
                    ),
                    p99 * 1e6,
                ),
                format!(
                    "from the deadline to control back; the latest kind of code: {}, {} interruptions, {} by the end of the worker; held for {held} of {} kinds",
                    one.code,
                    one.interruptions,
                    one.killed,
                    all.len()
                ),
            ),
            None => (
                "within the bound at the 99th percentile".to_owned(),
                not_measured(),
                all.first()
                    .map_or_else(String::new, |one| one.detail.clone()),
            ),
        };
        (
            CLAIM,
            verdict,
            vec![
                Cell::new(CLAIM),
                Cell::new(engine),
                Cell::new(claimed),
                value,
                word(verdict),
                Cell::new(note),
            ],
        )
    };
    engines.into_iter().map(of_engine).collect()
}

/// Each thing once, with the number of engines for each word.
fn summary<'a>(caption: &str, what: &str, words: impl Iterator<Item = (&'a str, Verdict)>) -> Part {
    let mut order: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, BTreeMap<Verdict, usize>> = BTreeMap::new();
    for (name, word) in words {
        if !order.contains(&name) {
            order.push(name);
        }
        *counts.entry(name).or_default().entry(word).or_default() += 1;
    }
    let rows = order
        .into_iter()
        .map(|name| {
            let mut row = vec![Cell::new(name)];
            for (word, tone) in [
                (Verdict::Held, Tone::Good),
                (Verdict::NotHeld, Tone::Bad),
                (Verdict::Unsure, Tone::Limited),
                (Verdict::NotMeasured, Tone::Limited),
            ] {
                let count = counts[name].get(&word).copied().unwrap_or(0);
                let tone = if count > 0 { tone } else { Tone::Plain };
                row.push(Cell::number(count.to_string(), count as f64).with_tone(tone));
            }
            row
        })
        .collect();
    Part::Table(Table {
        caption: caption.to_owned(),
        headers: headers(&[what, "held", "not held", "unsure", "not measured"]),
        rows,
    })
}

/// How many goals have each word, for a verdict.
pub fn counted(goals: &[Goal]) -> String {
    let count = |word| goals.iter().filter(|goal| goal.verdict == word).count();
    format!(
        "{} of {} goals held, {} not held, {} unsure, {} not measured",
        count(Verdict::Held),
        goals.len(),
        count(Verdict::NotHeld),
        count(Verdict::Unsure),
        count(Verdict::NotMeasured)
    )
}

fn word(verdict: Verdict) -> Cell {
    let tone = match verdict {
        Verdict::Held => Tone::Good,
        Verdict::NotHeld => Tone::Bad,
        Verdict::Unsure | Verdict::NotMeasured => Tone::Limited,
    };
    Cell::toned(verdict.name(), tone)
}

fn not_measured() -> Cell {
    Cell::toned("not measured", Tone::Limited)
}

/// Things compared with themselves.
pub fn noise(tables: &Tables) -> Section {
    let rows = tables
        .self_comparisons
        .iter()
        .map(|one| {
            let of = |twin| {
                tables
                    .noise
                    .iter()
                    .find(|noise| noise.runtime == one.runtime && noise.twin == twin)
                    .map_or_else(Cell::default, |noise| {
                        let text = format!(
                            "{} of {} unsure, floor {:.2} %",
                            noise.unsure,
                            noise.pairs,
                            noise.floor * 100.0
                        );
                        Cell::number(text, noise.floor)
                    })
            };
            let tone = match one.verdict() {
                Verdict::Held => Tone::Good,
                Verdict::NotHeld => Tone::Bad,
                _ => Tone::Limited,
            };
            vec![
                Cell::new(&one.runtime),
                Cell::toned(one.pooled.word.name(), tone),
                timing::value(&one.pooled.estimate, "ratio"),
                Cell::number(
                    format!("{} of {}", one.alarms, one.pairs),
                    one.alarms as f64,
                ),
                Cell::number(format!("{:.1}", one.expected), one.expected),
                Cell::number(format!("{:.2}", one.chance), one.chance),
                Cell::number(format!("{:.2} %", one.floor * 100.0), one.floor),
                of(Twin::Beside),
                of(Twin::Apart),
            ]
        })
        .collect();
    let engines = tables.self_comparisons.first().map_or(0, |one| one.engines);
    let mut parts = vec![Part::Table(Table {
        caption: format!(
            "Things compared with themselves (A/A). The word is about all pairs of an engine: its interval holds with 95 % for all {engines} engines at once. One pair in twenty may differ by chance. Differences below the floor mean nothing in this run"
        ),
        headers: headers(&[
            "engine",
            "A/A",
            "ratio over all pairs",
            "pairs that differ",
            "by chance",
            "chance of as many or more",
            "noise floor",
            "in one process",
            "in processes apart",
        ]),
        rows,
    })];
    let (left_out, groups) = tables.left_out;
    if left_out > 0 {
        parts.push(Part::Text(format!(
            "{left_out} of {groups} groups of cells were left out, because the time of the run was over."
        )));
    }
    Section {
        id: "noise",
        title: "Noise floor",
        parts,
    }
}
