//! `assay verify`: signatures, manifest, hashes, modules, compatibility; no kernel runs.

use std::path::PathBuf;

use anyhow::Result;
use kernel_pack::{Error, Pack, Rejection};
use serde_json::json;

use crate::acceptance::{Acceptance, Examined, advice, key_document, rejected_document, stop};
use crate::exit::Exit;
use crate::output::Output;

/// Checks a pack: signatures, manifest, hashes, modules, versions. No kernel runs.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Whose packs are accepted, the user's own trust store says (`assay trust`), and what --trust
names; a list that comes with a pack is never read. The highest version that was accepted is
recorded only in a file that --seen names.

Example: assay verify fixtures/packs/core --trust fixtures/packs/trusted_keys")]
pub struct Arguments {
    /// The pack: a folder or an uncompressed tar archive.
    pub pack: PathBuf,
    /// Whose packs are accepted.
    #[command(flatten)]
    pub acceptance: Acceptance,
}

/// Runs the command.
///
/// # Errors
/// With [`Exit::Usage`] for paths and trust lists that are not there or not understood, otherwise the harness's own
/// failures. A rejected pack is an outcome.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let acceptance = &arguments.acceptance;
    let Examined { result, notes } = acceptance.examine(&arguments.pack);
    match result {
        Ok(pack) => {
            // The user's own record is of packs that were accepted to be used.
            if acceptance.seen.is_some() {
                acceptance.remember(&pack)?;
            }
            output.document(&accepted_document(&pack, &notes))?;
            output.text(&with_notes(accepted_text(&pack), &notes))?;
            Ok(Exit::Passed)
        }
        Err(Error::Rejected(rejection)) => {
            output.document(&rejected_document(&rejection, &notes))?;
            output.text(&with_notes(rejected_text(&rejection), &notes))?;
            Ok(Exit::Rejected)
        }
        Err(error) => Err(stop(error)),
    }
}

fn accepted_document(pack: &Pack, notes: &[String]) -> serde_json::Value {
    json!({
        "verdict": "accepted",
        "code": null,
        "message": format!("{} {} is accepted", pack.name(), pack.version()),
        "kernel": null,
        "file": null,
        "signer": key_document(pack.signer()),
        "accepted_by": key_document(pack.accepted_by()),
        "pack": {
            "name": pack.name(),
            "version": pack.version().to_string(),
            "key": pack.key(),
            "kernels": pack.kernels().len(),
        },
        "warnings": pack.warnings(),
        "notes": notes,
    })
}

fn accepted_text(pack: &Pack) -> String {
    let mut lines = vec![format!(
        "accepted: {} {}, {} kernels, {} vector files\nsigned with {}\nfingerprint {}",
        pack.name(),
        pack.version(),
        pack.kernels().len(),
        pack.vectors().len(),
        pack.key(),
        pack.signer().fingerprint()
    )];
    if pack.accepted_by() != pack.signer() {
        lines.push(format!(
            "accepted because {} signed it too",
            pack.accepted_by()
        ));
    }
    let width = pack.kernels().iter().map(|kernel| kernel.id().len()).max();
    for kernel in pack.kernels() {
        let features: Vec<_> = kernel
            .facts()
            .features_used
            .iter()
            .map(|feature| feature.as_str())
            .collect();
        lines.push(format!(
            "  {:width$}  {:>7} bytes  {:>4} to {:>4} pages  {:>6} ticks  {}",
            kernel.id(),
            kernel.wasm().len(),
            kernel.facts().memory_minimum_pages,
            kernel.limits().max_memory_pages,
            kernel.limits().max_epoch_ticks,
            features.join(" "),
            width = width.unwrap_or(0),
        ));
    }
    let warnings = pack.warnings().iter();
    lines.extend(warnings.map(|warning| format!("warning: {warning}")));
    lines.join("\n")
}

fn with_notes(mut text: String, notes: &[String]) -> String {
    for note in notes {
        text += &format!("\nnote: {note}");
    }
    text
}

fn rejected_text(rejection: &Rejection) -> String {
    let mut text = String::from("rejected");
    for (word, one) in
        std::iter::once(("", rejection)).chain(rejection.further.iter().map(|one| ("\nand", one)))
    {
        text += &format!("{word}: {}\n  {}", one.code, one.message);
        if let Some(kernel) = &one.kernel {
            text += &format!("\n  kernel: {kernel}");
        }
        if let Some(file) = &one.file {
            text += &format!("\n  file:   {file}");
        }
    }
    if let Some(advice) = advice(rejection) {
        text.push_str(&format!("\n{advice}"));
    }
    text
}
