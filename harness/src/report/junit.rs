//! JUnit XML: one suite per engine, one test case per kernel, layer and source, per numeric instruction set, per case of the trap
//! matrix. What is unsupported or known to fail is skipped with its reason, never a success.

use super::records::Records;
use crate::outcome::Outcome;
use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;

/// Renders the records.
///
/// # Errors
/// If the XML cannot be written.
pub fn render(records: &Records) -> Result<String> {
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    let mut add = |engine: &str, class: &str, name: String, outcome, detail: &str| {
        let mut case = TestCase::new(name, status(outcome, detail));
        case.set_classname(format!("{engine}.{class}"));
        suites
            .entry(engine.to_owned())
            .or_insert_with(|| TestSuite::new(engine.to_owned()))
            .add_test_case(case);
    };
    if let Some(conform) = records.conformance() {
        for entry in conform.results.iter().filter(|entry| entry.case.is_none()) {
            let name = format!("{:?} {}", entry.layer, entry.source.name());
            let class = format!("{}.{}", entry.kernel, entry.variant);
            add(&entry.runtime, &class, name, entry.outcome, &entry.detail);
        }
        for engine in conform.engines.iter().filter(|e| e.status != "ready") {
            let outcome = match engine.status.as_str() {
                "absent" => Outcome::Absent,
                _ => Outcome::Error,
            };
            let reason = engine.reason.as_deref().unwrap_or_default();
            add(&engine.id, "engine", "start".to_owned(), outcome, reason);
        }
        for engine in &conform.numerics {
            let outcome = match (engine.holds, engine.held == engine.operations) {
                (true, true) => Outcome::Pass,
                (true, false) => Outcome::KnownFailure,
                (false, _) => Outcome::Fail,
            };
            let name = format!("{} of {} hold", engine.held, engine.operations);
            let because = engine.because.join("; ");
            add(&engine.runtime, "numerics", name, outcome, &because);
        }
    }
    for check in records.qualify.iter().flat_map(|qualify| &qualify.basics) {
        let name = check.check.clone();
        add(&check.runtime, "basics", name, check.outcome, &check.detail);
    }
    if let Some(traps) = records.trap_matrix() {
        for case in &traps.results {
            let detail = match case.outcome {
                Outcome::Fail => format!(
                    "{}; expected {}, seen {}",
                    case.detail, case.expected, case.seen
                ),
                _ => case.detail.clone(),
            };
            let class = format!("traps.{}", case.class);
            add(
                &case.runtime,
                &class,
                case.case.clone(),
                case.outcome,
                &detail,
            );
        }
        for one in &traps.latency {
            let name = one.code.clone();
            add(&one.runtime, "interruption", name, one.outcome, &one.detail);
        }
    }
    let mut report = Report::new("assay");
    report.add_test_suites(suites.into_values());
    report.to_string().context("failed to write JUnit XML")
}

fn status(outcome: Outcome, detail: &str) -> TestCaseStatus {
    let mut status = match outcome {
        Outcome::Pass => return TestCaseStatus::success(),
        Outcome::Unsupported | Outcome::Absent | Outcome::KnownFailure => TestCaseStatus::skipped(),
        Outcome::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    status.set_message(format!("{outcome}: {detail}"));
    status
}
