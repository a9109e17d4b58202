//! Traps, budgets and limits on screen.

use crate::{
    engine::Status,
    outcome::Outcome,
    tint::{self, Tint},
    traps::{CaseResult, State, TrapReport, latency::Latency},
};
use comfy_table::{Cell, Table, presets};
use std::collections::BTreeMap;

/// The document of `assay traps`.
pub fn text(report: &TrapReport, colour: bool) -> String {
    let found = &report.survey;
    let runtimes: Vec<&str> = report
        .engines
        .iter()
        .filter(|engine| engine.status != Status::Absent)
        .map(|engine| engine.id.as_str())
        .collect();
    let mut text = matrix(&found.results, &runtimes, colour);
    text += "\nok N of M: N of the M ways to reach the class end as they must, and leave other instances alone; \
             the others are unsupported. \
             known N of M: N fail in a way that is known. `none`: controls, which must not trap.\n";
    for engine in &report.engines {
        if let Some(reason) = &engine.reason {
            text += &format!("{} {}: {reason}\n", engine.id, engine.status);
        }
    }
    for ((outcome, runtime, detail), cases) in not_passed(&found.results) {
        text += &format!("{outcome} on {runtime} ({}): {detail}\n", cases.join(", "));
    }
    text += "\n";
    for check in &found.checks {
        text += &format!(
            "{:<20} {}: {}: {}\n",
            check.runtime, check.check, check.outcome, check.detail
        );
    }
    if !found.latency.is_empty() {
        text += &format!("\n{}\n", latency_table(&found.latency));
        for latency in found
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
    for reason in &report.reasons {
        text += &format!("\n{reason}");
    }
    let counts = &report.counts;
    let told = |state: fn(&CaseResult) -> State| {
        let sound = |result: &&CaseResult| state(result) == State::Sound;
        let known = |result: &&CaseResult| state(result) != State::Unknown;
        format!(
            "{} of {}",
            found.results.iter().filter(sound).count(),
            found.results.iter().filter(known).count()
        )
    };
    text += &format!(
        "\nafterwards, where it can be told: a fresh instance works {} times, another module is undisturbed {} times",
        told(|result| result.fresh),
        told(|result| result.bystander)
    );
    text += &format!(
        "\ntraps: {} - {} of {} checks pass, {} fail, {} unsupported, {} known failures, {} error; {} engines absent; results in {}",
        match report.verdict {
            Some(verdict) => verdict.to_string(),
            None => "not judged".to_owned(),
        },
        counts.pass,
        counts.total() - counts.absent,
        counts.fail,
        counts.unsupported,
        counts.known_failure,
        counts.error,
        counts.absent,
        report.evidence
    );
    text
}

/// (outcome, engine, what happened or why) -> cases.
fn not_passed(results: &[CaseResult]) -> BTreeMap<(Outcome, &str, &str), Vec<&str>> {
    let mut cases: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for result in results {
        if result.outcome != Outcome::Pass {
            cases
                .entry((result.outcome, &*result.runtime, &*result.detail))
                .or_default()
                .push(&result.case);
        }
    }
    cases
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
            latency.code.clone(),
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
