//! What runs leave in their folders, typed once for writing and for reading. A suite's own document stands with the suite; here are the
//! document of a whole qualification, the record of a run with the digest of every file, and the reading of them all. Keys that this
//! version does not know are passed over, so that records of later versions can be read.

mod error;
pub mod nn;
pub mod qualification;
pub mod run;
#[cfg(test)]
mod tests;
pub mod verify;

pub use error::RecordsError;
pub use qualification::Qualification;

use crate::{
    bench::{record, tables::Tables},
    conform::report::{self as conformance, Conformance},
    traps::{TrapReport, survey},
};
use serde::de::DeserializeOwned;
use std::{
    fs,
    io::{self, Read as _},
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
    /// `nn.json`.
    pub nn: Option<nn::NnReport>,
}

impl Records {
    /// Reads what stands in a folder, or in the folders in it.
    ///
    /// # Errors
    /// [`RecordsError`], also if there is no record.
    pub fn read(folder: &Path) -> Result<Records, RecordsError> {
        if !folder.is_dir() {
            return Err(RecordsError::NoFolder {
                folder: folder.to_owned(),
            });
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
        records.nn = document(&places, nn::FILE)?;
        if let Some(path) = the_only(&places, record::FILE)? {
            records.bench = Tables::of(&record::read(&path)?);
        }
        let nothing = records.qualify.is_none()
            && records.conform.is_none()
            && records.traps.is_none()
            && records.bench.is_none()
            && records.nn.is_none();
        if nothing {
            return Err(RecordsError::Empty {
                folder: folder.to_owned(),
            });
        }
        Ok(records)
    }

    /// Conformance, alone or as a part of a qualification.
    pub fn conformance(&self) -> Option<&Conformance> {
        let qualify = self.qualify.as_ref().map(|qualify| &qualify.conform);
        qualify.or(self.conform.as_ref())
    }
}

/// What speaks against the records of qualifications in a folder, or in the folders in it: they are not what the run left, or contradict each other.
///
/// # Errors
/// If they cannot be read.
pub fn doubt(folder: &Path) -> anyhow::Result<Option<String>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    for place in places(folder)? {
        let found = verify::verify(&place)?;
        if let Some(problem) = found.and_then(|found| found.problems.into_iter().next()) {
            let (record, what) = (&problem.record, problem.what.name());
            let detail = &problem.detail;
            return Ok(Some(format!(
                "the records are not those of a run: {what}: {record}: {detail}"
            )));
        }
    }
    Ok(None)
}

/// The folder, then the folders in it by name.
fn places(folder: &Path) -> Result<Vec<PathBuf>, RecordsError> {
    let mut inner = Vec::new();
    let wrong = unreadable("the folder ", folder);
    for entry in fs::read_dir(folder).map_err(&wrong)? {
        let entry = entry.map_err(&wrong)?;
        if entry.file_type().map_err(&wrong)?.is_dir() {
            inner.push(entry.path());
        }
    }
    inner.sort();
    inner.insert(0, folder.to_owned());
    Ok(inner)
}

/// The file of this name; two in folders would be two runs, and nothing says which one is meant.
fn the_only(places: &[PathBuf], name: &str) -> Result<Option<PathBuf>, RecordsError> {
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
        [one, other, ..] => Err(RecordsError::Ambiguous {
            one: one.clone(),
            other: other.clone(),
        }),
    }
}

fn document<T: DeserializeOwned>(
    places: &[PathBuf],
    name: &str,
) -> Result<Option<T>, RecordsError> {
    let Some(path) = the_only(places, name)? else {
        return Ok(None);
    };
    parse(&path).map(Some)
}

/// Reads one document.
fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, RecordsError> {
    let bytes = bytes(path, LARGEST_DOCUMENT)?;
    serde_json::from_slice(&bytes).map_err(|error| RecordsError::Damaged {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

/// The bytes of a plain file, `most` of them: what never ends is none, and to open a pipe is to wait for whoever writes it.
fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, RecordsError> {
    let wrong = unreadable("", path);
    let metadata = fs::metadata(path).map_err(&wrong)?;
    if !metadata.is_file() || metadata.len() > most {
        return Err(RecordsError::NoDocument {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(&wrong)?;
    file.take(most).read_to_end(&mut bytes).map_err(&wrong)?;
    Ok(bytes)
}

/// What the operating system's error is about.
fn unreadable(what: &'static str, path: &Path) -> impl Fn(io::Error) -> RecordsError {
    let path = path.to_owned();
    move |source| RecordsError::Unreadable {
        what,
        path: path.clone(),
        source,
    }
}
