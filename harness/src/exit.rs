//! Exit codes. Nothing else leaves the process.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | everything asked for passed |
//! | 1 | at least one check failed, or not qualified |
//! | 2 | usage |
//! | 3 | the pack was rejected |
//! | 4 | an engine that was asked for is absent, or none is ready |
//! | 5 | the harness itself failed |

use std::{io::Write, process::ExitCode};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for passed.
    Passed = 0,
    /// At least one check failed, or not qualified.
    Failed = 1,
    /// Wrong use of the command line.
    Usage = 2,
    /// The pack was rejected.
    Rejected = 3,
    /// An engine that was asked for is absent, or none is ready.
    EngineAbsent = 4,
    /// The harness itself failed.
    Harness = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error that knows its exit code. What the exit code of a library's error is, `cmd::exits` says.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Stop {
    /// The exit code.
    pub exit: Exit,
    /// What, where, and what to do.
    pub message: String,
    /// What `--json` prints, where the command line's documents have a shape for it.
    pub document: Option<serde_json::Value>,
}

/// A usage error: what is wrong and what to do.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Stop {
        exit: Exit::Usage,
        message: message.into(),
        document: None,
    }
    .into()
}

/// An engine that was asked for is absent, or none is ready.
pub fn engine_absent(message: impl Into<String>) -> anyhow::Error {
    Stop {
        exit: Exit::EngineAbsent,
        message: message.into(),
        document: None,
    }
    .into()
}

/// Says something on stderr, if anybody listens: that nobody does must not change how the process ends.
pub fn complain(message: &str) {
    drop(writeln!(std::io::stderr(), "{message}"));
}
