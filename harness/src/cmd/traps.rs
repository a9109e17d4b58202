//! `assay traps`: every class of trap, budget and limit on every engine, and the engine's state afterwards.

use super::conform::EngineReport;
use crate::{
    exit::Exit,
    outcome::{Counts, Outcome},
    output::Output,
    parallel,
    registry::{self, Availability},
    results::{Folder, SharedLines},
    tint::{self, Tint},
    traps::{
        self, Case, CaseResult, State,
        checks::{self, CheckResult},
        latency,
        latency::Latency,
    },
};
use anyhow::Result;
use assay_worker::{Launch, Worker};
use comfy_table::{Cell, Table, presets};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Make every engine trap in every way, exhaust every budget and meet every limit, and look at its state afterwards.
#[derive(clap::Args)]
#[command(
    after_help = "The modules are those of fixtures/traps; the binary holds them.\n\nExample: assay traps --runtime 'wasmtime.*' --latency --interruptions 200"
)]
pub struct Arguments {
    /// Engine id or glob (repeatable) [default: all that are ready].
    #[arg(long, value_name = "ID")]
    runtime: Vec<String>,
    /// An engine from outside: an executable that speaks docs/worker-protocol.md (repeatable).
    #[arg(long, value_name = "NAME=COMMAND")]
    adapter: Vec<String>,
    /// Also measure how late engines are in interrupting a tight loop, straight-line code, bulk memory and recursion.
    #[arg(long)]
    latency: bool,
    /// Interruptions of each kind of code.
    #[arg(long, value_name = "N", default_value_t = 20, requires = "latency", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    interruptions: u32,
    /// Results folder [default: a dated one under assay-results/].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What was found: the JSON document.
#[derive(Serialize)]
struct Report {
    verdict: &'static str,
    /// Why it failed as a whole, besides the entries of `results`, `checks` and `latency`.
    reasons: Vec<String>,
    /// Outcomes of all cases and checks, and of latencies where they were measured; `absent` counts engines.
    counts: Counts,
    engines: Vec<EngineReport>,
    results: Vec<CaseResult>,
    checks: Vec<CheckResult>,
    latency: Vec<Latency>,
    evidence: String,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let engines = registry::with_adapters(registry::engines(), &arguments.adapter)?;
    let engines = registry::select(engines, &arguments.runtime)?;
    let cases = traps::cases()?;
    let folder = Folder::create(arguments.out.as_deref(), "traps")?;
    let mut counts = Counts::default();
    let mut launches = Vec::new();
    let mut reports = Vec::new();
    for engine in engines {
        reports.push(match engine.availability {
            Availability::Absent { reason, command } => {
                counts.add(Outcome::Absent);
                report(
                    &engine.id,
                    "absent",
                    Err(registry::absence(&reason, command)),
                )
            }
            Availability::Ready(launch) => {
                let hello = Worker::start(&launch)
                    .map(|worker| worker.info().version.clone())
                    .map_err(|error| format!("failed to {error}"));
                launches.push(launch);
                let status = if hello.is_ok() { "ready" } else { "failed" };
                report(&engine.id, status, hello)
            }
        });
    }

