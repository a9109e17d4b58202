//! Reports: a function of recorded files. Nothing is measured here, so a report can be made again, elsewhere and later.

#[cfg(test)]
mod asked;
pub mod charts;
mod envelope;
pub mod formats;
pub mod goals;
pub mod junit;
pub mod kernels;
mod nn;
pub mod resources;
pub mod screen;
pub mod sections;
pub mod timing;
mod traps;

use crate::{
    document::{Document, Tone, html, markdown},
    records::Records,
    repeat::Repeat,
    results::Folder,
};
use anyhow::Result;
use std::path::Path;

/// Makes the report of the records in `folder`, and writes its files into `target`; gives the report and their names.
///
/// # Errors
/// Usage if there are no records or they are damaged; if the files cannot be written.
pub fn write(folder: &Path, target: &Path) -> Result<(Document, Vec<String>)> {
    write_doubted(folder, target, None)
}

/// The same, with what speaks against the records before the verdict.
///
/// # Errors
/// As [`write()`].
pub fn write_doubted(
    folder: &Path,
    target: &Path,
    doubt: Option<&str>,
) -> Result<(Document, Vec<String>)> {
    let records = Records::read(folder)?;
    let command = Repeat::of("report").path(folder).to_string();
    let mut document = sections::document(&records, command)?;
    if let Some(doubt) = doubt {
        document.verdict = format!("{doubt}; they say: {}", document.verdict);
        document.tone = Tone::Bad;
    }
    let target = Folder::create(Some(target), "report")?;
    let mut files = Vec::new();
    let mut file = |name: &str, text: &str| -> Result<()> {
        target.file(name, text.as_bytes())?;
        files.push(name.to_owned());
        Ok(())
    };
    file("index.html", &html::render(&document)?)?;
    file("summary.md", &markdown::render(&document))?;
    file("junit.xml", &junit::render(&records)?)?;
    if let Some(bench) = &records.bench {
        file("bencher.json", &formats::bencher(bench)?)?;
        file(
            "github-action-benchmark.json",
            &formats::github_action_benchmark(bench)?,
        )?;
        file("times.csv", &formats::csv(bench)?)?;
    }
    for figure in document.figures() {
        file(&format!("{}.svg", figure.name), &figure.alone())?;
    }
    Ok((document, files))
}
