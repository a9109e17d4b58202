//! Two results of `conform` or `qualify`: checks that ended otherwise, verdicts that changed, and checks that only one has.

use crate::{conform::judge::Layer, exit, outcome::Outcome, report::records::Records};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

/// What differs.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// `fail` if a check that passed does so no more.
    pub verdict: &'static str,
    /// What keeps the two from being compared in all.
    pub notes: Vec<String>,
    /// Checks that both have.
    pub compared: usize,
    /// Those that ended otherwise.
    pub changed: Vec<Changed>,
    /// Number of checks by engine and kernel that only one of them has.
    pub only_in_one: Vec<OnlyInOne>,
}

/// A check that ended otherwise.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// Which.
    #[serde(flatten)]
    pub check: Check,
    /// How it ended.
    pub old: String,
    /// How it ends.
    pub new: String,
    /// What the newer run says about it.
    pub detail: String,
    /// Whether it passed and does so no more.
    pub worse: bool,
}

/// A check of an engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Check {
    /// Engine id.
    pub runtime: String,
    /// Kernel id with its variant, or the part of a qualification.
    pub of: String,
    /// Case and layer, or the name of the check.
    pub check: String,
}

/// Checks that the other run lacks.
#[derive(Debug, Serialize)]
pub struct OnlyInOne {
    /// `old` or `new`.
    pub run: &'static str,
    /// Engine id.
    pub runtime: String,
    /// As in [`Check`].
    pub of: String,
    /// How many.
    pub checks: usize,
}

/// How a check ended: in a word, and why.
type Ended = (String, String);

struct Side {
    checks: BTreeMap<Check, Ended>,
    seed: u64,
    versions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Line {
    runtime: String,
    kernel: String,
    variant: String,
    case: String,
    layers: BTreeMap<Layer, Judged>,
}

#[derive(Deserialize)]
struct Judged {
    outcome: Outcome,
    #[serde(default)]
    detail: String,
}

/// Compares two results folders.
///
/// # Errors
/// Usage: what cannot be read, and two that have no check in common.
pub fn compare(old: &Path, new: &Path) -> Result<Comparison> {
    let (old, new) = (Side::read(old)?, Side::read(new)?);
    let mut notes = Vec::new();
    let generated = |check: &Check| check.check.starts_with("generated:");
    let other_seed = old.seed != new.seed;
    if other_seed {
        notes.push(format!(
            "the seeds are {} and {}: generated cases are others, and are not compared",
            old.seed, new.seed
        ));
    }
    for (engine, version) in &new.versions {
        if let Some(old) = old.versions.get(engine)
            && old != version
        {
            notes.push(format!("{engine} was version {old} and is {version}"));
        }
    }
    let mut changed = Vec::new();
    let mut compared = 0;
    let mut only: BTreeMap<(&'static str, &str, &str), usize> = BTreeMap::new();
    for (check, (outcome, detail)) in &new.checks {
        if other_seed && generated(check) {
            continue;
        }
        let Some((before, _)) = old.checks.get(check) else {
            *only.entry(("new", &check.runtime, &check.of)).or_default() += 1;
            continue;
        };
        compared += 1;
        if before != outcome {
            let good = |word: &str| matches!(word, "pass" | "qualified" | "ready");
            let bad = |word: &str| matches!(word, "fail" | "error" | "failed" | "not-qualified");
            changed.push(Changed {
                check: check.clone(),
                old: before.clone(),
                new: outcome.clone(),
                detail: detail.clone(),
                worse: good(before) || (bad(outcome) && !bad(before)),
            });
        }
    }
    for check in old.checks.keys() {
        let expected = new.checks.contains_key(check) || (other_seed && generated(check));
        if !expected {
            *only.entry(("old", &check.runtime, &check.of)).or_default() += 1;
        }
    }
    if compared == 0 {
        return Err(exit::usage(
            "the two have no check in common: nothing was compared",
        ));
    }
    Ok(Comparison {
        verdict: if changed.iter().any(|changed| changed.worse) {
            "fail"
        } else {
            "pass"
        },
        notes,
        compared,
        changed,
        only_in_one: only
            .into_iter()
            .map(|((run, runtime, of), checks)| OnlyInOne {
                run,
                runtime: runtime.to_owned(),
                of: of.to_owned(),
                checks,
            })
            .collect(),
    })
}

impl Side {
    fn read(folder: &Path) -> Result<Self> {
        let records = Records::read(folder)?;
        let mut checks = BTreeMap::new();
        let mut check = |runtime: &str, of: &str, check: &str, outcome: String, detail: &str| {
            let check = Check {
                runtime: runtime.to_owned(),
                of: of.to_owned(),
                check: check.to_owned(),
            };
            checks.insert(check, (outcome, detail.to_owned()));
        };
        if let Some(qualify) = &records.qualify {
            for engine in &qualify.engines {
                let reasons = engine.reasons.join("; ");
                check(
                    &engine.id,
                    "qualification",
                    "verdict",
                    engine.verdict.clone(),
                    &reasons,
                );
            }
            for basic in &qualify.basics {
                let outcome = basic.outcome.to_string();
                check(
                    &basic.runtime,
                    "trap basics",
                    &basic.check,
                    outcome,
                    &basic.detail,
                );
            }
        }
        if let Some(traps) = records.trap_matrix() {
            for case in &traps.results {
                let name = format!("{} {}", case.class, case.case);
                let detail = format!("{} {}", case.seen, case.detail);
                check(
                    &case.runtime,
                    "traps",
                    &name,
                    case.outcome.to_string(),
                    detail.trim(),
                );
            }
        }
        let conform = records
            .conformance()
            .with_context(|| format!("failed to find what conformed in `{}`", folder.display()))?;
        let mut versions = BTreeMap::new();
        for engine in &conform.engines {
            let reason = engine.reason.as_deref().unwrap_or_default();
            check(
                &engine.id,
                "engine",
                "status",
                engine.status.clone(),
                reason,
            );
            if let Some(version) = &engine.version {
                versions.insert(engine.id.clone(), version.clone());
            }
        }
        for numerics in &conform.numerics {
            let outcome = if numerics.holds { "pass" } else { "fail" };
            let detail = numerics.because.join("; ");
            check(
                &numerics.runtime,
                "numerics",
                "all instructions",
                outcome.to_owned(),
                &detail,
            );
        }
        let path = folder.join("results.jsonl");
        let wrong = |number: usize, error: &dyn std::fmt::Display| {
            exit::usage(format!(
                "failed to read `{}`: line {number}: {error}; run it again",
                path.display()
            ))
        };
        let file = File::open(&path).map_err(|error| wrong(1, &error))?;
        for (index, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|error| wrong(index + 1, &error))?;
            let line: Line =
                serde_json::from_str(&line).map_err(|error| wrong(index + 1, &error))?;
            let of = format!("{} {}", line.kernel, line.variant);
            for (layer, judged) in &line.layers {
                check(
                    &line.runtime,
                    &of,
                    &format!("{} {layer:?}", line.case),
                    judged.outcome.to_string(),
                    &judged.detail,
                );
            }
        }
        Ok(Self {
            checks,
            seed: conform.seed,
            versions,
        })
    }
}