    let survey = survey(
        &launches,
        &cases,
        arguments.latency.then_some(arguments.interruptions),
        &folder,
        output,
    )?;
    let Survey {
        results,
        checks,
        latency,
    } = survey;
    let outcomes = results.iter().map(|result| result.outcome);
    let outcomes = outcomes.chain(checks.iter().map(|check| check.outcome));
    for outcome in outcomes.chain(latency.iter().map(|latency| latency.outcome)) {
        counts.add(outcome);
    }
    let reasons: Vec<String> = launches
        .iter()
        .filter_map(|launch| nothing_shown(launch, &results))
        .collect();
    let bad = counts.fail + counts.error > 0 || !reasons.is_empty();
    let report = Report {
        verdict: if bad { "fail" } else { "pass" },
        reasons,
        counts,
        engines: reports,
        results,
        checks,
        latency,
        evidence: folder.path().display().to_string(),
    };
    folder.document("traps.json", &report)?;
    output.document(&report)?;
    output.text(&report.to_text(output.colour()))?;
    Ok(if bad { Exit::Failed } else { Exit::Passed })
}

/// What was found on all engines.
#[derive(Serialize)]
pub(super) struct Survey {
    /// One result per engine and case.
    pub(super) results: Vec<CaseResult>,
    /// The state after many traps, exactness of fuel, recovery.
    pub(super) checks: Vec<CheckResult>,
    /// How late interruptions were; empty where that was not asked for.
    pub(super) latency: Vec<Latency>,
}

/// Runs the matrix and the checks on all engines, and measures so many interruptions of each kind of code. Records go to
/// `traps.jsonl` in the folder as they come.
///
/// # Errors
/// If they cannot be written.
pub(super) fn survey(
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
    let lines = SharedLines::new(folder.lines("traps.jsonl")?);
    let found = parallel::each(launches, parallel::processors(), |launch| {
        let results = traps::run(launch, cases, &|result| {
            lines.push(result);
            progress.inc(1);
        });
        // An engine on which nothing passed has failed already, and may take its time to start.
        let checks = if passes(launch, &results) {
            checks::run(launch, &|check| {
                lines.push(check);
                progress.inc(1);
            })
        } else {
            Vec::new()
        };
        (results, checks)
    });
    let mut survey = Survey {
        results: Vec::new(),
        checks: Vec::new(),
        latency: Vec::new(),
    };
    for (results, checks) in found {
        survey.results.extend(results);
        survey.checks.extend(checks);
    }
    if let Some(interruptions) = interruptions {
        // One engine at a time: others would make it late.
        for launch in launches {
            if !passes(launch, &survey.results) {
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

fn passes(launch: &Launch, results: &[CaseResult]) -> bool {
    results
        .iter()
        .any(|result| result.runtime == launch.id && result.outcome == Outcome::Pass)
}

/// An engine on which nothing passed has not been looked at.
fn nothing_shown(launch: &Launch, results: &[CaseResult]) -> Option<String> {
    (!passes(launch, results)).then(|| format!("{}: no case passed", launch.id))
}

fn report(id: &str, status: &'static str, hello: Result<String, String>) -> EngineReport {
    let (version, reason) = match hello {
        Ok(version) => (Some(version), None),
        Err(reason) => (None, Some(reason)),
    };
    EngineReport {
        id: id.to_owned(),
        status,
        version,
        reason,
        compiled_elsewhere: None,
        native_code_not_compared: Vec::new(),
    }
}

impl Report {
    fn to_text(&self, colour: bool) -> String {
        let runtimes: Vec<&str> = self
            .engines
            .iter()
            .filter(|engine| engine.status != "absent")
            .map(|engine| engine.id.as_str())
            .collect();
        let mut text = matrix(&self.results, &runtimes, colour);
        text += "\nok N of M: N of the M ways to reach the class end as they must, and leave other instances alone; \
                 the others are unsupported. \
                 known N of M: N fail in a way that is known. `none`: controls, which must not trap.\n";
        for engine in &self.engines {
            if let Some(reason) = &engine.reason {
                text += &format!("{} {}: {reason}\n", engine.id, engine.status);
            }
        }
        for ((outcome, runtime, detail), cases) in self.not_passed() {
            text += &format!("{outcome} on {runtime} ({}): {detail}\n", cases.join(", "));
        }
        text += "\n";
        for check in &self.checks {
            text += &format!(
                "{:<20} {}: {}: {}\n",
                check.runtime, check.check, check.outcome, check.detail
            );
        }
        if !self.latency.is_empty() {
            text += &format!("\n{}\n", latency_table(&self.latency));
            for latency in self
                .latency
                .iter()
                .filter(|one| one.outcome != Outcome::Pass)
            {
                text += &format!(
                    "{} {} on {}: {}\n",
                    latency.outcome, latency.code, latency.runtime, latency.detail
                );
            }
        }
        for reason in &self.reasons {
            text += &format!("\n{reason}");
        }
        let counts = &self.counts;
        let told = |state: fn(&CaseResult) -> State| {
            let sound = |result: &&CaseResult| state(result) == State::Sound;
            let known = |result: &&CaseResult| state(result) != State::Unknown;
            format!(
                "{} of {}",
                self.results.iter().filter(sound).count(),
                self.results.iter().filter(known).count()
            )
        };
        text += &format!(
            "\nafterwards, where it can be told: a fresh instance works {} times, another module is undisturbed {} times",
            told(|result| result.fresh),
            told(|result| result.bystander)
        );
        text += &format!(
            "\ntraps: {} - {} of {} checks pass, {} fail, {} unsupported, {} known failures, {} error; {} engines absent; results in {}",
            self.verdict,
            counts.pass,
            counts.total() - counts.absent,
            counts.fail,
            counts.unsupported,
            counts.known_failure,
            counts.error,
            counts.absent,
            self.evidence
        );
        text
    }

    /// (outcome, engine, what happened or why) -> cases.
    fn not_passed(&self) -> BTreeMap<(Outcome, &str, &str), Vec<&str>> {
        let mut cases: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for result in &self.results {
            if result.outcome != Outcome::Pass {
                cases
                    .entry((result.outcome, &*result.runtime, &*result.detail))
                    .or_default()
                    .push(&result.case);
            }
        }
        cases
    }
}

/// Classes down, engines across.
fn matrix(results: &[CaseResult], runtimes: &[&str], colour: bool) -> String {
    let mut classes: Vec<&str> = Vec::new();
    for result in results {
        if !classes.contains(&result.class.as_str()) {
            classes.push(&result.class);
        }
    }
    let mut table = tint::table(colour);
    table.set_header(
        std::iter::once("class".to_owned())
            .chain(runtimes.iter().map(|id| id.replacen('.', "\n.", 1))),
    );
    for class in classes {
        let mut line = vec![Cell::new(class)];
        for runtime in runtimes {
            let cell: Vec<&CaseResult> = results
                .iter()
                .filter(|result| result.class == class && result.runtime == *runtime)
                .collect();
            let count = |outcome| cell.iter().filter(|one| one.outcome == outcome).count();
            let bad = cell.iter().filter(|one| one.outcome.is_bad()).count();
            let passed = count(Outcome::Pass);
            line.push(if cell.is_empty() {
                Cell::new("-")
            } else if bad > 0 {
                tint::cell(format!("FAIL {bad} of {}", cell.len()), Tint::Bad)
            } else if count(Outcome::KnownFailure) > 0 {
                let known = count(Outcome::KnownFailure);
                tint::cell(format!("known {known} of {}", cell.len()), Tint::Doubtful)
            } else if passed == 0 {
                tint::cell("unsupported", Tint::Doubtful)
            } else if passed < cell.len() {
                tint::cell(format!("ok {passed} of {}", cell.len()), Tint::Good)
            } else {
                tint::cell(format!("ok {passed}"), Tint::Good)
            });
        }
        table.add_row(line);
    }
    table.to_string()
}

fn latency_table(latencies: &[Latency]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "engine",
        "late by, in ms, interrupting",
        "p50",
        "p99",
        "max",
        "p99 without waiting\nfor a processor",
        "p99 may be",
        "interrupted",
        "killed",
    ]);
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    for latency in latencies {
        table.add_row([
            latency.runtime.clone(),
            latency.code.to_owned(),
            number(latency.p50_ms),
            number(latency.p99_ms),
            number(latency.max_ms),
            number(latency.engine_p99_ms),
            number(Some(latency.bound_ms)),
            latency.interruptions.to_string(),
            latency.killed.to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(runtime: &str, class: &str, outcome: Outcome) -> CaseResult {
        CaseResult {
            runtime: runtime.to_owned(),
            class: class.to_owned(),
            case: "case".to_owned(),
            expected: String::new(),
            outcome,
            seen: String::new(),
            detail: String::new(),
            fresh: State::Unknown,
            bystander: State::Unknown,
            elapsed_ms: 0.0,
        }
    }

    #[test]
    fn a_cell_never_hides_a_failure_behind_passes_nor_what_is_unsupported() {
        let results = [
            result("a.one", "Unreachable", Outcome::Pass),
            result("a.one", "Unreachable", Outcome::Pass),
            result("b", "Unreachable", Outcome::Pass),
            result("b", "Unreachable", Outcome::Error),
            result("c", "Unreachable", Outcome::Pass),
            result("c", "Unreachable", Outcome::Unsupported),
            result("c", "FuelExhausted", Outcome::Unsupported),
            result("b", "FuelExhausted", Outcome::Pass),
            result("b", "FuelExhausted", Outcome::KnownFailure),
        ];
        insta::assert_snapshot!(matrix(&results, &["a.one", "b", "c", "d"], false));
    }
}
