//! The numeric instructions on all engines, kept in a results folder.

use super::{Finding, Plan, Summary};
use crate::{
    output::Output,
    registry::Engine,
    results::Folder,
    suite::{self, Suite},
};
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
    let launches: Vec<Launch> = engines.iter().filter_map(Engine::launch).cloned().collect();
    let found = suite::on_all(&plan, &launches, output);
    let summaries = launches
        .iter()
        .zip(&found)
        .map(|(launch, findings)| Summary::of(plan.operations(), &launch.id, findings))
        .collect();
    let all: Vec<_> = found.into_iter().flatten().collect();
    folder.document(FILE, &all)?;
    Ok(summaries)
}

impl Suite for Plan {
    type Findings = Vec<Finding>;
    const NAME: &'static str = "numerics";
    const STEPS: &'static str = "instructions";

    fn steps(&self) -> usize {
        self.operations()
    }

    fn run(&self, launch: &Launch, done: &(dyn Fn(usize) + Sync)) -> Vec<Finding> {
        super::run(launch, self, done)
    }
}
