//! What is read from results folders: the documents of `qualify`, `conform` and `traps`, and the samples of `bench`. Keys that a report does not use are ignored,
//! so that records of later versions can be read.

use crate::{
    bench::{record, tables::Tables},
    conform::{
        forms::{self, NativeCode},
        record::Entry,
    },
    exit,
    outcome::Outcome,
    results::PackIdentity,
};
use anyhow::{Context, Result};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A document larger than this is not one of ours.
const LARGEST_DOCUMENT: u64 = 1 << 30;

/// The records of a folder and of the folders in it.
#[derive(Debug, Default)]
pub struct Records {
    /// `qualify.json`.
    pub qualify: Option<Qualify>,
    /// `conform.json`, where there is no `qualify.json`.
    pub conform: Option<Conform>,
    /// `traps.json`, or the part of `qualify.json`.
    pub traps: Option<Traps>,
    /// What follows from `bench.jsonl`.
    pub bench: Option<Tables>,
}

/// A verdict.
#[derive(Debug, Deserialize)]
pub struct Qualify {
    /// `qualified` or `not-qualified`.
    pub verdict: String,
    /// What for.
    pub profile: String,
    /// Which pack.
    pub pack: PackIdentity,
    /// The kernels that were judged.
    pub kernels: Vec<String>,
    /// Verdict per engine.
    pub engines: Vec<EngineVerdict>,
    /// The basics.
    pub basics: Vec<Check>,
    /// Architecture that the engines were built for, where it was recorded.
    #[serde(default)]
    pub architecture: Option<String>,
    /// How it shows that this is not the machine's own.
    #[serde(default)]
    pub emulated: Option<String>,
    /// Layers of all kernels.
    pub conform: Conform,
    /// The trap matrix, where it was part of the run.
    pub traps: Option<Traps>,
}

/// The verdict on an engine.
#[derive(Debug, Deserialize)]
pub struct EngineVerdict {
    /// Engine id.
    pub id: String,
    /// `qualified`, `not-qualified`, `unsupported` or `absent`.
    pub verdict: String,
    /// Why.
    pub reasons: Vec<String>,
    /// What is known to fail, and does not forbid that it qualifies.
    #[serde(default)]
    pub limitations: Vec<String>,
}

/// A check of an engine.
#[derive(Debug, Deserialize)]
pub struct Check {
    /// Engine id.
    pub runtime: String,
    /// Name of the check.
    pub check: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What happened.
    pub detail: String,
}

/// Results of conformance.
#[derive(Debug, Deserialize)]
pub struct Conform {
    /// `pass` or `fail`.
    pub verdict: String,
    /// Seed of the generated cases.
    pub seed: u64,
    /// Engines.
    pub engines: Vec<Engine>,
    /// Sums, then failing cases.
    pub results: Vec<Entry>,
    /// Numeric instructions.
    #[serde(default)]
    pub numerics: Vec<Numerics>,
}

/// An engine of a run.
#[derive(Debug, Deserialize)]
pub struct Engine {
    /// Engine id.
    pub id: String,
    /// `ready`, `absent` or `failed`.
    pub status: String,
    /// Version, where it is ready.
    pub version: Option<String>,
    /// Why it is absent or failed.
    pub reason: Option<String>,
    /// Native code that it ran and that is not known to be what it makes of the modules.
    #[serde(default)]
    pub native_code_not_compared: Vec<NativeCode>,
}

/// The numeric instructions of an engine.
#[derive(Debug, Deserialize)]
pub struct Numerics {
    /// Engine id.
    pub runtime: String,
    /// Number of instructions.
    pub operations: u64,
    /// How many hold.
    pub held: u64,
    /// How many the engine does not have.
    pub unsupported: u64,
    /// How many fail as is known.
    pub known_failures: u64,
    /// Why they are unsupported or known to fail.
    pub because: Vec<String>,
    /// Whether nothing forbids that the engine qualifies.
    pub holds: bool,
}

/// The trap matrix.
#[derive(Debug, Deserialize)]
pub struct Traps {
    /// Engines.
    pub engines: Vec<Engine>,
    /// One entry per case and engine.
    pub results: Vec<TrapCase>,
    /// Interruption latencies, where they were measured.
    #[serde(default)]
    pub latency: Vec<Latency>,
}

/// A case of the trap matrix on an engine.
#[derive(Debug, Deserialize)]
pub struct TrapCase {
    /// Engine id.
    pub runtime: String,
    /// Class of trap.
    pub class: String,
    /// Name of the case.
    pub case: String,
    /// What must come of it.
    pub expected: String,
    /// Whether it did.
    pub outcome: Outcome,
    /// What came of it.
    pub seen: String,
    /// Why it is unsupported or failed.
    pub detail: String,
}

