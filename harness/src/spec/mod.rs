//! The official tests of the WebAssembly core specification as truth for engines and adapters: `.wast` scripts, whose modules
//! are rewritten so that each assertion is an export that a worker can call. See `docs/spec-tests.md`.

mod judged;
mod module;
mod plan;
mod rewrite;
mod run;
mod scope;
mod script;
mod session;
mod suite;
mod summary;
#[cfg(test)]
mod tests;
mod value;

pub use plan::{Filter, Kind, Plan, ScriptError, Source};
pub use run::{Ran, run};
pub use scope::OutOfScope;
pub use suite::{SuiteError, built_in, in_folder};
pub use summary::{Summary, judge_expectations};

use crate::outcome::Outcome;
use serde::Serialize;

/// What became of one check on one engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The script.
    pub file: String,
    /// Where the assertion starts.
    pub line: u64,
    /// What is asserted.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// What was due; empty for a pass.
    pub expected: String,
    /// What came instead, or why there is nothing, or why this failure is known; empty for a pass.
    pub detail: String,
}
