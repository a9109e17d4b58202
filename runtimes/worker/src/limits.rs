//! What a worker may use, and how it is noticed that it did.

use std::{
    ffi::OsString,
    fmt,
    time::{Duration, Instant},
};

/// The environment variable that sets [`WorkerLimits::memory`], in MiB.
pub const MEMORY_VARIABLE: &str = "ASSAY_WORKER_MEMORY_MIB";
/// MiB of memory that a worker may use unless asked otherwise: many times what the largest compiler needs for a kernel.
const MEMORY_MIB: u64 = 2048;
/// How long a worker may take to start and say hello; generous, because a loaded machine starts processes slowly.
const HELLO_TIME: Duration = Duration::from_secs(30);

/// What a worker may use, beside the time of each request. Inside WebAssembly, where a worker is no process, only times are noticed,
/// and only when it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Bytes of memory that are resident in the worker and in what it started; over that it is killed. Where the system does
    /// not say what a process uses (anywhere but on Linux) nothing holds this.
    pub memory: u64,
    /// How long it may take to answer `hello`.
    pub hello: Duration,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            memory: MEMORY_MIB << 20,
            hello: HELLO_TIME,
        }
    }
}

impl WorkerLimits {
    /// The limits, with the memory that the environment variable `ASSAY_WORKER_MEMORY_MIB` sets.
    ///
    /// # Errors
    /// [`VariableError::Memory`].
    pub fn from_environment() -> Result<Self, VariableError> {
        let Some(value) = std::env::var_os(MEMORY_VARIABLE) else {
            return Ok(Self::default());
        };
        let mebibytes: Option<u64> = value.to_str().and_then(|value| value.parse().ok());
        match mebibytes {
            Some(mebibytes @ 1..=1_048_576) => Ok(Self {
                memory: mebibytes << 20,
                ..Self::default()
            }),
            _ => Err(VariableError::Memory { value }),
        }
    }
}

/// When work has to have ended, whatever it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit {
    what: &'static str,
    time: Duration,
    begin: Instant,
}

impl TimeLimit {
    /// So much time, from now on, for what is called `what` in messages.
    pub fn new(what: &'static str, time: Duration) -> Self {
        Self {
            what,
            time,
            begin: Instant::now(),
        }
    }

    /// How long the work may take in all.
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// What is left of it; zero once it is reached.
    pub fn left(&self) -> Duration {
        self.time.saturating_sub(self.begin.elapsed())
    }

    /// Whether the time is over.
    pub fn is_reached(&self) -> bool {
        self.left().is_zero()
    }

    /// The limit that is reached first.
    pub fn sooner(self, other: Option<TimeLimit>) -> Self {
        match other {
            Some(other) if other.left() < self.left() => other,
            _ => self,
        }
    }
}

/// The reason why something was not done.
impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        write!(
            f,
            "the time limit of {seconds} s for {} was reached",
            self.what
        )
    }
}

/// An environment variable holds what it must not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableError {
    /// The memory of workers.
    #[error("{MEMORY_VARIABLE} is {value:?}: it takes a number of MiB from 1 to 1048576")]
    Memory {
        /// What it holds.
        value: OsString,
    },
    /// The command that starts workers.
    #[error("{} is not a command: its quotes do not match", crate::RUNNER_VARIABLE)]
    Runner,
}

/// Why no line came.
#[cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "nobody is watched there")
)]
pub(super) enum Silence {
    /// The process has ended, or closed its stdout.
    Ended,
    /// The time is over; it was killed.
    TimedOut,
    /// It used more memory than it may; it was killed.
    Memory,
    /// A line is none of the protocol.
    Broken(String),
}