/// How late an engine was.
#[derive(Debug, Deserialize)]
pub struct Latency {
    /// Engine id.
    pub runtime: String,
    /// Kind of code.
    pub code: String,
    /// Whether the bound holds.
    pub outcome: Outcome,
    /// What failed, or why it is unsupported.
    pub detail: String,
    /// Interruptions by the engine.
    pub interruptions: u32,
    /// Interruptions by the end of the worker.
    pub killed: u32,
    /// Median in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Maximum.
    pub max_ms: Option<f64>,
    /// What the 99th percentile may be.
    pub bound_ms: f64,
}

impl Conform {
    /// What the verdict says of native code that it rests on, if there is any.
    pub fn native_code(&self) -> Option<String> {
        let engines = self.engines.iter();
        forms::words(engines.map(|engine| {
            let codes = engine.native_code_not_compared.as_slice();
            (engine.id.as_str(), codes)
        }))
    }
}

impl Records {
    /// Reads what stands in a folder, or in the folders in it.
    ///
    /// # Errors
    /// Usage if there is no record or one is damaged; if a file cannot be read.
    pub fn read(folder: &Path) -> Result<Records> {
        if !folder.is_dir() {
            return Err(exit::usage(format!(
                "`{}` is no folder; give the results folder of `assay qualify`, `traps` or `bench`",
                folder.display()
            )));
        }
        let places = places(folder)?;
        let mut records = Records {
            qualify: document(&places, "qualify.json")?,
            ..Records::default()
        };
        if records.qualify.is_none() {
            records.conform = document(&places, "conform.json")?;
        }
        records.traps = document(&places, "traps.json")?;
        if let Some(path) = the_only(&places, record::FILE)? {
            records.bench = Tables::of(&record::read(&path)?);
        }
        let nothing = records.qualify.is_none()
            && records.conform.is_none()
            && records.traps.is_none()
            && records.bench.is_none();
        if nothing {
            return Err(exit::usage(format!(
                "`{}` holds no results: neither qualify.json nor conform.json, traps.json or {}, there or in a folder in it",
                folder.display(),
                record::FILE
            )));
        }
        Ok(records)
    }

    /// Conformance, alone or as a part of a qualification.
    pub fn conformance(&self) -> Option<&Conform> {
        let qualify = self.qualify.as_ref().map(|qualify| &qualify.conform);
        qualify.or(self.conform.as_ref())
    }

    /// The trap matrix, alone or as a part of a qualification.
    pub fn trap_matrix(&self) -> Option<&Traps> {
        let part = self
            .qualify
            .as_ref()
            .and_then(|qualify| qualify.traps.as_ref());
        self.traps.as_ref().or(part)
    }
}

/// The folder, then the folders in it by name.
fn places(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut inner = Vec::new();
    let context = || format!("failed to read the folder `{}`", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        if entry.file_type().with_context(context)?.is_dir() {
            inner.push(entry.path());
        }
    }
    inner.sort();
    inner.insert(0, folder.to_owned());
    Ok(inner)
}

/// The file of this name; two in folders would be two runs, and nothing says which one is meant.
fn the_only(places: &[PathBuf], name: &str) -> Result<Option<PathBuf>> {
    let found: Vec<_> = places
        .iter()
        .map(|place| place.join(name))
        .filter(|path| path.is_file())
        .collect();
    match found.as_slice() {
        [] => Ok(None),
        [path] => Ok(Some(path.clone())),
        [path, ..] if path.parent() == places.first().map(PathBuf::as_path) => {
            Ok(Some(path.clone()))
        }
        [one, other, ..] => Err(exit::usage(format!(
            "both `{}` and `{}` are there; name the folder of one run",
            one.display(),
            other.display()
        ))),
    }
}

fn document<T: DeserializeOwned>(places: &[PathBuf], name: &str) -> Result<Option<T>> {
    let Some(path) = the_only(places, name)? else {
        return Ok(None);
    };
    let context = || format!("failed to read `{}`", path.display());
    if fs::metadata(&path).with_context(context)?.len() > LARGEST_DOCUMENT {
        return Err(exit::usage(format!(
            "`{}` is larger than any results",
            path.display()
        )));
    }
    let bytes = fs::read(&path).with_context(context)?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        exit::usage(format!(
            "`{}` is damaged or no results of assay: {error}",
            path.display()
        ))
    })
}
