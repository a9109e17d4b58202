//! What runs leave in their folders, typed once for writing and for reading. A suite's own document stands with the suite; here are the
//! document of a whole qualification, the record of a run with the digest of every file, and the reading of them all. Keys that this
//! version does not know are passed over, so that records of later versions can be read.

pub mod qualification;
pub mod run;
#[cfg(test)]
mod tests;
pub mod verify;

pub use qualification::Qualification;

use crate::{
    bench::{record, tables::Tables},
    conform::report::{self as conformance, Conformance},
    exit,
    traps::{TrapReport, survey},
};
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

/// A document larger than this is not one of ours.
const LARGEST_DOCUMENT: u64 = 1 << 30;

/// The records of a folder and of the folders in it.
#[derive(Debug, Default)]
pub struct Records {
    /// `qualify.json`.
    pub qualify: Option<Qualification>,
    /// `conform.json`, where there is no `qualify.json`.
    pub conform: Option<Conformance>,
    /// `traps.json`.
    pub traps: Option<TrapReport>,
    /// What follows from `bench.jsonl`.
    pub bench: Option<Tables>,
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
            qualify: document(&places, qualification::FILE)?,
            ..Records::default()
        };
        if records.qualify.is_none() {
            records.conform = document(&places, conformance::FILE)?;
        }
        records.traps = document(&places, survey::FILE)?;
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
    pub fn conformance(&self) -> Option<&Conformance> {
        let qualify = self.qualify.as_ref().map(|qualify| &qualify.conform);
        qualify.or(self.conform.as_ref())
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
    parse(&path).map(Some)
}

/// Reads one document.
fn parse<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = bytes(path, LARGEST_DOCUMENT)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        exit::usage(format!(
            "`{}` is damaged or no results of assay: {error}",
            path.display()
        ))
    })
}

/// The bytes of a plain file, `most` of them: what never ends is none, and to open a pipe is to wait for whoever writes it.
fn bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    let context = || format!("failed to read `{}`", path.display());
    let metadata = fs::metadata(path).with_context(context)?;
    if !metadata.is_file() || metadata.len() > most {
        return Err(exit::usage(format!(
            "`{}` is no plain file, or larger than any results",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).with_context(context)?;
    file.take(most)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    Ok(bytes)
}
