//! What can go wrong, typed.

use runtime_api::Trap;
use runtime_call::CallError;

/// Why a pack was not prepared, activated or rolled back. What runs is what ran before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pack is refused, or it or what says whom to trust cannot be read.
    #[error("failed to {0}")]
    Pack(#[from] kernel_pack::Error),
    /// This very pack failed before ([`Host::forget_failures`](crate::Host::forget_failures) lets it in again).
    #[error(
        "{name} {version} failed before ({reason}); prepare another version, or forget the failure first"
    )]
    FailedBefore {
        /// Name of the pack.
        name: String,
        /// Version of the pack.
        version: String,
        /// Why it failed.
        reason: String,
    },
    /// No engine of the host takes a kernel.
    #[error("no engine of this host runs kernel {kernel}: {reasons}")]
    NoEngine {
        /// The kernel.
        kernel: String,
        /// What each engine says.
        reasons: String,
    },
    /// A kernel did not answer what the signed vectors say.
    #[error("kernel {kernel} on {engine} fails its health check: {what}")]
    Unhealthy {
        /// The kernel.
        kernel: String,
        /// The engine that ran it.
        engine: String,
        /// The vector, and what is wrong with the answer.
        what: String,
    },
    /// There is no pack to go back to: none was there before, or its grace period is over.
    #[error("there is no pack to go back to: the grace period is over, or there was none before")]
    NothingBefore,
    /// The record of versions that failed cannot be read or written.
    #[error("failed to {what} the record of failures {path}: {reason}")]
    Record {
        /// Read or write.
        what: &'static str,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The host cannot be built.
    #[error("failed to build the host: {0}")]
    Build(String),
}

/// Why a kernel did not serve a call: labels of metrics and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The code was stopped: a trap, an exhausted resource.
    Trap,
    /// The budget of the call was used up.
    Budget,
    /// It wrote where it must not.
    Contract,
    /// It answered a status that is not OK.
    Status,
    /// The engine refused or failed.
    Engine,
    /// It failed so often that it was not tried.
    Breaker,
    /// The tensors do not fit, or the kernel refuses them and nobody else takes them: the caller's mistake, which counts against no kernel.
    Caller,
}

impl Reason {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Trap => "trap",
            Reason::Budget => "budget",
            Reason::Contract => "contract",
            Reason::Status => "status",
            Reason::Engine => "engine",
            Reason::Breaker => "breaker",
            Reason::Caller => "caller",
        }
    }

    /// All of them.
    pub const ALL: [Reason; 7] = [
        Reason::Trap,
        Reason::Budget,
        Reason::Contract,
        Reason::Status,
        Reason::Engine,
        Reason::Breaker,
        Reason::Caller,
    ];

    pub(crate) fn of(error: &CallError) -> Self {
        match error {
            CallError::Kernel(Trap::KernelStatus { .. }) => Reason::Status,
            CallError::Kernel(_) => Reason::Contract,
            CallError::Engine(runtime_api::Error::Trap { trap, .. }) => match trap {
                Trap::EpochDeadline | Trap::FuelExhausted => Reason::Budget,
                _ => Reason::Trap,
            },
            _ => Reason::Engine,
        }
    }
}

/// Why nobody served a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No pack was activated.
    #[error("no pack is active; activate one first")]
    NothingActive,
    /// The active pack has no such kernel.
    #[error("the active pack has no kernel {0}")]
    UnknownKernel(String),
    /// The tensors do not fit the memory that the kernel may have. Nothing was run.
    #[error(transparent)]
    Place(runtime_call::PlaceError),
    /// The kernel failed, and by policy nobody else answers.
    #[error("kernel {kernel} of generation {generation} failed to {error}{}", after(.fallback))]
    Failed {
        /// The kernel.
        kernel: String,
        /// The generation that it is of.
        generation: u64,
        /// Why it was not served.
        reason: Reason,
        /// What the kernel did.
        error: CallError,
        /// What became of the fallback, where one was asked.
        fallback: Option<String>,
    },
    /// The kernel failed so often that it is not tried for a while, and by policy nobody else answers.
    #[error("kernel {kernel} of generation {generation} failed so often that it is not tried for a while{}", after(.fallback))]
    Resting {
        /// The kernel.
        kernel: String,
        /// The generation that it is of.
        generation: u64,
        /// What became of the fallback, where one was asked.
        fallback: Option<String>,
    },
}

fn after(fallback: &Option<String>) -> String {
    fallback
        .as_ref()
        .map(|what| format!("; {what}"))
        .unwrap_or_default()
}
