//! Traps, budgets and limits on screen.

use super::absent;
use crate::{
    document::{Cell, Part, Table, Tone},
    engine::Status,
    outcome::Outcome,
    traps::{CaseResult, State, TrapReport, latency::Latency},
};
use std::collections::BTreeMap;

/// The document of `assay traps`.
pub fn parts(report: &TrapReport) -> Vec<Part> {
    let found = &report.survey;
    let runtimes: Vec<&str> = report
        .engines
        .iter()
        .filter(|engine| engine.status != Status::Absent)
        .map(|engine| engine.id.as_str())
        .collect();
    let mut remarks = vec![
        "ok N of M: N of the M ways to reach the class end as they must, and leave other instances alone; \
         the others are unsupported. \
         known N of M: N fail in a way that is known. `none`: controls, which must not trap."
            .to_owned(),
    ];
    remarks.extend(absent(&report.engines));
    for ((outcome, runtime, detail), cases) in not_passed(&found.results) {
        remarks.push(format!(
            "{outcome} on {runtime} ({}): {detail}",
            cases.join(", ")
        ));
    }
    let checks = found.checks.iter().map(|check| {
        format!(
            "{:<20} {}: {}: {}",
            check.runtime, check.check, check.outcome, check.detail
        )
    });
    let mut parts = vec![
        Part::Table(matrix(&found.results, &runtimes)),
        Part::List(remarks),
        Part::List(checks.collect()),
    ];
    if !found.latency.is_empty() {
        parts.push(Part::Table(latencies(&found.latency)));
        let late = found.latency.iter();
        let late = late.filter(|one| one.outcome != Outcome::Pass);
        let late = late.map(|one| {
            format!(
                "{} {} on {}: {}",
                one.outcome, one.code, one.runtime, one.detail
            )
        });
        parts.push(Part::List(late.collect()));
    }
    parts.push(Part::List(report.reasons.clone()));
    parts.push(Part::List(sums(report)));
    parts
}

fn sums(report: &TrapReport) -> Vec<String> {
    let found = &report.survey;
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
    vec![
        format!(
            "afterwards, where it can be told: a fresh instance works {} times, another module is undisturbed {} times",
            told(|result| result.fresh),
            told(|result| result.bystander)
        ),
        format!(
            "traps: {} - {} of {} checks pass, {} fail, {} unsupported, {} known failures, {} error; {} engines absent; results in {}",
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
        ),
    ]
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
fn matrix(results: &[CaseResult], runtimes: &[&str]) -> Table {
    let mut classes: Vec<&str> = Vec::new();
    for result in results {
        if !classes.contains(&result.class.as_str()) {
            classes.push(&result.class);
        }
    }
    let mut table = Table::new(std::iter::once("class").chain(runtimes.iter().copied()));
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
                Cell::toned(format!("FAIL {bad} of {}", cell.len()), Tone::Bad)
            } else if count(Outcome::KnownFailure) > 0 {
                let known = count(Outcome::KnownFailure);
                Cell::toned(format!("known {known} of {}", cell.len()), Tone::Limited)
            } else if passed == 0 {
                Cell::toned("unsupported", Tone::Limited)
            } else if passed < cell.len() {
                Cell::toned(format!("ok {passed} of {}", cell.len()), Tone::Good)
            } else {
                Cell::toned(format!("ok {passed}"), Tone::Good)
            });
        }
        table.add(line);
    }
    table
}

fn latencies(latencies: &[Latency]) -> Table {
    let mut table = Table::new([
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
        table.add([
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
        insta::assert_snapshot!(matrix(&results, &["a.one", "b", "c", "d"]));
    }
}
