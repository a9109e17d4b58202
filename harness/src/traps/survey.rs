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
    results::{Folder, SharedLines},
    suite::{self, Suite},
};
use anyhow::Result;
use assay_worker::Launch;
use serde::{Deserialize, Serialize};

/// Name of the document in a results folder.
pub const FILE: &str = "traps.json";
/// Name of the file of its entries, written as they come.
pub(super) const LINES: &str = "traps.jsonl";

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
    let lines = SharedLines::new(folder.lines(LINES)?);
    let traps = Traps {
        cases,
        lines: &lines,
    };
    let mut survey = Survey::default();
    for (results, checks) in suite::on_all(&traps, launches, output) {
        survey.results.extend(results);
        survey.checks.extend(checks);
    }
    if let Some(interruptions) = interruptions {
        let asked: Vec<&Launch> = launches
            .iter()
            .filter(|launch| survey.passes(&launch.id))
            .collect();
        let steps = asked.len() * latency::KINDS;
        let template = "{wide_bar} {pos}/{len} kinds of code, {elapsed}";
        let progress = output.progress_bar("interruptions", steps as u64, template);
        // One engine at a time: others would make it late.
        for launch in asked {
            let measured = latency::measure(launch, interruptions, &|latency| {
                lines.push(latency);
                progress.inc(1);
            });
            survey.latency.extend(measured);
        }
        progress.finish_and_clear();
    }
    lines.finish()?;
    Ok(survey)
}

/// The matrix, and the checks after it; entries go to the lines as they come.
struct Traps<'a> {
    cases: &'a [Case],
    lines: &'a SharedLines,
}

impl Suite for Traps<'_> {
    type Findings = (Vec<CaseResult>, Vec<CheckResult>);
    const NAME: &'static str = "traps";
    const STEPS: &'static str = "cases";

    fn steps(&self) -> usize {
        self.cases.len() + checks::COUNT
    }

    fn run(&self, launch: &Launch, done: &(dyn Fn(usize) + Sync)) -> Self::Findings {
        let results = super::run(launch, self.cases, &|result| {
            self.lines.push(result);
            done(1);
        });
        // An engine on which nothing passed has failed already, and may take its time to start.
        let checks = if passes(&launch.id, &results) {
            checks::run(launch, &|check| {
                self.lines.push(check);
                done(1);
            })
        } else {
            Vec::new()
        };
        (results, checks)
    }
}

fn passes(runtime: &str, results: &[CaseResult]) -> bool {
    results
        .iter()
        .any(|result| result.runtime == runtime && result.outcome == Outcome::Pass)
}
