//! The trap matrix, the checks and the latencies on all engines, kept in a results folder.

use super::{
    Case, CaseResult, Summary,
    checks::{self, CheckResult},
    latency::{self, Latency},
};
use crate::{
    engine::{EngineReport, Status},
    outcome::{Counts, Outcome, Whole},
    output::Output,
    parallel,
    results::{Folder, SharedLines},
};
use anyhow::Result;
use assay_worker::Launch;
use serde::{Deserialize, Serialize};

/// Name of the document in a results folder.
pub const FILE: &str = "traps.json";
/// Name of the file of its entries, written as they come.
const LINES: &str = "traps.jsonl";

/// What was found on all engines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// One result per engine and case.
    pub results: Vec<CaseResult>,
    /// The state after many traps, exactness of fuel, recovery.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// How late interruptions were; empty where that was not asked for.
    #[serde(default)]
    pub latency: Vec<Latency>,
}

/// The document: [`FILE`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrapReport {
    /// Whether all of it holds; `None` in what earlier versions left of a qualification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Whole>,
    /// Why it failed as a whole, besides the entries.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Outcomes of all cases and checks, and of latencies where they were measured; `absent` counts engines.
    #[serde(default)]
    pub counts: Counts,
    /// The engines that were asked for.
    pub engines: Vec<EngineReport>,
    /// What was found.
    #[serde(flatten)]
    pub survey: Survey,
    /// The results folder.
    #[serde(default)]
    pub evidence: String,
}

impl Survey {
    /// Outcomes of all cases, checks and latencies.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        let cases = self.results.iter().map(|case| case.outcome);
        let checks = self.checks.iter().map(|check| check.outcome);
        let latencies = self.latency.iter().map(|latency| latency.outcome);
        cases.chain(checks).chain(latencies)
    }

    /// Whether anything passed on an engine: one on which nothing did has not been looked at.
    pub fn passes(&self, runtime: &str) -> bool {
        passes(runtime, &self.results)
    }

    /// What was found on an engine, summed up.
    pub fn summary(&self, runtime: &str) -> Summary {
        Summary::of(runtime, self)
    }
}

impl TrapReport {
    /// Of what was found on engines that were asked for.
    pub fn of(engines: Vec<EngineReport>, survey: Survey, evidence: String) -> Self {
        let mut counts = Counts::default();
        let absent = engines.iter().filter(|one| one.status == Status::Absent);
        counts.absent = absent.count() as u64;
        survey.outcomes().for_each(|outcome| counts.add(outcome));
        let asked = engines.iter().filter(|one| one.status != Status::Absent);
        let reasons: Vec<String> = asked
            .filter(|engine| !survey.passes(&engine.id))
            .map(|engine| format!("{}: no case passed", engine.id))
            .collect();
        Self {
            verdict: Some(Whole::of(
                counts.fail + counts.error > 0 || !reasons.is_empty(),
            )),
            reasons,
            counts,
            engines,
            survey,
            evidence,
        }
    }
}

/// Runs the matrix and the checks on all engines, and measures so many interruptions of each kind of code. Entries go to
/// `traps.jsonl` in the folder as they come.
///
/// # Errors
/// If they cannot be written.
pub fn survey(
    launches: &[Launch],
    cases: &[Case],
    interruptions: Option<u32>,
    folder: &Folder,
    output: &Output,
) -> Result<Survey> {
    let kinds = interruptions.map_or(0, |_| latency::KINDS);
    let steps = launches.len() * (cases.len() + checks::COUNT + kinds);
    let progress = output.progress_bar(
        "traps",
        steps as u64,
        "{wide_bar} {pos}/{len} cases, {per_sec}, {eta} left",
    );
    let lines = SharedLines::new(folder.lines(LINES)?);
    let found = parallel::each(launches, parallel::processors(), |launch| {
        let results = super::run(launch, cases, &|result| {
            lines.push(result);
            progress.inc(1);
        });
        // An engine on which nothing passed has failed already, and may take its time to start.
        let checks = if passes(&launch.id, &results) {
            checks::run(launch, &|check| {
                lines.push(check);
                progress.inc(1);
            })
        } else {
            Vec::new()
        };
        (results, checks)
    });
    let mut survey = Survey::default();
    for (results, checks) in found {
        survey.results.extend(results);
        survey.checks.extend(checks);
    }
    if let Some(interruptions) = interruptions {
        // One engine at a time: others would make it late.
        for launch in launches {
            if !survey.passes(&launch.id) {
                continue;
            }
            let measured = latency::measure(launch, interruptions, &|latency| {
                lines.push(latency);
                progress.inc(1);
            });
            survey.latency.extend(measured);
        }
    }
    progress.finish_and_clear();
    lines.finish()?;
    Ok(survey)
}

fn passes(runtime: &str, results: &[CaseResult]) -> bool {
    results
        .iter()
        .any(|result| result.runtime == runtime && result.outcome == Outcome::Pass)
}
