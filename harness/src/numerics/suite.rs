//! The numeric instructions on all engines, kept in a results folder.

use super::{Plan, Summary};
use crate::{output::Output, parallel, registry::Engine, results::Folder};
use anyhow::Result;
use assay_worker::Launch;

/// Name of the file of all findings in a results folder.
pub const FILE: &str = "numerics.json";

/// Runs the numeric instructions on the engines that are ready, side by side; one summary for each.
///
/// # Errors
/// If the results folder cannot be written.
pub fn on_all(engines: &[Engine], folder: &Folder, output: &Output) -> Result<Vec<Summary>> {
    let plan = Plan::new()?;
    let launches: Vec<&Launch> = engines.iter().filter_map(Engine::launch).collect();
    let progress = output.progress_bar(
        "numerics",
        (launches.len() * plan.operations()) as u64,
        "{wide_bar} {pos}/{len} instructions",
    );
    let found = parallel::each(&launches, launches.len(), |launch| {
        super::run(launch, &plan, &|more| progress.inc(more))
    });
    progress.finish_and_clear();
    let summaries = launches
        .iter()
        .zip(&found)
        .map(|(launch, findings)| Summary::of(plan.operations(), &launch.id, findings))
        .collect();
    let all: Vec<_> = found.into_iter().flatten().collect();
    folder.document(FILE, &all)?;
    Ok(summaries)
}
