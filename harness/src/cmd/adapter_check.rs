//! `assay adapter-check`: the suite that every in-tree engine passes in its own tests, over the worker protocol, for any adapter.

use super::engines::EngineArguments;
use crate::{
    document::Table,
    exit::Exit,
    outcome::{Counts, Outcome, Whole},
    output::Output,
    registry::Engine,
};
use anyhow::Result;
use assay_worker::{Launch, Remote};
use runtime_api::{Runtime, suite};
use serde::Serialize;

/// Check that adapters do what the worker protocol asks: the shared suite of calls, memory, limits, traps, budgets, refusals, numbers.
#[derive(clap::Args)]
#[command(
    after_help = "Example: assay adapter-check --adapter 'node.v8=node adapters/node-v8/adapter.mjs' --runtime node.v8"
)]
pub struct Arguments {
    #[command(flatten)]
    engines: EngineArguments,
}

/// What the suite found: the JSON document.
#[derive(Serialize)]
struct Report {
    verdict: Whole,
    /// Of all engines; an engine that is absent or does not start counts once.
    counts: Counts,
    engines: Vec<EngineReport>,
}

#[derive(Serialize)]
struct EngineReport {
    /// As asked for.
    id: String,
    /// What the worker says it is.
    identity: Option<String>,
    version: Option<String>,
    verdict: Outcome,
    /// Why the verdict is what it is, where no check says it.
    reason: Option<String>,
    counts: Counts,
    /// Every check, in the suite's order.
    checks: Vec<CheckReport>,
}

#[derive(Serialize)]
struct CheckReport {
    name: &'static str,
    outcome: Outcome,
    detail: String,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let engines = arguments.engines.engines()?;
    // One after the other: the suite's budgets are in time, and engines side by side would be late for no fault of their own.
    let engines: Vec<EngineReport> = engines
        .into_iter()
        .map(|engine| {
            if !output.json && !output.quiet {
                eprintln!("{} ...", engine.id);
            }
            check(engine)
        })
        .collect();
    let mut counts = Counts::default();
    for engine in &engines {
        if engine.checks.is_empty() {
            counts.add(engine.verdict);
        }
        for check in &engine.checks {
            counts.add(check.outcome);
        }
    }
    let failed = engines.iter().any(|engine| engine.verdict.is_bad());
    let report = Report {
        verdict: Whole::of(failed),
        counts,
        engines,
    };
    output.document(&report)?;
    output.text(&text(&report))?;
    Ok(if failed { Exit::Failed } else { Exit::Passed })
}

fn check(engine: Engine) -> EngineReport {
    let without_checks = |verdict, reason| EngineReport {
        id: engine.id.clone(),
        identity: None,
        version: None,
        verdict,
        reason: Some(reason),
        counts: Counts::default(),
        checks: Vec::new(),
    };
    if let Some(reason) = engine.absence() {
        return without_checks(Outcome::Absent, reason);
    }
    let Some(launch) = engine.launch() else {
        return without_checks(Outcome::Error, "it was not started".to_owned());
    };
    check_ready(launch)
        .unwrap_or_else(|error| without_checks(Outcome::Error, format!("failed to {error}")))
}

fn check_ready(launch: &Launch) -> Result<EngineReport, assay_worker::WorkerError> {
    let remote = Remote::start(launch)?;
    let mut counts = Counts::default();
    let checks: Vec<CheckReport> = suite::check(&remote)
        .into_iter()
        .map(|finding| {
            let (outcome, detail) = match finding.outcome {
                suite::Outcome::Pass => (Outcome::Pass, String::new()),
                suite::Outcome::Fail(message) => (Outcome::Fail, message),
                suite::Outcome::Unsupported(reason) => (Outcome::Unsupported, reason),
            };
            counts.add(outcome);
            CheckReport {
                name: finding.name,
                outcome,
                detail,
            }
        })
        .collect();
    let too_few = counts.pass < suite::MINIMUM_PASSES as u64;
    Ok(EngineReport {
        id: launch.id.clone(),
        identity: Some(remote.info().id.clone()),
        version: Some(remote.info().version.clone()),
        verdict: if counts.fail > 0 || too_few {
            Outcome::Fail
        } else {
            Outcome::Pass
        },
        reason: too_few.then(|| format!("fewer than {} checks passed", suite::MINIMUM_PASSES)),
        counts,
        checks,
    })
}

fn text(report: &Report) -> String {
    let mut lines = Vec::new();
    for engine in &report.engines {
        for check in &engine.checks {
            if check.outcome != Outcome::Pass {
                lines.push(format!(
                    "{} {} {}: {}",
                    engine.id, check.outcome, check.name, check.detail
                ));
            }
        }
    }
    let mut table = Table::new(["engine", "verdict", "pass", "fail", "unsupported", "of"]);
    for engine in &report.engines {
        table.add([
            engine.id.clone(),
            match &engine.reason {
                Some(reason) => format!("{}: {reason}", engine.verdict),
                None => engine.verdict.to_string(),
            },
            engine.counts.pass.to_string(),
            engine.counts.fail.to_string(),
            engine.counts.unsupported.to_string(),
            engine.checks.len().to_string(),
        ]);
    }
    lines.push(table.to_string());
    lines.join("\n")
}
