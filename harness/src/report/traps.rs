//! The sections of a report about traps, budgets and limits, and about how late engines stop.

use super::{
    charts::{self, Axis, Interval},
    sections::{headers, tone},
};
use crate::{
    document::{Cell, Figure, Part, Section, Table, Tone},
    outcome::Outcome,
    traps::{Survey, TrapReport},
};
use anyhow::Result;
use std::collections::BTreeMap;

/// Of the cases of the matrix, then of the interruptions.
pub(super) fn outcomes(traps: &TrapReport) -> impl Iterator<Item = Outcome> {
    let latencies = traps.survey.latency.iter().map(|one| one.outcome);
    let cases = traps.survey.results.iter().map(|case| case.outcome);
    cases.chain(latencies)
}

/// The trap matrix.
pub(super) fn trap_matrix(traps: &TrapReport) -> Section {
    let engines: Vec<_> = traps
        .engines
        .iter()
        .map(|engine| engine.id.as_str())
        .collect();
    let mut classes: Vec<&str> = Vec::new();
    let mut cells: BTreeMap<(&str, &str), BTreeMap<Outcome, usize>> = BTreeMap::new();
    for case in &traps.survey.results {
        if !classes.contains(&case.class.as_str()) {
            classes.push(&case.class);
        }
        *cells
            .entry((&case.class, &case.runtime))
            .or_default()
            .entry(case.outcome)
            .or_default() += 1;
    }
    let rows = classes
        .iter()
        .map(|class| {
            let mut row = vec![Cell::new(*class)];
            row.extend(engines.iter().map(|engine| {
                let Some(outcomes) = cells.get(&(*class, *engine)) else {
                    return Cell::toned("not run", Tone::Limited);
                };
                let all: usize = outcomes.values().sum();
                let passed = outcomes.get(&Outcome::Pass).copied().unwrap_or(0);
                let worst = outcomes.keys().copied().max().unwrap_or(Outcome::Error);
                let text = format!("{passed} of {all}");
                match worst {
                    Outcome::Pass => Cell::new(text),
                    worst => Cell::toned(format!("{text}: {worst}"), tone(worst)),
                }
            }));
            row
        })
        .collect();
    let mut columns = headers(&["class"]);
    columns.extend(engines.iter().map(|engine| (*engine).to_owned()));
    let others = traps
        .survey
        .results
        .iter()
        .filter(|case| case.outcome != Outcome::Pass)
        .map(|case| {
            vec![
                Cell::new(&case.runtime),
                Cell::new(&case.class),
                Cell::new(&case.case),
                Cell::toned(case.outcome.to_string(), tone(case.outcome)),
                Cell::new(&case.expected),
                Cell::new(&case.seen),
                Cell::new(&case.detail),
            ]
        })
        .collect::<Vec<_>>();
    let mut parts = vec![Part::Table(Table {
        caption: "Ways to reach the class of trap that end as they must and leave other instances alone; the class none holds controls, which must not trap".to_owned(),
        headers: columns,
        rows,
    })];
    if !others.is_empty() {
        parts.push(Part::Table(Table {
            caption: "What does not pass, and why".to_owned(),
            headers: headers(&[
                "engine", "class", "case", "outcome", "expected", "seen", "reason",
            ]),
            rows: others,
        }));
    }
    Section {
        id: "traps",
        title: "Traps, budgets and limits",
        parts,
    }
}

/// How late engines stop.
///
/// # Errors
/// If the picture cannot be drawn.
pub(super) fn interruption(traps: &Survey) -> Result<Section> {
    let milliseconds = |value: Option<f64>| {
        value.map_or_else(
            || Cell::new("not measured"),
            |value| Cell::number(format!("{value:.2}"), value),
        )
    };
    let rows = traps
        .latency
        .iter()
        .map(|one| {
            vec![
                Cell::new(&one.runtime),
                Cell::new(&one.code),
                Cell::toned(one.outcome.to_string(), tone(one.outcome)),
                Cell::number(one.interruptions.to_string(), f64::from(one.interruptions)),
                Cell::number(one.killed.to_string(), f64::from(one.killed)),
                milliseconds(one.p50_ms),
                milliseconds(one.p99_ms),
                milliseconds(one.max_ms),
                Cell::number(format!("{:.0}", one.bound_ms), one.bound_ms),
                Cell::new(&one.detail),
            ]
        })
        .collect();
    let mut kinds: Vec<&str> = Vec::new();
    let mut engines: Vec<(String, Vec<Option<Interval>>)> = Vec::new();
    for one in &traps.latency {
        if !kinds.contains(&one.code.as_str()) {
            kinds.push(&one.code);
        }
    }
    for one in &traps.latency {
        if !engines.iter().any(|(id, _)| *id == one.runtime) {
            engines.push((one.runtime.clone(), vec![None; kinds.len()]));
        }
        let row = engines.iter_mut().find(|(id, _)| *id == one.runtime);
        let kind = kinds.iter().position(|kind| *kind == one.code);
        if let (Some((_, marks)), Some(kind), Some(p50), Some(p99), Some(max)) =
            (row, kind, one.p50_ms, one.p99_ms, one.max_ms)
        {
            marks[kind] = Some(Interval {
                low: p50,
                middle: p99,
                high: max,
            });
        }
    }
    let mut parts = Vec::new();
    if engines
        .iter()
        .any(|(_, marks)| marks.iter().any(Option::is_some))
    {
        parts.push(Part::Figure(Figure {
            name: "interruption".to_owned(),
            caption: "From the deadline to control back in the harness, in milliseconds: a line from the median to the maximum, a mark at the 99th percentile"
                .to_owned(),
            description: "The table below holds the same figures.".to_owned(),
            svg: charts::intervals(
                "milliseconds after the deadline",
                Axis::Linear,
                &kinds,
                &engines,
                &[],
            )?,
        }));
    }
    parts.push(Part::Table(Table {
        caption: "Interruption latency in milliseconds; interruptions by the end of the worker are counted apart".to_owned(),
        headers: headers(&[
            "engine",
            "code",
            "outcome",
            "interruptions",
            "killed",
            "p50 (ms)",
            "p99 (ms)",
            "maximum (ms)",
            "bound (ms)",
            "detail",
        ]),
        rows,
    }));
    Ok(Section {
        id: "interruption",
        title: "Interruption",
        parts,
    })
}
