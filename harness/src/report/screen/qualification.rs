//! A qualification on screen.

use crate::{
    basics::{self, Finding},
    conform::device::{Device, Shape},
    document::{Part, Table},
    judge::{EngineWord, NotAsked},
    outcome::Outcome,
    records::Qualification,
};

/// Reasons of an engine printed on screen; all are in the evidence.
const MAX_SHOWN: usize = 5;

/// Kernel by kernel, what fits a device.
fn fits(device: &Device, qualification: &Qualification) -> [Part; 3] {
    let kibibytes = |bytes: u64| bytes.div_ceil(1024);
    let limits = format!(
        "device: {} KiB of stack, {} KiB of memory for tensors, {} KiB in all, {} ms for each call",
        device.stack_bytes / 1024,
        device.heap_bytes / 1024,
        kibibytes(device.all_bytes),
        device.ticks * 10,
    );
    let shape = |shape: &Shape| {
        format!(
            "{} ({} KiB)",
            shape.dimensions,
            kibibytes(shape.memory_bytes)
        )
    };
    let mut table = Table::new([
        "kernel",
        "largest that fits",
        "does not fit",
        "memory + stack + module",
    ]);
    for fit in &qualification.fits {
        table.add([
            fit.kernel.clone(),
            fit.largest.as_ref().map_or("none".to_owned(), shape),
            shape(&fit.beyond),
            format!("{} KiB", kibibytes(fit.bytes)),
        ]);
    }
    let own = "What an engine needs for itself is not in the last column, nor is machine code.";
    [
        Part::Text(limits),
        Part::Table(table),
        Part::Text(own.to_owned()),
    ]
}

/// The document of `assay qualify`.
pub fn parts(qualification: &Qualification) -> Vec<Part> {
    let pack = &qualification.pack;
    let mut parts = vec![Part::Text(format!(
        "pack {} {} accepted: {} kernels, signed by {}",
        pack.name, pack.version, pack.kernels, pack.key,
    ))];
    parts.extend(super::conformance(&qualification.conform));
    if let Some(device) = qualification.profile.device() {
        parts.extend(fits(device, qualification));
    }
    parts.push(Part::List(findings(qualification)));
    parts.push(Part::List(engines(qualification)));
    parts.extend([
        Part::Text(format!(
            "report: {}/report/index.html",
            qualification.evidence
        )),
        Part::Text(qualification.words()),
    ]);
    parts
}

/// The verdict of each engine, and its reasons.
fn engines(qualification: &Qualification) -> Vec<String> {
    let mut lines = Vec::new();
    for engine in &qualification.engines {
        lines.push(format!("{:<20} {}", engine.id, engine.verdict));
        if engine.verdict == EngineWord::Absent {
            // The conformance part has said why.
            continue;
        }
        let reasons = engine.reasons.iter().take(MAX_SHOWN);
        let said = engine.limitations.iter().chain(reasons);
        lines.extend(said.map(|line| format!("    {line}")));
        if engine.reasons.len() > MAX_SHOWN {
            lines.push(format!(
                "    ... and {} more in {}/qualify.json",
                engine.reasons.len() - MAX_SHOWN,
                qualification.evidence
            ));
        }
    }
    lines
}

/// The basics, the planted faults and the traps, engine by engine.
fn findings(qualification: &Qualification) -> Vec<String> {
    let basics = &qualification.basics;
    let passed = basics
        .iter()
        .filter(|finding| finding.outcome == Outcome::Pass);
    let mut lines = vec![format!(
        "basics: {} of {} checks pass",
        passed.count(),
        basics.len()
    )];
    for finding in basics {
        let who = match finding.runtime.as_str() {
            basics::NATIVE => "native code",
            engine if finding.outcome == Outcome::Unsupported => engine,
            _ => continue,
        };
        lines.push(format!(
            "{who}, {}: {}: {}",
            finding.check, finding.outcome, finding.detail
        ));
    }
    let planted = &qualification.planted;
    let told = |finding: &&Finding| finding.outcome == Outcome::Pass;
    lines.push(format!(
        "planted into kernels: {} of {} faults told",
        planted.iter().filter(told).count(),
        planted.len()
    ));
    let unsupported = |finding: &&Finding| finding.outcome == Outcome::Unsupported;
    for finding in planted.iter().filter(unsupported) {
        lines.push(format!(
            "{}, {}: {}: {}",
            finding.runtime, finding.check, finding.outcome, finding.detail
        ));
    }
    if let Some(how) = &qualification.emulated {
        lines.push(format!(
            "times and latencies: not measured (emulated): {how}"
        ));
    }
    for summary in &qualification.trap_summaries {
        lines.push(format!(
            "{:<20} traps: {}",
            summary.runtime,
            summary.lines()
        ));
    }
    if qualification.not_asked().contains(&NotAsked::Interruptions) {
        lines.push("how late engines stop was not measured".to_owned());
    }
    lines
}
