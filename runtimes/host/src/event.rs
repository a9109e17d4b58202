//! What an application hears of.

use crate::error::Reason;

/// Something that happened to the host's packs and kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A pack serves from now on.
    Activated {
        /// Its number, from 1.
        generation: u64,
        /// Name and version.
        pack: String,
        /// The generation that it replaced.
        previous: Option<u64>,
    },
    /// A call was answered by somebody else than the kernel.
    Degraded {
        /// The kernel.
        kernel: String,
        /// The generation that it is of.
        generation: u64,
        /// Why.
        reason: Reason,
    },
    /// A call was not answered.
    Failed {
        /// The kernel.
        kernel: String,
        /// The generation that it is of.
        generation: u64,
        /// Why.
        reason: Reason,
    },
    /// A kernel is not tried for a while.
    Resting {
        /// The kernel.
        kernel: String,
        /// The generation that it is of.
        generation: u64,
    },
    /// A kernel that was resting served again.
    Recovered {
        /// The kernel.
        kernel: String,
        /// The generation that it is of.
        generation: u64,
    },
    /// The pack before serves again.
    RolledBack {
        /// The generation that was left.
        from: u64,
        /// The generation that serves now.
        to: u64,
        /// Why, in words.
        reason: String,
    },
    /// A pack that serves is not trusted any more, and there was none to go back to: nothing serves now.
    Withdrawn {
        /// The generation.
        generation: u64,
        /// Why, in words.
        reason: String,
    },
    /// The grace period is over: there is no way back to this generation, and its memory is free once its last call ended.
    Expired {
        /// The generation.
        generation: u64,
    },
}

impl Event {
    /// A short name, for metrics and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Activated { .. } => "activated",
            Event::Degraded { .. } => "degraded",
            Event::Failed { .. } => "failed",
            Event::Resting { .. } => "resting",
            Event::Recovered { .. } => "recovered",
            Event::RolledBack { .. } => "rolled back",
            Event::Withdrawn { .. } => "withdrawn",
            Event::Expired { .. } => "expired",
        }
    }
}
