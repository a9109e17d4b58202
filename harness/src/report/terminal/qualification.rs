//! A qualification on screen.

use crate::{
    basics::{self, Finding},
    conform::device::{Device, Shape},
    judge::{EngineWord, NotAsked},
    outcome::Outcome,
    records::Qualification,
};

/// Reasons of an engine printed on screen; all are in the evidence.
const MAX_SHOWN: usize = 5;

/// Kernel by kernel, what fits a device.
fn fits_text(device: &Device, qualification: &Qualification) -> String {
    let kibibytes = |bytes: u64| bytes.div_ceil(1024);
    let mut text = format!(
        "device: {} KiB of stack, {} KiB of memory for tensors, {} KiB in all, {} ms for each call\n",
        device.stack_bytes / 1024,
        device.heap_bytes / 1024,
        kibibytes(device.all_bytes),
        device.ticks * 10,
    );
    text += &format!(
        "{:<16} {:<24} {:<24} {}\n",
        "kernel", "largest that fits", "does not fit", "memory + stack + module"
    );
    let shape = |shape: &Shape| {
        format!(
            "{} ({} KiB)",
            shape.dimensions,
            kibibytes(shape.memory_bytes)
        )
    };
    for fit in &qualification.fits {
        text += &format!(
            "{:<16} {:<24} {:<24} {} KiB\n",
            fit.kernel,
            fit.largest.as_ref().map_or("none".to_owned(), shape),
            shape(&fit.beyond),
            kibibytes(fit.bytes)
        );
    }
    text + "What an engine needs for itself is not in the last column, nor is machine code.\n\n"
}

/// The document of `assay qualify`.
pub fn text(qualification: &Qualification, colour: bool) -> String {
    let pack = &qualification.pack;
    let mut text = format!(
        "pack {} {} accepted: {} kernels, signed by {}\n\n{}\n",
        pack.name,
        pack.version,
        pack.kernels,
        pack.key,
        super::conformance(&qualification.conform, colour)
    );
    if let Some(device) = qualification.profile.device() {
        text += &fits_text(device, qualification);
    }
    text += &parts_text(qualification);
    text += "\n";
    for engine in &qualification.engines {
        text += &format!("{:<20} {}\n", engine.id, engine.verdict);
        if engine.verdict == EngineWord::Absent {
            // The conformance part has said why.
            continue;
        }
        let reasons = engine.reasons.iter().take(MAX_SHOWN);
        for line in engine.limitations.iter().chain(reasons) {
            text += &format!("    {line}\n");
        }
        if engine.reasons.len() > MAX_SHOWN {
            text += &format!(
                "    ... and {} more in {}/qualify.json\n",
                engine.reasons.len() - MAX_SHOWN,
                qualification.evidence
            );
        }
    }
    text + &format!(
        "\nreport: {}/report/index.html\n\n{}",
        qualification.evidence,
        qualification.words()
    )
}

/// The basics, the planted faults and the traps, engine by engine.
fn parts_text(qualification: &Qualification) -> String {
    let basics = &qualification.basics;
    let passed = basics
        .iter()
        .filter(|finding| finding.outcome == Outcome::Pass);
    let mut text = format!(
        "basics: {} of {} checks pass\n",
        passed.count(),
        basics.len()
    );
    for finding in basics {
        let who = match finding.runtime.as_str() {
            basics::NATIVE => "native code",
            engine if finding.outcome == Outcome::Unsupported => engine,
            _ => continue,
        };
        text += &format!(
            "{who}, {}: {}: {}\n",
            finding.check, finding.outcome, finding.detail
        );
    }
    let planted = &qualification.planted;
    let told = |finding: &&Finding| finding.outcome == Outcome::Pass;
    text += &format!(
        "planted into kernels: {} of {} faults told\n",
        planted.iter().filter(told).count(),
        planted.len()
    );
    let unsupported = |finding: &&Finding| finding.outcome == Outcome::Unsupported;
    for finding in planted.iter().filter(unsupported) {
        text += &format!(
            "{}, {}: {}: {}\n",
            finding.runtime, finding.check, finding.outcome, finding.detail
        );
    }
    if let Some(how) = &qualification.emulated {
        text += &format!("times and latencies: not measured (emulated): {how}\n");
    }
    for summary in &qualification.trap_summaries {
        text += &format!("{:<20} traps: {}\n", summary.runtime, summary.lines());
    }
    if qualification.not_asked().contains(&NotAsked::Interruptions) {
        text += "how late engines stop was not measured\n";
    }
    text
}
