//! JUnit XML: one suite per engine, one test case per kernel, layer and source, per numeric instruction set, per case of the trap
//! matrix, per check of WASI-NN, per module whose outputs were checked when it was timed. What is unsupported or known to fail is skipped with its reason, never a success.

use crate::{
    bench::{record::Key, tables::Tables},
    conform::report::Conformance,
    engine::Status,
    judge::{self, EngineWord, NotAsked},
    outcome::Outcome,
    records::{Qualification, Records, nn::NnReport},
    traps::survey::Survey,
};
use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;

/// Renders the records.
///
/// # Errors
/// If the XML cannot be written.
pub fn render(records: &Records) -> Result<String> {
    let mut suites = Suites::default();
    if let Some(conform) = records.conformance() {
        suites.conformance(conform);
    }
    if let (None, Some(conform)) = (&records.qualify, &records.conform) {
        let ready = conform.engines.iter();
        for engine in ready.filter(|engine| engine.status == Status::Ready) {
            for one in judge::not_asked_of_conformance(conform) {
                let (name, outcome) = (not_asked(&one), Outcome::Unsupported);
                suites.add(&engine.id, "conformance", name, outcome, &one.to_string());
            }
        }
    }
    for (engine, name, outcome, detail) in records.qualify.iter().flat_map(verdicts) {
        suites.add(engine, "qualification", name, outcome, &detail);
    }
    if let Some(qualify) = &records.qualify {
        for (class, checks) in [("basics", &qualify.basics), ("planted", &qualify.planted)] {
            for check in checks {
                let name = check.check.clone();
                suites.add(&check.runtime, class, name, check.outcome, &check.detail);
            }
        }
    }
    if let Some(traps) = &records.traps {
        suites.traps(&traps.survey);
    }
    if let Some(nn) = &records.nn {
        suites.nn(nn);
    }
    for ((engine, kernel, variant), (outcome, detail)) in records.bench.iter().flat_map(outputs) {
        let class = format!("{kernel}.{variant}");
        let name = "outputs of what was timed".to_owned();
        suites.add(engine, &class, name, outcome, detail);
    }
    let mut report = Report::new("assay");
    report.add_test_suites(suites.0.into_values());
    report.to_string().context("failed to write JUnit XML")
}

/// A suite for each engine.
#[derive(Default)]
struct Suites(BTreeMap<String, TestSuite>);

impl Suites {
    fn add(&mut self, engine: &str, class: &str, name: String, outcome: Outcome, detail: &str) {
        let mut case = TestCase::new(name, status(outcome, detail));
        case.set_classname(format!("{engine}.{class}"));
        self.0
            .entry(engine.to_owned())
            .or_insert_with(|| TestSuite::new(engine.to_owned()))
            .add_test_case(case);
    }

    fn conformance(&mut self, conform: &Conformance) {
        for entry in conform.results.iter().filter(|entry| entry.case.is_none()) {
            let name = format!("{:?} {}", entry.layer, entry.source.name());
            let class = format!("{}.{}", entry.kernel, entry.variant);
            self.add(&entry.runtime, &class, name, entry.outcome, &entry.detail);
        }
        for engine in &conform.engines {
            let outcome = match engine.status {
                Status::Ready => continue,
                Status::Absent => Outcome::Absent,
                Status::Failed => Outcome::Error,
            };
            let reason = engine.reason.as_deref().unwrap_or_default();
            self.add(&engine.id, "engine", "start".to_owned(), outcome, reason);
        }
        for engine in &conform.engines {
            for code in &engine.native_code_not_compared {
                let name = judge::doubt(code);
                let class = format!("{}.{}-{}", code.kernel, code.engine, code.target);
                let detail = format!("{name}: {}; {}", code.reason, code.confinement);
                // Not a failure, and nothing that passed.
                let outcome = Outcome::Unsupported;
                self.add(&engine.id, &class, name.to_owned(), outcome, &detail);
            }
        }
        for engine in &conform.numerics {
            let outcome = match (engine.holds, engine.held == engine.operations) {
                (true, true) => Outcome::Pass,
                (true, false) => Outcome::KnownFailure,
                (false, _) => Outcome::Fail,
            };
            let name = format!("{} of {} hold", engine.held, engine.operations);
            let because = engine.because.join("; ");
            self.add(&engine.runtime, "numerics", name, outcome, &because);
        }
    }

