//! Judges the evidence of a qualification again, without engines: whether every file is what the run left, whether the files agree with
//! each other, and whether the verdict that stands there is the one that follows.

mod entries;
mod identities;
mod lines;

use super::{
    parse,
    qualification::{self, Qualification},
    run::{self, Run, RunError, Stamp},
};
use crate::{
    basics,
    conform::{
        answers::{self, Answers},
        forms, planted,
        record::{self, Entry},
        report::{self, Conformance},
    },
    engine::Status,
    judge::{Evidence, Word},
    numerics,
    traps::{self, TrapReport, survey},
};
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Where the report stands, which is made from the records and is none itself.
const REPORT: &str = "report";
/// A folder with more files is not one of ours.
const MOST_FILES: usize = 1_000_000;
/// Differences of a document that are named, at most.
const MOST_DIFFERENCES: usize = 5;

/// What was found.
#[derive(Debug)]
pub struct Verification {
    /// The record of the run, where it can be used.
    pub run: Option<Run>,
    /// What stands there, where it can be read.
    pub stands: Option<Qualification>,
    /// The verdict that follows from the evidence, where that can be read.
    pub follows: Option<Word>,
    /// Everything that is wrong; empty if the verdict stands.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Name of the file in the folder.
    pub record: String,
    /// What kind of wrong.
    pub what: What,
    /// In words.
    pub detail: String,
}

/// What can be wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It is not the file that the run left.
    Changed,
    /// The run left it, and it is not there.
    Missing,
    /// It is there, and the run did not leave it.
    Added,
    /// It cannot be read as the record that it must be.
    Unreadable,
    /// It says something else than the records that it follows from.
    Contradicts,
}

impl What {
    /// The kind in a word.
    pub const fn name(self) -> &'static str {
        match self {
            What::Changed => "changed",
            What::Missing => "missing",
            What::Added => "added",
            What::Unreadable => "unreadable",
            What::Contradicts => "contradicts",
        }
    }
}

/// Verifies a results folder of `qualify`; `None` if it is not one: it has no record of a run.
///
/// # Errors
/// If the folder cannot be read.
pub fn verify(folder: &Path) -> Result<Option<Verification>> {
    let mut found = Verification {
        run: None,
        stands: None,
        follows: None,
        problems: Vec::new(),
    };
    match Run::read(folder) {
        Ok(run) => found.run = Some(run),
        Err(RunError::Missing(_)) => return Ok(None),
        Err(error) => found.add(run::FILE, What::Changed, format!("failed to {error}")),
    }
    if let Some(run) = &found.run {
        let problems = files(folder, &run.files)?;
        found.problems.extend(problems);
    }
    found.judge_again(folder);
    Ok(Some(found))
}

/// What differs between the files in a folder and those that a run left.
fn files(folder: &Path, left: &BTreeMap<String, Stamp>) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let mut add = |record: &str, what, detail: &str| {
        problems.push(Problem {
            record: record.to_owned(),
            what,
            detail: detail.to_owned(),
        });
    };
    let there = names(folder)?;
    for (name, is_file) in &there {
        match (left.get(name), is_file) {
            (None, _) => add(name, What::Added, "the run did not leave it"),
            (Some(_), false) => add(name, What::Changed, "it is no plain file any more"),
            (Some(stamp), true) => {
                let path = folder.join(name);
                let now = Stamp::of(&path)
                    .with_context(|| format!("failed to read `{}`", path.display()))?;
                if now.bytes != stamp.bytes {
                    let (now, then) = (now.bytes, stamp.bytes);
                    add(
                        name,
                        What::Changed,
                        &format!("it has {now} bytes and had {then}"),
                    );
                } else if now != *stamp {
                    add(name, What::Changed, "its digest is another");
                }
            }
        }
    }
    for name in left.keys().filter(|name| !there.contains_key(*name)) {
        add(name, What::Missing, "the run left it");
    }
    Ok(problems)
}

