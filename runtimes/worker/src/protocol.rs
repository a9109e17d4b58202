//! Messages of the worker protocol: one JSON object per line, requests on the worker's stdin, one reply per request on its
//! stdout, in order. Bytes are base64.

mod timed;

pub use timed::{Batch, Facts, Footprint, Series, Timed, Times};

use super::confinement::Confinement;
use runtime_api::{Budget, Error, Form, Info, Options};
use runtime_call::{Invocation, Observation, base64_bytes};
use serde::{Deserialize, Serialize};

/// Version of the protocol; both sides state it in `hello`.
pub const VERSION: u32 = 1;

/// A line longer than this, on either side, ends the conversation.
pub const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// A request with its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Repeated in the reply.
    pub id: u64,
    /// What to do.
    #[serde(flatten)]
    pub operation: Operation,
}

/// What the harness asks of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Who are you? The first request, answered by [`Answer::Hello`].
    Hello {
        /// The harness's [`VERSION`].
        protocol: u32,
    },
    /// Compile a module, answered by [`Answer::Loaded`].
    Load {
        /// The binary module.
        #[serde(with = "base64_bytes")]
        wasm: Vec<u8>,
        /// Limits and the kind of budget that calls will carry.
        options: Options,
        /// What the module was compiled to by somebody whom the harness believes, to be loaded in the place of compiling it;
        /// empty: it is compiled. Optional: only for workers whose hello has `code` among its operations.
        #[serde(default, with = "base64_bytes", skip_serializing_if = "Vec::is_empty")]
        code: Vec<u8>,
    },
    /// Exchange with an instance of a module, answered by [`Answer::Ran`].
    Run {
        /// The module, as numbered by `loaded`.
        module: u64,
        /// Whether to make a new instance.
        instance: InstanceChoice,
        /// What instantiation may cost; only for a fresh instance.
        budget: Budget,
        /// What to do with the instance.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Value of an exported i32 global of a module's instance, answered by [`Answer::Global`]. Optional: only for workers whose
    /// hello names it among its operations.
    Global {
        /// The module, as numbered by `loaded`.
        module: u64,
        /// The export's name.
        export: String,
    },
    /// Show what the engine makes of a module, answered by [`Answer::Inspected`]. Optional, as `global` is.
    Inspect {
        /// The binary module.
        #[serde(with = "base64_bytes")]
        wasm: Vec<u8>,
        /// As for `load`: what calls will carry may change the code.
        options: Options,
        /// What to show.
        form: Form,
    },
    /// Compile a module for another machine, answered by [`Answer::Precompiled`]. Optional, as `global` is.
    Precompile {
        /// The binary module.
        #[serde(with = "base64_bytes")]
        wasm: Vec<u8>,
        /// As for `load`.
        options: Options,
        /// The machine, as the engine calls it.
        target: String,
    },
    /// Repeat something and say how long it took, answered by [`Answer::Timed`]. Optional, as `global`.
    Time {
        /// The module, as numbered by `loaded`.
        module: u64,
        /// What is repeated.
        #[serde(flatten)]
        what: Timed,
        /// How often in a batch; 0: as often as fills `batch_ns`, found out before the first batch.
        iterations: u64,
        /// How long a batch lasts at least where `iterations` is 0, in nanoseconds; never under 1000 times the clock's resolution.
        batch_ns: u64,
        /// How many batches.
        batches: u32,
    },
    /// What else is known of a module and of the worker, answered by [`Answer::Facts`]. Optional, as `global`.
    Facts {
        /// The module, as numbered by `loaded`.
        module: u64,
    },
    /// How much memory of the process instances of a module take, answered by [`Answer::Footprint`]. Optional, as `global`.
    Footprint {
        /// The module, as numbered by `loaded`.
        module: u64,
        /// How many instances are made.
        instances: u64,
        /// What an instantiation may cost.
        budget: Budget,
        /// What each instance is then used for: growth and writes, then one call.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Give up for good what running loaded code does not need: files, the network, other processes. Answered by
    /// [`Answer::Confined`]; modules can be loaded from `code` then, and perhaps no longer be compiled. Optional, as `global`.
    Confine,
    /// Forget a module and its instance, answered by [`Answer::Dropped`].
    Drop {
        /// The module, as numbered by `loaded`.
        module: u64,
    },
}

/// Which instance of a module a run uses; a module has at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceChoice {
    /// Drop the module's instance, if there is one, and make a new one.
    Fresh,
    /// The one of the last run, with the memory it left; an error if there is none.
    Same,
}

/// A reply with the number of its request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// As in the request.
    pub id: u64,
    /// What came of it.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Answer to `hello`.
    Hello {
        /// The worker's [`VERSION`].
        protocol: u32,
        /// Identity and capabilities, probed.
        info: Box<Info>,
        /// The optional operations that the worker knows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        operations: Vec<String>,
    },
    /// Answer to `load`.
    Loaded {
        /// The module's number, for `run` and `drop`.
        module: u64,
    },
    /// Answer to `run`.
    Ran(Observation),
    /// Answer to `global`.
    Global {
        /// The global's value.
        value: i32,
    },
    /// Answer to `inspect`.
    Inspected {
        /// For people.
        text: String,
    },
    /// Answer to `precompile`.
    Precompiled {
        /// In the engine's own form.
        #[serde(with = "base64_bytes")]
        code: Vec<u8>,
    },
    /// Answer to `time`.
    Timed(Times),
    /// Answer to `facts`.
    Facts(Facts),
    /// Answer to `footprint`.
    Footprint(Footprint),
    /// Answer to `confine`.
    Confined(Confinement),
    /// Answer to `drop`.
    Dropped {},
    /// The operation failed; the worker is ready for the next request.
    Error(Error),
}

#[cfg(test)]
mod tests;