    fn nn(&mut self, nn: &NnReport) {
        for cell in &nn.cells {
            let class = format!("nn.{}", cell.backend);
            for finding in &cell.findings {
                let (name, outcome) = (finding.check.clone(), finding.outcome);
                self.add(&cell.engine, &class, name, outcome, &finding.detail);
            }
        }
        for disagreement in &nn.disagreements {
            let name = "the same bits".to_owned();
            self.add("nn", "outputs", name, Outcome::Fail, disagreement);
        }
    }

    fn traps(&mut self, survey: &Survey) {
        for case in &survey.results {
            let detail = match case.outcome {
                Outcome::Fail => format!(
                    "{}; expected {}, seen {}",
                    case.detail, case.expected, case.seen
                ),
                _ => case.detail.clone(),
            };
            let class = format!("traps.{}", case.class);
            self.add(
                &case.runtime,
                &class,
                case.case.clone(),
                case.outcome,
                &detail,
            );
        }
        for one in &survey.latency {
            let name = one.code.clone();
            self.add(&one.runtime, "interruption", name, one.outcome, &one.detail);
        }
    }
}

/// The name of what nobody asked, which is skipped.
fn not_asked(one: &NotAsked) -> String {
    format!("not asked: {}", one.name())
}

/// The verdict on each engine; where it is a good one, what nobody asked is skipped, never a success.
fn verdicts(qualify: &Qualification) -> Vec<(&str, String, Outcome, String)> {
    let mut verdicts = Vec::new();
    for engine in &qualify.engines {
        let outcome = match engine.verdict {
            EngineWord::Qualified => Outcome::Pass,
            EngineWord::NotQualified => Outcome::Fail,
            EngineWord::Absent => Outcome::Absent,
            EngineWord::Unsupported => Outcome::Unsupported,
        };
        let reasons = engine.reasons.join("; ");
        verdicts.push((engine.id.as_str(), "verdict".to_owned(), outcome, reasons));
        if engine.verdict == EngineWord::Qualified {
            let not_asked = qualify.not_asked().into_iter().map(|one| {
                (
                    engine.id.as_str(),
                    not_asked(&one),
                    Outcome::Unsupported,
                    one.to_string(),
                )
            });
            verdicts.extend(not_asked);
        }
    }
    verdicts
}

/// Whether the outputs of what was timed were right: engine, kernel and variant, then the worst outcome and its reason.
fn outputs(tables: &Tables) -> BTreeMap<(&str, &str, &str), (Outcome, &str)> {
    fn module(key: &Key) -> (&str, &str, &str) {
        (&key.runtime, &key.kernel, &key.variant)
    }
    let mut outputs: BTreeMap<_, (Outcome, &str)> = BTreeMap::new();
    for time in tables
        .times
        .iter()
        .filter(|time| time.key.quantity == "call")
    {
        outputs.insert(module(&time.key), (Outcome::Pass, ""));
    }
    for missing in &tables.not_measured {
        let worse = (missing.outcome, missing.reason.as_str());
        outputs
            .entry(module(&missing.key))
            // What one budget or quantity lacks takes nothing from the others; what is wrong does.
            .and_modify(|known| {
                if missing.outcome.is_bad() && !known.0.is_bad() {
                    *known = worse;
                }
            })
            .or_insert(worse);
    }
    outputs
}

