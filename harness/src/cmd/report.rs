//! `assay report`: HTML, SVG, Markdown and JUnit from recorded results.

use crate::{
    exit::Exit,
    output::Output,
    report::{html, junit, markdown, records::Records, sections},
    results::Folder,
};
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;

/// Make a report from recorded results: one HTML file, its pictures, Markdown for a job summary, JUnit XML.
#[derive(clap::Args)]
#[command(
    after_help = "Reads the results of qualify, conform and traps in DIR and in the folders in it; measures nothing.\n\nExample: assay report assay-results/20261120T120000-qualify-1"
)]
pub struct Arguments {
    /// Results folder, or a folder of results folders.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Where the report is written [default: `report` in DIR].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    /// What the report says.
    verdict: String,
    /// The folder.
    report: String,
    /// The files in it.
    files: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let records = Records::read(&arguments.folder)?;
    let target = arguments
        .out
        .clone()
        .unwrap_or_else(|| arguments.folder.join("report"));
    let argument = arguments.folder.to_string_lossy().into_owned();
    let quoted = shlex::try_quote(&argument).map_or_else(|_| argument.clone(), Into::into);
    let document = sections::document(&records, format!("assay report {quoted}"))?;
    let folder = Folder::create(Some(&target), "report")?;
    let mut files = Vec::new();
    let mut write = |name: String, text: &str| -> Result<()> {
        folder.file(&name, text.as_bytes())?;
        files.push(name);
        Ok(())
    };
    write("index.html".to_owned(), &html::render(&document)?)?;
    write("summary.md".to_owned(), &markdown::render(&document))?;
    write("junit.xml".to_owned(), &junit::render(&records)?)?;
    for figure in document.figures() {
        write(format!("{}.svg", figure.name), &figure.svg)?;
    }
    output.text(&format!(
        "{}: {}\nwritten to {}: {}",
        document.title,
        document.verdict,
        target.display(),
        files.join(", ")
    ))?;
    output.document(&Written {
        verdict: document.verdict,
        report: target.display().to_string(),
        files,
    })?;
    Ok(Exit::Passed)
}
