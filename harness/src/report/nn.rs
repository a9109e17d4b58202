//! The section of a report about WASI-NN.

use super::sections::{headers, tone};
use crate::{
    document::{Cell, Part, Section, Table, Tone},
    outcome::Outcome,
    records::nn::NnReport,
};

/// Of a report about nothing else: title, verdict and tone.
pub(super) fn head(nn: &NnReport) -> (String, String, Tone) {
    let tone = if nn.holds() { Tone::Good } else { Tone::Bad };
    ("WASI-NN of engines".to_owned(), nn.words(), tone)
}

/// Engines with backends, what does not pass, and what was left out.
pub(super) fn section(nn: &NnReport) -> Section {
    let mut backends: Vec<&str> = Vec::new();
    let mut engines: Vec<&str> = Vec::new();
    for cell in &nn.cells {
        for (all, one) in [(&mut backends, &cell.backend), (&mut engines, &cell.engine)] {
            if !all.contains(&one.as_str()) {
                all.push(one);
            }
        }
    }
    let rows = engines.iter().map(|engine| {
        let mut row = vec![Cell::new(*engine)];
        row.extend(backends.iter().map(|backend| counted(nn, engine, backend)));
        row
    });
    let mut columns = headers(&["engine"]);
    columns.extend(backends.iter().map(|backend| (*backend).to_owned()));
    let mut parts = vec![Part::Table(Table {
        caption: "Checks that pass, of a guest on the engine with the backend: models against the truth, misuse, limits; `planted` are backends that are wrong on purpose"
            .to_owned(),
        headers: columns,
        rows: rows.collect(),
    })];
    let others = nn.cells.iter().flat_map(|cell| {
        let findings = cell.findings.iter();
        let others = findings.filter(|finding| finding.outcome != Outcome::Pass);
        others.map(|finding| {
            vec![
                Cell::new(&cell.engine),
                Cell::new(&cell.backend),
                Cell::new(&finding.check),
                Cell::toned(finding.outcome.to_string(), tone(finding.outcome)),
                Cell::new(&finding.detail),
            ]
        })
    });
    let others: Vec<_> = others.collect();
    if !others.is_empty() {
        parts.push(Part::Table(Table {
            caption: "What does not pass, and why".to_owned(),
            headers: headers(&["engine", "backend", "check", "outcome", "reason"]),
            rows: others,
        }));
    }
    let disagreements = nn.disagreements.iter().cloned();
    let left_out = nn.left_out.iter();
    let left_out =
        left_out.map(|left| format!("{} is {}: {}", left.what, left.outcome, left.reason));
    let remarks: Vec<_> = disagreements.chain(left_out).collect();
    if !remarks.is_empty() {
        parts.push(Part::List(remarks));
    }
    Section {
        id: "nn",
        title: "WASI-NN",
        parts,
    }
}

fn counted(nn: &NnReport, engine: &str, backend: &str) -> Cell {
    let mut cells = nn.cells.iter();
    let cell = cells.find(|cell| cell.engine == engine && cell.backend == backend);
    let Some(cell) = cell else {
        return Cell::toned("not run", Tone::Limited);
    };
    let outcomes = || cell.findings.iter().map(|finding| finding.outcome);
    let passed = outcomes().filter(|outcome| *outcome == Outcome::Pass);
    let text = format!("{} of {}", passed.count(), cell.findings.len());
    match outcomes().max() {
        None | Some(Outcome::Pass) => Cell::new(text),
        Some(worst) => Cell::toned(format!("{text}: {worst}"), tone(worst)),
    }
}
