//! Why records cannot be read.

use crate::bench::record;
use std::{io, path::PathBuf};

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// No folder has this path.
    #[error(
        "`{}` is no folder; give the results folder of `assay qualify`, `traps` or `bench`",
        folder.display()
    )]
    NoFolder {
        /// What was named.
        folder: PathBuf,
    },
    /// No results are in the folder.
    #[error(
        "`{}` holds no results: neither qualify.json nor conform.json, traps.json, nn.json or {}, there or in a folder in it",
        folder.display(),
        record::FILE
    )]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
    /// Results of two runs are there.
    #[error(
        "both `{}` and `{}` are there; name the folder of one run",
        one.display(),
        other.display()
    )]
    Ambiguous {
        /// A file.
        one: PathBuf,
        /// One of the same name.
        other: PathBuf,
    },
    /// A document does not have the shape that it must have.
    #[error("`{}` is damaged or no results of assay: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file cannot be a document.
    #[error("`{}` is no plain file, or larger than any results", path.display())]
    NoDocument {
        /// The file.
        path: PathBuf,
    },
    /// The operating system does not give a file or a folder.
    #[error("failed to read {what}`{}`", path.display())]
    Unreadable {
        /// `the folder `, or nothing for a file.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Measurements cannot be read.
    #[error(transparent)]
    Measurements(#[from] record::RecordError),
}
