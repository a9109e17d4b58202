//! Two results of `conform` or `qualify`: checks that ended otherwise, verdicts that changed, and checks that only one has.

use super::CompareError;
use crate::{
    conform::record::{LINES, Line},
    engine::Status,
    judge::EngineWord,
    outcome::{Outcome, Whole},
    records::Records,
};
use kernel_cases::{generate, near};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

/// What follows from a run's own seed is called so.
const OWN: [&str; 6] = [
    "drawn:",
    near::PREFIX,
    generate::SPREAD,
    generate::TOGETHER,
    generate::LARGE,
    generate::CORNER,
];
/// What follows from the code of a module is called so: with another one there are others.
const OF_MODULE: [&str; 2] = ["long:", "search:"];

/// What differs.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// `fail` if a check that passed does so no more, or is not asked any more.
    pub verdict: Whole,
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

impl Check {
    /// What it is about, and where.
    fn of(&self) -> (&str, &str) {
        (&self.runtime, &self.of)
    }
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
    /// How many of them passed, where the newer run judged the same on the same engine and asked less of it; not of those that follow from a module.
    pub vanished: usize,
}

/// How a check ended: in a word, and why.
struct Ended {
    word: String,
    good: bool,
    bad: bool,
    detail: String,
}

impl Ended {
    fn outcome(outcome: Outcome, detail: &str) -> Self {
        Self {
            word: outcome.to_string(),
            good: outcome == Outcome::Pass,
            bad: outcome.is_bad(),
            detail: detail.to_owned(),
        }
    }

    fn verdict(verdict: EngineWord, detail: &str) -> Self {
        Self {
            word: verdict.to_string(),
            good: verdict == EngineWord::Qualified,
            bad: verdict == EngineWord::NotQualified,
            detail: detail.to_owned(),
        }
    }

    fn status(status: Status, detail: &str) -> Self {
        Self {
            word: status.to_string(),
            good: status == Status::Ready,
            bad: status == Status::Failed,
            detail: detail.to_owned(),
        }
    }
}

struct Side {
    checks: BTreeMap<Check, Ended>,
    seed: u64,
    own_seed: Option<u64>,
    versions: BTreeMap<String, String>,
}

/// Compares two results folders.
///
/// # Errors
/// [`CompareError`]: what cannot be read, and two that have no check in common.
pub fn compare(old: &Path, new: &Path) -> Result<Comparison, CompareError> {
    let (old, new) = (Side::read(old)?, Side::read(new)?);
    let mut notes = Vec::new();
    let other_seed = old.seed != new.seed;
    let other_own_seed = old.own_seed != new.own_seed;
    // What follows from a seed that differs is something else under the same name.
    let other = |check: &Check| {
        other_seed && check.check.starts_with("generated:")
            || other_own_seed && OWN.iter().any(|own| check.check.starts_with(own))
    };
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
    let mut only: BTreeMap<(&'static str, &str, &str), (usize, usize)> = BTreeMap::new();
    let judged: BTreeSet<(&str, &str)> = new.checks.keys().map(Check::of).collect();
    for (check, now) in &new.checks {
        if other(check) {
            continue;
        }
        let Some(before) = old.checks.get(check) else {
            only.entry(("new", &check.runtime, &check.of))
                .or_default()
                .0 += 1;
            continue;
        };
        compared += 1;
        if before.word != now.word {
            changed.push(Changed {
                check: check.clone(),
                old: before.word.clone(),
                new: now.word.clone(),
                detail: now.detail.clone(),
                worse: before.good || (now.bad && !before.bad),
            });
        }
    }
    for (check, before) in &old.checks {
        let expected = new.checks.contains_key(check) || other(check);
        if !expected {
            let (checks, vanished) = only.entry(("old", &check.runtime, &check.of)).or_default();
            *checks += 1;
            let of_module = OF_MODULE.iter().any(|name| check.check.starts_with(name));
            *vanished += usize::from(before.good && !of_module && judged.contains(&check.of()));
        }
    }
    if compared == 0 {
        return Err(CompareError::NothingInCommon);
    }
    Ok(Comparison {
        verdict: Whole::of(
            changed.iter().any(|changed| changed.worse)
                || only.values().any(|(_, vanished)| *vanished > 0),
        ),
        notes,
        compared,
        changed,
        only_in_one: only
            .into_iter()
            .map(|((run, runtime, of), (checks, vanished))| OnlyInOne {
                run,
                runtime: runtime.to_owned(),
                of: of.to_owned(),
                checks,
                vanished,
            })
            .collect(),
    })
}

impl Side {
    fn read(folder: &Path) -> Result<Self, CompareError> {
        let records = Records::read(folder)?;
        let mut checks = BTreeMap::new();
        let mut check = |runtime: &str, of: &str, check: &str, ended: Ended| {
            let check = Check {
                runtime: runtime.to_owned(),
                of: of.to_owned(),
                check: check.to_owned(),
            };
            checks.insert(check, ended);
        };
        if let Some(qualify) = &records.qualify {
            for engine in &qualify.engines {
                let reasons = engine.reasons.join("; ");
                check(
                    &engine.id,
                    "qualification",
                    "verdict",
                    Ended::verdict(engine.verdict, &reasons),
                );
            }
            for basic in &qualify.basics {
                let ended = Ended::outcome(basic.outcome, &basic.detail);
                check(&basic.runtime, "trap basics", &basic.check, ended);
            }
            for planted in &qualify.planted {
                // Which kernel it was, and at which call, is drawn anew in each run.
                let ended = Ended::outcome(planted.outcome, "");
                check(&planted.runtime, "planted", &planted.check, ended);
            }
        }
        if let Some(traps) = &records.traps {
            for case in &traps.survey.results {
                let name = format!("{} {}", case.class, case.case);
                let detail = format!("{} {}", case.seen, case.detail);
                let ended = Ended::outcome(case.outcome, detail.trim());
                check(&case.runtime, "traps", &name, ended);
            }
        }
        let conform = records
            .conformance()
            .ok_or_else(|| CompareError::NoConformance {
                folder: folder.to_owned(),
            })?;
        let mut versions = BTreeMap::new();
        for engine in &conform.engines {
            let reason = engine.reason.as_deref().unwrap_or_default();
            let ended = Ended::status(engine.status, reason);
            check(&engine.id, "engine", "status", ended);
            if let Some(version) = &engine.version {
                versions.insert(engine.id.clone(), version.clone());
            }
        }
        for numerics in &conform.numerics {
            let outcome = match numerics.holds {
                true => Outcome::Pass,
                false => Outcome::Fail,
            };
            let ended = Ended::outcome(outcome, &numerics.because.join("; "));
            check(&numerics.runtime, "numerics", "all instructions", ended);
        }
        let path = folder.join(LINES);
        let wrong = |line, error: &dyn std::fmt::Display| CompareError::Line {
            path: path.clone(),
            line,
            message: error.to_string(),
        };
        let file = File::open(&path).map_err(|error| wrong(1, &error))?;
        for (index, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|error| wrong(index + 1, &error))?;
            let line: Line<'_> =
                serde_json::from_str(&line).map_err(|error| wrong(index + 1, &error))?;
            let of = format!("{} {}", line.kernel, line.variant);
            for (layer, judged) in line.layers.iter() {
                check(
                    &line.runtime,
                    &of,
                    &format!("{} {layer:?}", line.case),
                    Ended::outcome(judged.outcome, &judged.detail),
                );
            }
        }
        Ok(Self {
            checks,
            seed: conform.seed,
            own_seed: conform.own_seed,
            versions,
        })
    }
}
