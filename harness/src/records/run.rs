//! The record of a run, written last: who ran what on which pack, and the digest of every file that the run left. A file that was changed,
//! lost or added later shows by it. It is not signed: docs/reports.md says what that means.

use super::Qualification;
use crate::{
    conform::device::Profile,
    machine::Fingerprint,
    results::{Folder, PackIdentity},
};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::Path,
};

/// Name of the file in a results folder.
pub const FILE: &str = "run.json";
/// Version of the file. What is added to it makes a new one, for a reader that does not know a key takes it for a change.
const FORMAT: u32 = 1;
/// A record of a run that is larger is none: it has a line or two per file.
const LARGEST: u64 = 64 << 20;

/// Bytes of a file that are read at a time.
const PIECE: usize = 1 << 16;

/// A run and its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Version of this file.
    pub format: u32,
    /// The subcommand.
    pub command: String,
    /// Machine, build and command line.
    pub fingerprint: Fingerprint,
    /// Which pack.
    pub pack: PackIdentity,
    /// What the engines were asked for.
    pub profile: Profile,
    /// Interruptions of each kind of code.
    pub interruptions: u32,
    /// Seed of the generated cases.
    pub seed: u64,
    /// Generated cases per kernel.
    pub cases: u32,
    /// Engines that were run, with their versions.
    pub engines: BTreeMap<String, Option<String>>,
    /// Every file that the run left besides this one and the report, by its name in the folder.
    pub files: BTreeMap<String, Stamp>,
    /// SHA-256 of this document with an empty string here.
    pub sha256: String,
}

/// Size and digest of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Stamp {
    /// Of a file, read in pieces.
    ///
    /// # Errors
    /// If it cannot be read, or is none: whoever reads a pipe waits for who writes it.
    pub fn of(path: &Path) -> io::Result<Self> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::other("it is no plain file any more"));
        }
        let mut reader = BufReader::with_capacity(PIECE, File::open(path)?);
        let mut hasher = Sha256::new();
        let mut bytes = 0;
        loop {
            let piece = reader.fill_buf()?;
            let length = piece.len();
            if length == 0 {
                break;
            }
            hasher.update(piece);
            bytes += length as u64;
            reader.consume(length);
        }
        Ok(Self {
            bytes,
            sha256: hex::encode(hasher.finalize()),
        })
    }
}

/// Why a record of a run cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It is not there: the folder is not the one of a run that leaves it.
    #[error("find `{FILE}`: {0}")]
    Missing(io::Error),
    /// It was changed, or is no such record.
    #[error("use `{FILE}`: {0}")]
    Changed(String),
}

impl Run {
    /// Of a qualification, with all files that `folder` has written so far.
    ///
    /// # Errors
    /// If a file cannot be read again.
    pub fn of(
        command: &str,
        fingerprint: Fingerprint,
        qualification: &Qualification,
        folder: &Folder,
    ) -> Result<Self> {
        let conform = &qualification.conform;
        let runtimes = conform.runtimes();
        let engines = conform.engines.iter();
        let mut files = BTreeMap::new();
        for name in folder.written() {
            let path = folder.path().join(&name);
            let stamp = Stamp::of(&path)
                .with_context(|| format!("failed to read `{}` again", path.display()))?;
            files.insert(name, stamp);
        }
        let mut run = Self {
            format: FORMAT,
            command: command.to_owned(),
            fingerprint,
            pack: qualification.pack.clone(),
            profile: qualification.profile,
            interruptions: qualification.interruptions,
            seed: conform.seed,
            cases: conform.cases,
            engines: engines
                .filter(|engine| runtimes.contains(&engine.id))
                .map(|engine| (engine.id.clone(), engine.version.clone()))
                .collect(),
            files,
            sha256: String::new(),
        };
        run.sha256 = run.digest()?;
        Ok(run)
    }

    /// Writes it, as the last file of its run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Folder) -> Result<()> {
        folder.file(FILE, &self.to_bytes()?)
    }

    /// Reads the record of a run: byte for byte what was written.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn read(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join(FILE);
        fs::metadata(&path).map_err(RunError::Missing)?;
        let bytes = super::bytes(&path, LARGEST)
            .map_err(|error| RunError::Changed(format!("{error:#}")))?;
        let changed = |error: serde_json::Error| RunError::Changed(error.to_string());
        let run: Run = serde_json::from_slice(&bytes).map_err(changed)?;
        if run.format != FORMAT {
            return Err(RunError::Changed(format!(
                "it has format {}, and this version reads format {FORMAT}",
                run.format
            )));
        }
        let same = |error: anyhow::Error| RunError::Changed(format!("{error:#}"));
        if run.digest().map_err(same)? != run.sha256 || run.to_bytes().map_err(same)? != bytes {
            return Err(RunError::Changed(
                "it is not what was written: its own digest is another".to_owned(),
            ));
        }
        Ok(run)
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).context("failed to encode the record of a run")
    }

    fn digest(&self) -> Result<String> {
        let bare = Self {
            sha256: String::new(),
            ..self.clone()
        };
        Ok(hex::encode(Sha256::digest(bare.to_bytes()?)))
    }
}
