//! Why two things cannot be compared.

use crate::{records::RecordsError, registry::EngineError};
use std::path::PathBuf;

/// Why two things cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Nothing has this path.
    #[error("failed to find `{}`; name a pack or a results folder", path.display())]
    NotThere {
        /// What was named.
        path: PathBuf,
    },
    /// A folder that is nothing of what can be compared.
    #[error(
        "`{}` is neither a pack (it has no kernels.json) nor a results folder (no conform.json, qualify.json or {})",
        path.display(),
        crate::bench::record::FILE
    )]
    NoKind {
        /// The folder.
        path: PathBuf,
    },
    /// Two of different kinds.
    #[error(
        "{old}, {new}: compare two packs, two results folders of the same command, or recorded numbers with a pack"
    )]
    Unlike {
        /// What the first is, with its path.
        old: String,
        /// What the second is, with its path.
        new: String,
    },
    /// Two results folders without a check that both have.
    #[error("the two have no check in common: nothing was compared")]
    NothingInCommon,
    /// The judged cases of a run cannot be read.
    #[error("failed to read `{}`: line {line}: {message}; run it again", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A results folder without conformance.
    #[error("failed to find what conformed in `{}`", folder.display())]
    NoConformance {
        /// The folder.
        folder: PathBuf,
    },
    /// Two runs of other cases.
    #[error(
        "`{}` and `{}` did not run the same cases: {differs}; run `assay conform` alike on each target",
        first.display(),
        other.display()
    )]
    OtherCases {
        /// Folder of the first run.
        first: PathBuf,
        /// Folder of the run that differs from it.
        other: PathBuf,
        /// In what.
        differs: String,
    },
    /// No case was answered by two runs.
    #[error("no case was answered by two of these runs: nothing was compared")]
    NothingAnswered,
    /// Neither pack has a kernel that was asked for.
    #[error("neither pack has a kernel `{pattern}`; they have: {ids}")]
    NoKernel {
        /// What was asked for.
        pattern: String,
        /// Ids of the kernels, with commas.
        ids: String,
    },
    /// A file is no record of numbers.
    #[error(
        "failed to read the recorded numbers `{}`: {what}; `assay compare --record FILE PACK` makes them",
        path.display()
    )]
    Numbers {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Results cannot be read.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A pattern of kernels is none.
    #[error(transparent)]
    Pattern(#[from] EngineError),
}
