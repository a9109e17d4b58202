//! `assay report`: HTML, SVG, Markdown, JUnit and formats of benchmark services from recorded results.

use crate::{
    exit::{self, Exit},
    output::Output,
    records, report,
};
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;

/// Make a report from recorded results: one HTML file, its pictures, Markdown for a job summary, JUnit XML; of times also CSV and the formats of Bencher
/// and github-action-benchmark.
#[derive(clap::Args)]
#[command(
    after_help = "Reads the results of qualify, conform, traps, bench and `nn --check --out` in DIR and in the folders in it; measures nothing.\n\nExample: assay report assay-results/20261120T120000-qualify-1"
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
    let target = arguments
        .out
        .clone()
        .unwrap_or_else(|| arguments.folder.join("report"));
    let doubt = records::doubt(&arguments.folder)?;
    if let Some(doubt) = &doubt {
        exit::complain(&format!("assay: {doubt}; `assay verify-report` says more"));
    }
    let (document, files) = report::write_doubted(&arguments.folder, &target, doubt.as_deref())?;
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
