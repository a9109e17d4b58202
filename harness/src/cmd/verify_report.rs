//! `assay verify-report`: judges the evidence of a qualification again, offline and without engines.

use crate::{
    conform::device::Profile,
    exit::{self, Exit},
    outcome::Whole,
    output::Output,
    records::verify::{self, Problem, Verification},
    results::PackIdentity,
};
use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Judge the evidence of a qualification again, without engines: is every record what the run left, and is the verdict the one that follows?
#[derive(clap::Args)]
#[command(
    after_help = "Finds records that were changed, lost or added. Evidence is not signed: docs/reports.md says what this proves.\n\nExample: assay verify-report assay-results/20261120T120000-qualify-1"
)]
pub struct Arguments {
    /// Results folder of `assay qualify`.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// What was found: the JSON document.
#[derive(Serialize)]
struct Report {
    /// `pass` if the records are whole and the verdict that stands there is the one that follows.
    verdict: Whole,
    /// The verdict that stands there.
    stands: Option<String>,
    /// The verdict that follows from the evidence.
    follows: Option<String>,
    problems: Vec<Problem>,
    pack: Option<PackIdentity>,
    /// Engines that were run, with their versions.
    engines: BTreeMap<String, Option<String>>,
    /// What made the evidence.
    build: Option<Build>,
    /// What judged it again.
    judged_by: Build,
    seed: Option<u64>,
    /// What the engines were asked for.
    profile: Option<Profile>,
    /// Number of files that the run left.
    records: usize,
}

/// A build of the harness.
#[derive(Clone, PartialEq, Serialize)]
struct Build {
    harness: String,
    commit: Option<String>,
    clean_tree: Option<bool>,
}

impl Build {
    fn this() -> Self {
        Self {
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("ASSAY_COMMIT").map(str::to_owned),
            clean_tree: option_env!("ASSAY_CLEAN").map(|clean| clean == "true"),
        }
    }

    fn words(&self) -> String {
        let commit = self.commit.as_ref().map_or_else(
            || ", commit unknown".to_owned(),
            |commit| format!(", commit {commit}"),
        );
        let changed = match self.clean_tree {
            Some(false) => ", its tree changed",
            _ => "",
        };
        format!("assay {}{commit}{changed}", self.harness)
    }
}

/// Runs the command.
///
/// # Errors
/// Usage if the folder is not there or is not one of `qualify`; if it cannot be read.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let folder = &arguments.folder;
    let wrong = |what: &str| {
        exit::usage(format!(
            "`{}` {what}; give the results folder of `assay qualify`",
            folder.display()
        ))
    };
    if !folder.is_dir() {
        return Err(wrong("is no folder"));
    }
    let found = verify::verify(folder)?.ok_or_else(|| {
        wrong("holds no record of a run (run.json), which `assay qualify` writes last")
    })?;
    let report = Report::of(found);
    output.document(&report)?;
    output.text(&report.to_text())?;
    Ok(if report.verdict.passed() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

impl Report {
    fn of(found: Verification) -> Self {
        let run = found.run;
        let build = run.as_ref().map(|run| Build {
            harness: run.fingerprint.harness.clone(),
            commit: run.fingerprint.commit.clone(),
            clean_tree: run.fingerprint.clean_tree,
        });
        let sound = found.problems.is_empty() && found.follows.is_some();
        Self {
            verdict: Whole::of(!sound),
            stands: found.stands.map(|stands| stands.words()),
            follows: found.follows.map(|word| word.to_string()),
            problems: found.problems,
            pack: run.as_ref().map(|run| run.pack.clone()),
            seed: run.as_ref().map(|run| run.seed),
            profile: run.as_ref().map(|run| run.profile),
            records: run.as_ref().map_or(0, |run| run.files.len()),
            engines: run.map(|run| run.engines).unwrap_or_default(),
            build,
            judged_by: Build::this(),
        }
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            let what = problem.what.name();
            text += &format!("{what}: {}: {}\n", problem.record, problem.detail);
        }
        if let Some(pack) = &self.pack {
            text += &format!(
                "pack:    {} {}, manifest sha256:{}\nkey:     {}\n",
                pack.name, pack.version, pack.manifest_sha256, pack.key
            );
        }
        for (id, version) in &self.engines {
            let version = version.as_deref().unwrap_or("did not start");
            text += &format!("engine:  {id} {version}\n");
        }
        if let Some(build) = &self.build {
            text += &format!("build:   {}\n", build.words());
            if *build != self.judged_by {
                text += &format!("judged:  by {}\n", self.judged_by.words());
            }
        }
        if let Some(seed) = self.seed {
            text += &format!("seed:    {seed}\n");
        }
        if let Some(profile) = self.profile.and_then(|profile| profile.to_possible_value()) {
            text += &format!("profile: {}\n", profile.get_name());
        }
        let said = |word: &Option<String>| word.clone().unwrap_or_else(|| "nothing".to_owned());
        text += &format!("stands:  {}\n", said(&self.stands));
        text += &format!("follows: {}\n", said(&self.follows));
        text + &if self.verdict.passed() {
            format!(
                "verified: {} records are what the run left, and the verdict is the one that follows",
                self.records
            )
        } else {
            format!("NOT verified: {} problems", self.problems.len())
        }
    }
}
