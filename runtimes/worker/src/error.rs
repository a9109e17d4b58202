//! Why a worker gives no result.

use crate::TimeLimit;
use runtime_api::Error;

/// A worker that cannot go on: the cell it was working on is lost, a new worker can be started.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The executable cannot be started.
    #[error("start worker `{id}` ({program}): {message}")]
    Start {
        /// Engine id.
        id: String,
        /// The executable.
        program: String,
        /// What the operating system says.
        message: String,
    },
    /// The process ended in the middle of the conversation.
    #[error("hear from worker `{id}`: it ended ({status}){stderr}")]
    Crashed {
        /// Engine id.
        id: String,
        /// Exit code or signal.
        status: String,
        /// The end of its stderr.
        stderr: String,
    },
    /// It did not answer in time and was killed.
    #[error("hear from worker `{id}` within {seconds:.1} s: it was killed")]
    TimedOut {
        /// Engine id.
        id: String,
        /// How long it had.
        seconds: f64,
    },
    /// The time was over that all of the work may take, and it was killed.
    #[error("hear from worker `{id}`: {limit}")]
    TimeLimit {
        /// Engine id.
        id: String,
        /// Which limit.
        limit: TimeLimit,
    },
    /// It used more memory than a worker may and was killed.
    #[error("hear from worker `{id}`: it used more than {mebibytes} MiB of memory and was killed")]
    Memory {
        /// Engine id.
        id: String,
        /// What it may use.
        mebibytes: u64,
    },
    /// It answered something that is not the protocol.
    #[error("understand worker `{id}`: {message}")]
    Protocol {
        /// Engine id.
        id: String,
        /// What is wrong.
        message: String,
    },
}

/// Why an operation has no result: the engine said no, or the worker is gone.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// The engine's own answer.
    #[error(transparent)]
    Engine(#[from] Error),
    /// The worker failed; it is stopped.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}
