//! What engines answered, small enough to be kept of every case: a status with the digest of its output, or how the call was
//! stopped. Two runs of the same cases on different targets are compared by it, bit for bit (`assay compare --outputs`).
//!
//! `outputs.jsonl`: a line for the run, then one per case, in the order of their names, whatever order they ran in.

use super::{observe::Ended, run::Judged, run::Work};
use crate::{
    exit, machine,
    results::{Folder, PackIdentity},
};
use anyhow::{Context, Result};
use kernel_cases::{case::Source, truth};
use runtime_api::Error;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::Path,
};

/// Name of the file in a results folder.
pub const FILE: &str = "outputs.jsonl";
/// Version of its lines.
pub const FORMAT: u32 = 1;
/// A line longer than this is no record.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// What an engine made of a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It returned this status.
    Returned {
        /// The status.
        status: i32,
        /// SHA-256 of the output with every NaN in one encoding, in hexadecimal; only status 0 has an output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// The engine stopped it: the stage and the kind of trap, without the engine's own words.
    Stopped(String),
    /// The engine cannot run it.
    Unsupported,
    /// The worker was lost: nobody knows.
    Lost,
}

impl Answer {
    /// Of a call of this case that ended so, where `native` is the native build's output.
    fn of(case: &kernel_cases::case::Case, native: &[u8], ended: &Ended) -> Self {
        match ended {
            Ended::Status { status, output } => Answer::Returned {
                status: *status,
                sha256: (*status == 0).then(|| {
                    let output = output.as_deref().unwrap_or(native);
                    hex::encode(Sha256::digest(truth::canonical(case, output)))
                }),
            },
            Ended::Stopped(Error::Unsupported { .. }) | Ended::NotAsked(_) => Answer::Unsupported,
            Ended::Stopped(error) => Answer::Stopped(stopped(error)),
            Ended::Lost(_) => Answer::Lost,
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Answer::Returned {
                status,
                sha256: Some(digest),
            } => format!(
                "status {status}, output {}",
                digest.get(..12).unwrap_or(digest)
            ),
            Answer::Returned { status, .. } => format!("status {}", kernel_abi::Status(*status)),
            Answer::Stopped(how) => how.clone(),
            Answer::Unsupported => "unsupported".to_owned(),
            Answer::Lost => "the worker was lost".to_owned(),
        }
    }
}

/// How an engine stopped a call, without its own words, which differ between engines and versions.
pub fn stopped(error: &Error) -> String {
    match error {
        Error::Trap { stage, trap } => format!("{} at {}", trap.name(), stage_name(*stage)),
        Error::Rejected { stage, .. } => format!("rejected at {}", stage_name(*stage)),
        Error::Export { name, .. } => format!("no export {name}"),
        Error::Access { .. } => "no such memory".to_owned(),
        _ => "the adapter failed".to_owned(),
    }
}

fn stage_name(stage: runtime_api::Stage) -> String {
    format!("{stage:?}").to_lowercase()
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Version of the lines.
    pub format: u32,
    /// What this build of the harness is for.
    pub target: String,
    /// How it shows that another machine was emulated, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emulated: Option<String>,
    /// Version of the harness.
    pub harness: String,
    /// The pack.
    pub pack: PackIdentity,
    /// Seed of the generated cases.
    pub seed: u64,
    /// Generated cases per kernel.
    pub cases: u32,
    /// SHA-256 over the names and inputs of all cases.
    pub cases_sha256: String,
    /// Engines that ran, with their versions.
    pub engines: BTreeMap<String, String>,
}

/// Which case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CaseId {
    /// Kernel id.
    pub kernel: String,
    /// `base` or the variant's features.
    pub variant: String,
    /// Name of the case.
    pub case: String,
}

/// Engines that gave the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    answer: Answer,
    runtimes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    id: CaseId,
    answers: Vec<Group>,
}

/// Answers by case, then by engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers(pub BTreeMap<CaseId, BTreeMap<String, Answer>>);

