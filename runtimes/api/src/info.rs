use crate::BudgetKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How an engine executes code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Compiles to machine code in process.
    Jit,
    /// Loads machine code compiled ahead of time.
    Aot,
    /// Interprets.
    Interpreter,
}

/// The build option that names the target of which an engine loads code that a pack brings; engines without it load none.
pub const CODE_TARGET: &str = "loads code for";
/// The build option of an engine that has no compiler here and runs what one made on another machine: what there is to run.
pub const COMPILED_ELSEWHERE: &str = "compiled on another machine";

/// Identity of an engine with its strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Engine and strategy, for example `wasmtime.pulley`.
    pub id: String,
    /// The engine family that a manifest's `platforms` names, for example `wasmtime`.
    pub engine: String,
    /// The engine's version (semantic version).
    pub version: String,
    /// How it executes code.
    pub kind: Kind,
    /// Build options and configuration that may change results or speed: name to value.
    pub build: BTreeMap<String, String>,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// What an engine can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Features that pack manifests may ask for (`simd`, `bulk-memory`, ...), probed with a module each.
    pub features: Vec<String>,
    /// Budgets that are honoured; each other kind is refused as unsupported.
    pub budgets: Vec<BudgetKind>,
    /// How an epoch budget stops a running call, in a few words.
    pub interruption: String,
    /// Whether the memory limit holds for the initial memory and for growth from inside and outside.
    pub memory_limit: bool,
    /// Whether the table limit holds.
    pub table_limit: bool,
    /// Whether `max_stack_bytes` is honoured.
    pub stack_limit: bool,
}
