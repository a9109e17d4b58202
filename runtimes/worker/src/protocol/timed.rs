//! What is timed and counted.

use runtime_api::Budget;
use runtime_call::{Call, Fetched, Invocation};
use serde::{Deserialize, Serialize};

/// What a `time` operation repeats. The last four are known to a worker whose hello names them among its operations, as `batch`,
/// `inplace`, `reset` and `traps`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Timed {
    /// Calls of an export of the module's instance through the engine traits, the export resolved before the clock starts.
    /// Series: `call`.
    Call {
        /// What is called.
        call: Call,
    },
    /// The same calls with the engine's own typed interface. Series: `hand`.
    Hand {
        /// What is called.
        call: Call,
    },
    /// Validation of the module. Series: `validate`.
    Validate,
    /// Compilation of the module, as it was loaded. Series: `compile`.
    Compile,
    /// Loading the module from a cache of compiled code on disk, which holds it: reading, checking, and what the engine does.
    /// Series: `load-cached`.
    #[serde(rename = "load-cached")]
    LoadCached,
    /// Writes of bytes to the instance's memory that are there already. Series: `write`.
    Write {
        /// First address.
        at: u32,
        /// How many bytes.
        length: u32,
    },
    /// Reads of the instance's memory. Series: `read`.
    Read {
        /// First address.
        at: u32,
        /// How many bytes.
        length: u32,
    },
    /// Invocations of fresh instances, stage by stage: so many instances are made, then each is given its memory, and so on.
    /// Series: `lookup` (of a module by name among 16), `instantiate`, `resolve`, `memory` (growth and writes), `call` (the first of
    /// each instance), `fetch` (reads), `drop`.
    Stages {
        /// What instantiation may cost.
        budget: Budget,
        /// The invocation.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Whole invocations one after the other, each of a fresh instance: all stages. Series: `path`.
    Path {
        /// What instantiation may cost.
        budget: Budget,
        /// The invocation.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Whole invocations one after the other of the module's one instance, which is made for this. Series: `reuse`.
    Reuse {
        /// What instantiation may cost.
        budget: Budget,
        /// The invocation.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Calls of an export of one parameter, one with each argument, by the engine traits' batches. Iterations are calls, in
    /// multiples of the arguments. Series: `batch`.
    Batch {
        /// What is called, with an argument for each call.
        call: Call,
    },
    /// The bytes of [`Timed::Write`], copied by their producer straight to where they belong. Series: `in-place`.
    InPlace {
        /// First address.
        at: u32,
        /// How many bytes.
        length: u32,
    },
    /// Resets of the module's one instance, which is made for this; then invocations that end with one. Series: `reset`, `pooled`.
    Reset {
        /// Where the host's memory begins: what lies below is restored, the rest cleared.
        heap_base: u32,
        /// What instantiation may cost.
        budget: Budget,
        /// The invocation that shows that the instance still serves.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Calls that execute `unreachable`, each in an instance of its own (`iterations` of them at the same time), and the fresh
    /// instances in their place. Series: `call` (until the host is back in control) and `trap` (that, and the fresh instance with
    /// its export resolved).
    Traps {
        /// What is called.
        call: Call,
        /// An argument with which it returns: a fresh instance of each round is called with it.
        alive: u32,
        /// What an instantiation may cost.
        budget: Budget,
        /// How many modules are loaded, this one among them; the worker makes the others, small ones that all differ.
        modules: u32,
        /// How long loading them may take; `unsupported` if it takes longer or is about to.
        within_ms: u64,
    },
}

/// What came of a `time` operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// One or, for stages, several.
    pub series: Vec<Series>,
    /// Iterations before the first batch, which no batch holds.
    pub warm_up: u64,
    /// All values that calls returned, joined by OR; 0 where nothing was called.
    #[serde(default)]
    pub returned: i32,
    /// Reads of the last invocation, in its form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Fetched>,
}

/// Times of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What was timed, as [`Timed`] names it.
    pub name: String,
    /// In order.
    pub batches: Vec<Batch>,
}

/// A batch: so many iterations took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// By a monotonic clock.
    pub nanoseconds: u64,
    /// At least 1.
    pub iterations: u64,
}

/// What is known of a module and of the worker; what is not is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Bytes of code that the engine made of the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_bytes: Option<u64>,
    /// What the last fuel budget of the module's instance left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_left: Option<u64>,
    /// Most memory that the process ever had resident, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// Smallest step of the clock that times, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_step_ns: Option<u64>,
}

/// Memory of the process per instance, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// Resident after all instances were made, over before, shared out among them.
    pub rss_per_instance_bytes: u64,
    /// The same after each was used.
    pub rss_per_used_instance_bytes: u64,
}