impl Answers {
    /// Keeps what an engine answered; what concerns a module as a whole is no answer, nor is what no other run asks.
    pub fn push(&mut self, runtime: &str, judged: &Judged<'_>) {
        if judged.source == Source::Drawn {
            return;
        }
        if let (Some(prepared), Some(observed)) = (judged.case, judged.observed) {
            let id = CaseId {
                kernel: judged.subject.kernel.clone(),
                variant: judged.subject.variant.clone(),
                case: judged.name.clone(),
            };
            let answer = Answer::of(&prepared.case, prepared.native_output(), &observed.ended);
            let of_case = self.0.entry(id).or_default();
            of_case.insert(runtime.to_owned(), answer);
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Folder, run: &Run) -> Result<()> {
        let mut bytes = Vec::new();
        let mut line = |value: serde_json::Result<Vec<u8>>| -> Result<()> {
            bytes.extend(value.context("failed to encode what engines answered")?);
            bytes.push(b'\n');
            Ok(())
        };
        line(serde_json::to_vec(run))?;
        for (id, answers) in &self.0 {
            let mut groups: BTreeMap<&Answer, Vec<String>> = BTreeMap::new();
            for (runtime, answer) in answers {
                groups.entry(answer).or_default().push(runtime.clone());
            }
            let answers = groups
                .into_iter()
                .map(|(answer, runtimes)| Group {
                    answer: answer.clone(),
                    runtimes,
                })
                .collect();
            line(serde_json::to_vec(&Line {
                id: id.clone(),
                answers,
            }))?;
        }
        folder.file(FILE, &bytes)
    }

    /// Reads the file of a results folder.
    ///
    /// # Errors
    /// Usage, with the line: what cannot be read or is no record of this format.
    pub fn read(folder: &Path) -> Result<(Run, Answers)> {
        let path = folder.join(FILE);
        let wrong = |what: String| {
            exit::usage(format!(
                "failed to read the answers `{}`: {what}",
                path.display()
            ))
        };
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(wrong("it is no plain file".to_owned()));
        }
        let file = File::open(&path).map_err(|error| {
            wrong(format!(
                "{error}; name results folders of `assay conform` or `qualify`"
            ))
        })?;
        let mut reader = BufReader::new(file);
        let mut next = |number: usize| -> Result<Option<Vec<u8>>> {
            let mut line = Vec::new();
            let read = (&mut reader)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)
                .map_err(|error| wrong(format!("line {number}: {error}")))?;
            match line.last() {
                None => Ok(None),
                Some(b'\n') if read > 0 => Ok(Some(line)),
                Some(_) => Err(wrong(format!("line {number} does not end; run it again"))),
            }
        };
        let damaged = |number: usize, error: serde_json::Error| {
            wrong(format!("line {number}: {error}; run it again"))
        };
        let first = next(1)?.ok_or_else(|| wrong("it is empty".to_owned()))?;
        let run: Run = serde_json::from_slice(&first).map_err(|error| damaged(1, error))?;
        if run.format != FORMAT {
            return Err(wrong(format!(
                "it has format {}, and this version reads format {FORMAT}",
                run.format
            )));
        }
        let mut answers = Answers::default();
        let mut number = 2;
        while let Some(line) = next(number)? {
            let line: Line =
                serde_json::from_slice(&line).map_err(|error| damaged(number, error))?;
            let of_case = answers.0.entry(line.id).or_default();
            for group in line.answers {
                for runtime in group.runtimes {
                    if !run.engines.contains_key(&runtime) {
                        return Err(wrong(format!(
                            "line {number}: the run had no engine `{runtime}`"
                        )));
                    }
                    if of_case.insert(runtime, group.answer.clone()).is_some() {
                        return Err(wrong(format!("line {number}: an engine answered twice")));
                    }
                }
            }
            number += 1;
        }
        Ok((run, answers))
    }
}

impl Run {
    /// Of a run on this machine; `engines` are those that were ready.
    pub fn new(
        pack: PackIdentity,
        (seed, cases): (u64, u32),
        cases_sha256: String,
        engines: BTreeMap<String, String>,
    ) -> Self {
        Self {
            format: FORMAT,
            target: env!("ASSAY_TARGET").to_owned(),
            emulated: machine::emulated(),
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            pack,
            seed,
            cases,
            cases_sha256,
            engines,
        }
    }
}

/// A digest of the names and inputs of all cases but those of the run's own seed: equal means that two runs asked the same.
pub fn digest(work: &[Work]) -> String {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for work in work {
        let placed = work.cases.iter().map(|prepared| &prepared.case);
        let all = placed.chain(work.unplaceable.iter().map(|(case, _)| case));
        for case in all.filter(|case| case.source != Source::Drawn) {
            for text in [&work.subject.kernel, &work.subject.variant, &case.name] {
                part(text.as_bytes());
            }
            for bytes in [&case.params, &case.a, &case.b] {
                part(bytes);
            }
            part(case.base.as_deref().unwrap_or_default());
            let shape = (
                case.entry,
                case.output_size,
                case.scratch_size,
                &case.tweaks,
            );
            part(format!("{shape:?}").as_bytes());
        }
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let run = Run::new(
            PackIdentity {
                name: "n".to_owned(),
                version: "1.0.0".to_owned(),
                key: "k".to_owned(),
                kernels: 1,
                manifest_sha256: "00".to_owned(),
            },
            (1, 2),
            "11".to_owned(),
            BTreeMap::from([
                ("a".to_owned(), "1".to_owned()),
                ("b".to_owned(), "2".to_owned()),
            ]),
        );
        let id = |case: &str| CaseId {
            kernel: "k".to_owned(),
            variant: "base".to_owned(),
            case: case.to_owned(),
        };
        let returned = Answer::Returned {
            status: 0,
            sha256: Some("ab".repeat(32)),
        };
        let by = |a: &Answer, b: &Answer| {
            BTreeMap::from([("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())])
        };
        let answers = Answers(BTreeMap::from([
            (id("one"), by(&returned, &returned)),
            (
                id("two"),
                by(&Answer::Stopped("x at call".to_owned()), &Answer::Lost),
            ),
        ]));
        let place = crate::scratch();
        let folder = Folder::create(Some(place.path()), "test").unwrap();
        answers.write(&folder, &run).unwrap();
        assert_eq!(Answers::read(place.path()).unwrap(), (run, answers));

        let path = place.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        for damaged in [
            "",
            "{}\n",
            &text[..text.len() - 1],
            &text.replace("\"b\"]", "\"c\"]"),
        ] {
            std::fs::write(&path, damaged).unwrap();
            assert!(Answers::read(place.path()).is_err(), "{damaged}");
        }
    }
}