fn status(outcome: Outcome, detail: &str) -> TestCaseStatus {
    let mut status = match outcome {
        Outcome::Pass => return TestCaseStatus::success(),
        Outcome::Unsupported | Outcome::Absent | Outcome::Unjudged | Outcome::KnownFailure => {
            TestCaseStatus::skipped()
        }
        Outcome::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    status.set_message(format!("{outcome}: {detail}"));
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::EngineReport,
        traps::{CaseResult, State, Survey, TrapReport, latency::Latency},
    };

    fn records() -> Records {
        let case = |case: &str, outcome| CaseResult {
            runtime: "wasmi".to_owned(),
            class: "Unreachable".to_owned(),
            case: case.to_owned(),
            expected: "Unreachable".to_owned(),
            outcome,
            seen: "<none> & \"more\"".to_owned(),
            detail: "control \u{1} character".to_owned(),
            fresh: State::Unknown,
            bystander: State::Unknown,
            elapsed_ms: 0.0,
        };
        let engine = EngineReport {
            id: "wasmi".to_owned(),
            status: Status::Ready,
            version: Some("2".to_owned()),
            reason: None,
            compiled_elsewhere: None,
            native_code_not_compared: Vec::new(),
            lacks: Vec::new(),
        };
        let survey = Survey {
            results: vec![
                case("a", Outcome::Pass),
                case("b", Outcome::Fail),
                case("c", Outcome::Unsupported),
                case("d", Outcome::Error),
                case("e", Outcome::KnownFailure),
            ],
            checks: Vec::new(),
            latency: vec![Latency {
                runtime: "wamr.fast".to_owned(),
                code: "tight loop".to_owned(),
                outcome: Outcome::Pass,
                detail: String::new(),
                interruptions: 1,
                killed: 0,
                p50_ms: None,
                p99_ms: None,
                max_ms: None,
                engine_p99_ms: None,
                bound_ms: 50.0,
                rounds: 1,
            }],
        };
        let traps = TrapReport::of(vec![engine], survey, String::new());
        Records {
            traps: Some(traps),
            ..Records::default()
        }
    }

    /// What the schema that Jenkins and most readers follow asks for: <testsuites> of <testsuite> with a name and counts that agree with
    /// their <testcase>s, each with name and classname, and at most one of failure, error and skipped.
    #[test]
    fn the_xml_has_the_form_that_readers_know_and_its_counts_agree() {
        let xml = render(&records()).unwrap();
        assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
        let report = Report::deserialize_from_str(&xml).unwrap();
        assert_eq!(report.name.as_ref().unwrap().as_str(), "assay");
        let names: Vec<_> = report
            .test_suites
            .iter()
            .map(|suite| suite.name.as_str())
            .collect();
        assert_eq!(names, ["wamr.fast", "wasmi"]);
        let mut sums = [0; 4];
        for suite in &report.test_suites {
            let mut counts = [suite.test_cases.len(), 0, 0, 0];
            for case in &suite.test_cases {
                assert!(!case.name.as_str().is_empty());
                let class = case.classname.as_ref().unwrap().as_str();
                assert!(class.starts_with(suite.name.as_str()), "{class}");
                match &case.status {
                    TestCaseStatus::Success { .. } => {}
                    TestCaseStatus::NonSuccess {
                        kind: NonSuccessKind::Failure,
                        ..
                    } => counts[1] += 1,
                    TestCaseStatus::NonSuccess {
                        kind: NonSuccessKind::Error,
                        ..
                    } => counts[2] += 1,
                    TestCaseStatus::Skipped { message, .. } => {
                        assert!(message.is_some(), "skipped without a reason");
                        counts[3] += 1;
                    }
                }
            }
            let said = [suite.tests, suite.failures, suite.errors, suite.skipped];
            assert_eq!(said, counts, "{}", suite.name.as_str());
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        let said = [report.tests, report.failures, report.errors, report.skipped];
        assert_eq!(said, sums);
        assert_eq!(sums, [6, 1, 1, 2]);
    }

    #[test]
    fn no_character_breaks_the_xml() {
        let xml = render(&records()).unwrap();
        assert!(!xml.contains('\u{1}') && !xml.contains("<none>"), "{xml}");
        assert!(xml.contains("&lt;none&gt; &amp;"));
    }
}
