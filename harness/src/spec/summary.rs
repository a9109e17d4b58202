//! Sums findings up, and holds them against the ledger of expectations.

use super::{Finding, Ran};
use crate::{expectations::Ledger, outcome::Outcome};
use runtime_api::Info;
use serde::Serialize;
use std::collections::BTreeMap;

/// The scripts on one engine, summed up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// As asked for.
    pub id: String,
    /// What the worker says it is.
    pub identity: Option<String>,
    /// The engine's version.
    pub version: Option<String>,
    /// Number of checks: all others add up to it.
    pub in_scope: u64,
    /// Number of checks that hold.
    pub pass: u64,
    /// Number of checks that do not hold.
    pub fail: u64,
    /// Number of checks that fail as the ledger says.
    pub known_failure: u64,
    /// Number of checks that need what the engine does not have.
    pub unsupported: u64,
    /// Number of checks that the harness could not judge.
    pub error: u64,
    /// `pass` of the checks that are not unsupported; `None` where there are none.
    pub share: Option<f64>,
    /// Why checks are unsupported, with their number.
    pub unsupported_because: BTreeMap<String, u64>,
    /// Wall-clock time.
    pub seconds: f64,
}

impl Summary {
    /// Sums up what was found on an engine.
    pub fn of(id: &str, ran: &Ran, seconds: f64) -> Summary {
        let count = |outcome| {
            ran.findings
                .iter()
                .filter(|finding| finding.outcome == outcome)
                .count() as u64
        };
        let mut unsupported_because = BTreeMap::new();
        for finding in &ran.findings {
            if finding.outcome == Outcome::Unsupported {
                *unsupported_because
                    .entry(finding.detail.clone())
                    .or_default() += 1;
            }
        }
        let (pass, unsupported) = (count(Outcome::Pass), count(Outcome::Unsupported));
        let in_scope = ran.findings.len() as u64;
        let run = in_scope - unsupported;
        Summary {
            id: id.to_owned(),
            identity: ran.info.as_ref().map(|info| info.id.clone()),
            version: ran.info.as_ref().map(|info| info.version.clone()),
            in_scope,
            pass,
            fail: count(Outcome::Fail),
            known_failure: count(Outcome::KnownFailure),
            unsupported,
            error: count(Outcome::Error),
            share: (run > 0).then(|| pass as f64 / run as f64),
            unsupported_because,
            seconds,
        }
    }

    /// Whether every check holds, or fails as the ledger says; an engine that ran none has shown nothing.
    pub fn holds(&self) -> bool {
        self.fail + self.error == 0 && self.pass > 0
    }
}

/// Turns failures that the ledger lists into known ones, and says what of the ledger does not hold: what it lists as failing
/// passes, and, in a `full` run, what it lists is not there.
pub fn judge_expectations(
    ledger: &Ledger,
    info: &Info,
    findings: &mut [Finding],
    full: bool,
) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut wrong = |what: String| {
        reasons.push(format!("{}: {what}", info.id));
    };
    for expectation in ledger.spec() {
        if !expectation.is_about(&info.id) {
            continue;
        }
        if !expectation.is_for(&info.version) {
            if full {
                wrong(format!(
                    "the expectation for {} is for version {}, the engine's is {}: renew or remove it",
                    expectation.what,
                    expectation.version.as_deref().unwrap_or_default(),
                    info.version
                ));
            }
            continue;
        }
        for lines in &expectation.what.lines {
            let mut here: Vec<&mut Finding> = findings
                .iter_mut()
                .filter(|finding| {
                    finding.file == expectation.what.file && lines.contains(&finding.line)
                })
                .filter(|finding| finding.outcome != Outcome::Unsupported)
                .collect();
            if here.is_empty() && full {
                wrong(format!(
                    "the expectation for {} lists line {}, where no check ran: remove it",
                    expectation.what.file,
                    lines.start()
                ));
            }
            // Checks of one line are one: scripts seldom have two.
            here.sort_by_key(|finding| finding.line);
            for line in here.chunk_by_mut(|a, b| a.line == b.line) {
                let mut failed = false;
                for finding in line.iter_mut() {
                    if finding.outcome == Outcome::Fail {
                        failed = true;
                        finding.outcome = Outcome::KnownFailure;
                        finding.detail = format!("{} ({})", finding.detail, expectation.reason);
                    }
                }
                if let Some(finding) = line.first()
                    && !failed
                    && !expectation.may_pass
                    && line.iter().all(|finding| finding.outcome == Outcome::Pass)
                {
                    wrong(format!(
                        "{}:{} passes, and is expected to fail ({}): remove the expectation",
                        finding.file, finding.line, expectation.reason
                    ));
                }
            }
        }
    }
    reasons
}
