//! `assay nn --check`.

use crate::{
    offer::{Offer, open},
    program::Arguments,
};
use anyhow::{Context, Result};
use assay::{
    exit::Exit,
    output::Output,
    records::nn::{self, NnReport},
};
use runtime_nn::check::{self, Cell, Outcome};
use serde::Serialize;

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
    let document = NnReport {
        nn: 1,
        passed,
        cells: cells.into_iter().map(recorded).collect(),
        disagreements,
        left_out: offer.left_out.clone(),
    };
    keep(arguments, nn::FILE, &document)?;
    output.document(&document)?;
    Ok(if passed { Exit::Passed } else { Exit::Failed })
}

/// A cell as records have it.
fn recorded(cell: Cell) -> nn::Cell {
    let findings = cell.findings.into_iter().map(|finding| nn::Finding {
        check: finding.check,
        outcome: match finding.outcome {
            Outcome::Pass => assay::outcome::Outcome::Pass,
            Outcome::Fail => assay::outcome::Outcome::Fail,
            Outcome::Unsupported => assay::outcome::Outcome::Unsupported,
        },
        detail: finding.detail,
    });
    nn::Cell {
        engine: cell.engine,
        backend: cell.backend,
        findings: findings.collect(),
        outputs: cell.outputs,
    }
}

/// Writes the document to the file that was named for it, or under its own name in the folder that was.
pub(crate) fn keep(arguments: &Arguments, name: &str, document: &impl Serialize) -> Result<()> {
    let Some(out) = &arguments.out else {
        return Ok(());
    };
    let path = if out.is_dir() {
        out.join(name)
    } else {
        out.clone()
    };
    let text = serde_json::to_string_pretty(document)?;
    std::fs::write(&path, text + "\n")
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
