//! `assay nn --check`.

use crate::{
    offer::{LeftOut, Offer, open},
    program::Arguments,
};
use anyhow::{Context, Result};
use assay::{exit::Exit, output::Output};
use runtime_nn::check::{self, Cell, Outcome};
use serde::Serialize;

#[derive(Serialize)]
struct Document {
    /// 1.
    nn: u32,
    passed: bool,
    cells: Vec<Cell>,
    /// Outputs that must be the same bits and are not.
    disagreements: Vec<String>,
    left_out: Vec<LeftOut>,
}

pub(crate) fn run(arguments: &Arguments, offer: &Offer, output: &Output) -> Result<Exit> {
    let mut cells = Vec::new();
    for engine in &offer.engines {
        let runtime = open(engine)?;
        for id in &offer.backends {
            let cell = check::cell(&*runtime, &offer.backend(id, engine)?);
            output.text(&text(&cell))?;
            cells.push(cell);
        }
        // Backends that panic say so on stderr, which is no news here.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let cell = check::planted(&*runtime);
        std::panic::set_hook(hook);
        output.text(&text(&cell))?;
        cells.push(cell);
    }
    let disagreements = check::disagreements(&cells);
    for disagreement in &disagreements {
        output.text(&format!("FAIL {disagreement}"))?;
    }
    for left in &offer.left_out {
        output.text(&format!(
            "{:<20}{}: {}",
            left.what, left.outcome, left.reason
        ))?;
    }
    let passed = disagreements.is_empty() && cells.iter().all(Cell::passed);
    let document = Document {
        nn: 1,
        passed,
        cells,
        disagreements,
        left_out: offer.left_out.clone(),
    };
    keep(arguments, &document)?;
    output.document(&document)?;
    Ok(if passed { Exit::Passed } else { Exit::Failed })
}

/// Writes the document to the file that was named for it.
pub(crate) fn keep(arguments: &Arguments, document: &impl Serialize) -> Result<()> {
    let Some(path) = &arguments.out else {
        return Ok(());
    };
    let text = serde_json::to_string_pretty(document)?;
    std::fs::write(path, text + "\n")
        .with_context(|| format!("failed to write `{}`", path.display()))
}

fn text(cell: &Cell) -> String {
    let count = |outcome| {
        let findings = cell.findings.iter();
        findings
            .filter(|finding| finding.outcome == outcome)
            .count()
    };
    let head = format!(
        "{:<20}{:<13}{} of {} hold, {} unsupported",
        cell.engine,
        cell.backend,
        count(Outcome::Pass),
        cell.findings.len(),
        count(Outcome::Unsupported)
    );
    let others = cell.findings.iter();
    let others = others.filter(|finding| finding.outcome != Outcome::Pass);
    let others = others.map(|finding| {
        format!(
            "    {} {}: {}",
            finding.outcome, finding.check, finding.detail
        )
    });
    std::iter::once(head)
        .chain(others)
        .collect::<Vec<_>>()
        .join("\n")
}