/// Names of all files in a folder and below it, with `/` between folders, and whether each is a plain file. Links are not followed. The
/// record of the run and the report are left out.
fn names(folder: &Path) -> Result<BTreeMap<String, bool>> {
    let mut names = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(inner) = folders.pop() {
        let path = folder.join(&inner);
        let context = || format!("failed to read the folder `{}`", path.display());
        for entry in fs::read_dir(&path).with_context(context)? {
            let entry = entry.with_context(context)?;
            let name = format!("{inner}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().with_context(context)?;
            let left_out = inner.is_empty()
                && (name == run::FILE && kind.is_file() || name == REPORT && kind.is_dir());
            if left_out {
                continue;
            }
            if kind.is_dir() {
                folders.push(format!("{name}/"));
            } else {
                names.insert(name, kind.is_file());
            }
            anyhow::ensure!(
                names.len() + folders.len() <= MOST_FILES,
                "`{}` has more files than any run leaves",
                folder.display()
            );
        }
    }
    Ok(names)
}

impl Verification {
    fn add(&mut self, record: &str, what: What, detail: impl Into<String>) {
        self.problems.push(Problem {
            record: record.to_owned(),
            what,
            detail: detail.into(),
        });
    }

    /// Takes what could be read, or the reason why not.
    fn take<T>(&mut self, record: &str, read: Result<T, impl Into<anyhow::Error>>) -> Option<T> {
        read.map_err(|error| self.add(record, What::Unreadable, format!("{:#}", error.into())))
            .ok()
    }

    /// Says that two documents differ, if they do, and where.
    fn same(
        &mut self,
        record: &str,
        from: &str,
        stands: &impl Serialize,
        follows: &impl Serialize,
    ) {
        let (Ok(stands), Ok(follows)) =
            (serde_json::to_value(stands), serde_json::to_value(follows))
        else {
            return self.add(record, What::Unreadable, "it cannot be encoded again");
        };
        let mut differences = Vec::new();
        differ("", &stands, &follows, &mut differences);
        for (at, stands, follows) in differences.into_iter().take(MOST_DIFFERENCES) {
            self.add(
                record,
                What::Contradicts,
                format!("{at} is {stands}, and {follows} follows from {from}"),
            );
        }
    }

    /// Reads the records from the bottom up, and compares each with what follows from those below it.
    fn judge_again(&mut self, folder: &Path) {
        // What is listed as a line of its own is read line by line: a pipe in its place would be waited for.
        for record in [record::LINES, answers::FILE, traps::LINES] {
            let plain = fs::metadata(folder.join(record)).map(|metadata| metadata.is_file());
            if !plain.unwrap_or_default() {
                return self.add(record, What::Unreadable, "it is no plain file");
            }
        }
        let read = parse(&folder.join(qualification::FILE));
        let Some(stands) = self.take::<Qualification>(qualification::FILE, read) else {
            return;
        };
        let conform = self.take(report::FILE, parse(&folder.join(report::FILE)));
        let basics = self.take::<Vec<_>>(basics::FILE, parse(&folder.join(basics::FILE)));
        let planted = self.take::<Vec<_>>(planted::FILE, parse(&folder.join(planted::FILE)));
        let traps = self.take::<TrapReport>(survey::FILE, parse(&folder.join(survey::FILE)));
        let found = self.take::<Vec<_>>(numerics::FILE, parse(&folder.join(numerics::FILE)));
        let answered = self.take(answers::FILE, Answers::read(folder));
        let of_answers = answered.as_ref().map(|(run, _)| run);
        self.identities(&stands, of_answers);
        let of_run = of_answers.map(|run| run.pack.clone());
        let answers = answered.map(|(_, answers)| answers).unwrap_or_default();
        if let (Some(conform), Some(basics), Some(planted), Some(traps), Some(found)) =
            (conform, basics, planted, traps, found)
        {
            let of_lines = self.conformance(folder, &stands, &conform, (&found, answers));
            self.traps(&conform, &traps);
            self.trap_entries(folder, &traps);
            self.strangers(&conform.runtimes(), &basics, &planted, &found, &traps);
            self.coverage(&conform);
            let evidence = Evidence {
                pack: of_run.unwrap_or_else(|| stands.pack.clone()),
                kernels: stands.kernels.clone(),
                fits: stands.fits.clone(),
                conform: of_lines.unwrap_or(conform),
                basics,
                planted,
                traps: traps.survey,
                interruptions: stands.interruptions,
                unfinished: stands.unfinished.clone(),
            };
            let mut follows = Qualification::of(
                evidence,
                stands.profile,
                stands.architecture.clone(),
                stands.emulated.clone(),
            );
            if stands.words.is_none() {
                follows.words = None;
            }
            self.same(qualification::FILE, "the evidence", &stands, &follows);
            self.follows = Some(follows.verdict);
        }
        self.stands = Some(stands);
    }

    /// What follows from the judged cases and the numeric instructions, compared with the document of conformance.
    fn conformance(
        &mut self,
        folder: &Path,
        asked: &Qualification,
        stands: &Conformance,
        (found, answers): (&[numerics::Finding], Answers),
    ) -> Option<Conformance> {
        let (sums, contradictions) = self.take(
            record::LINES,
            lines::sums(folder, stands, asked.profile, answers),
        )?;
        for (record, detail) in contradictions {
            self.add(record, What::Contradicts, detail);
        }
        let mut counts = sums.counts;
        let entries: Vec<Entry> = sums.into_entries().collect();
        let modules: BTreeSet<(&str, &str)> = entries
            .iter()
            .map(|entry| (entry.kernel.as_str(), entry.variant.as_str()))
            .collect();
        let kernels: BTreeSet<&str> = modules.iter().map(|(kernel, _)| *kernel).collect();
        let said: BTreeSet<&str> = asked.kernels.iter().map(String::as_str).collect();
        self.same(qualification::FILE, record::LINES, &said, &kernels);
        let absent = stands.engines.iter();
        let absent = absent.filter(|engine| engine.status == Status::Absent);
        // A form belongs to its module's engine, and is missed on no other.
        let due = modules.iter().filter(|(_, name)| !forms::is_form(name));
        counts.absent = (absent.count() * due.count()) as u64;

        let standing: Vec<&Entry> = stands
            .results
            .iter()
            .filter(|entry| entry.case.is_none())
            .collect();
        let entries: Vec<Entry> = entries
            .into_iter()
            .enumerate()
            .map(|(index, mut entry)| {
                // JSON has no infinity: what is recorded as null may be one, of which no line tells either.
                if standing.get(index).is_some_and(|one| one.max_ulp.is_none()) {
                    entry.max_ulp = None;
                }
                entry
            })
            .collect();
        self.same(report::FILE, record::LINES, &standing, &entries);
        self.same(report::FILE, record::LINES, &stands.counts, &counts);

        let operations = match numerics::Plan::new() {
            Ok(plan) => plan.operations(),
            Err(error) => {
                self.add(numerics::FILE, What::Unreadable, format!("{error:#}"));
                return None;
            }
        };
        let mut follows = Conformance {
            counts,
            ..stands.clone()
        };
        follows.results.retain(|entry| entry.case.is_some());
        follows.results.splice(0..0, entries);
        follows.numerics = stands
            .runtimes()
            .iter()
            .map(|id| {
                let own = found.iter().filter(|finding| finding.runtime == *id);
                let own: Vec<numerics::Finding> = own.cloned().collect();
                numerics::Summary::of(operations, id, &own)
            })
            .collect();
        follows.verdict = follows.follows();
        let numerics = (&stands.numerics, &follows.numerics);
        self.same(report::FILE, numerics::FILE, numerics.0, numerics.1);
        self.same(
            report::FILE,
            "its counts and reasons",
            &stands.verdict,
            &follows.verdict,
        );
        Some(follows)
    }

    /// Whether what is said of the code that ran adds up.
    fn coverage(&mut self, conform: &Conformance) {
        for module in conform.coverage.iter().filter(|module| !module.adds_up()) {
            let (kernel, variant) = (&module.kernel, &module.variant);
            let detail = format!(
                "the code of {kernel} ({variant}) that ran, and that did not, is not all of it"
            );
            self.add(report::FILE, What::Contradicts, detail);
        }
    }

    /// Whether the document of traps is about the same engines, and its own sums follow.
    fn traps(&mut self, conform: &Conformance, stands: &TrapReport) {
        self.same(
            survey::FILE,
            report::FILE,
            &stands.engines,
            &conform.engines,
        );
        let follows = TrapReport::of(
            stands.engines.clone(),
            stands.survey.clone(),
            stands.evidence.clone(),
        );
        self.same(survey::FILE, "its entries", stands, &follows);
    }
}

/// Adds where two documents differ: the place, and what is there.
fn differ(at: &str, a: &Value, b: &Value, differences: &mut Vec<(String, String, String)>) {
    if differences.len() >= MOST_DIFFERENCES {
        return;
    }
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key), b.get(key));
                let at = format!("{at}.{key}");
                differ(
                    &at,
                    a.unwrap_or(&Value::Null),
                    b.unwrap_or(&Value::Null),
                    differences,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{at}[{index}]"), a, b, differences);
            }
        }
        (a, b) if a == b => {}
        (a, b) => {
            let at = at.trim_start_matches('.');
            let at = if at.is_empty() { "it" } else { at };
            differences.push((at.to_owned(), brief(a), brief(b)));
        }
    }
}

/// A value in a few words.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object".to_owned(),
        other => {
            let text = other.to_string();
            match text.char_indices().nth(80) {
                Some((end, _)) => format!("{}...", &text[..end]),
                None => text,
            }
        }
    }
}
