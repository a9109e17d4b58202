//! Engines of a run, as records name them: ready, absent or failed to start, in one word and one way.

use crate::registry::Engine;
use runtime_api::{BudgetKind, COMPILED_ELSEWHERE, Capabilities, Info};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What there was of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its worker started.
    Ready,
    /// It is not in this build or not on this machine.
    Absent,
    /// It is there, and its worker did not start.
    Failed,
}

impl Status {
    /// The status in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Ready => "ready",
            Status::Absent => "absent",
            Status::Failed => "failed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Native code that a verdict rests on though it is not known to be what the engine makes of the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeCode {
    /// Kernel id; [`EVERY_MODULE`](Self::EVERY_MODULE) for whatever module the engine is given.
    pub kernel: String,
    /// The engine that it was made for, as its author calls it.
    pub engine: String,
    /// The kind of machine that it was made for.
    pub target: String,
    /// Whether it was compared and differs.
    pub differs: bool,
    /// What is not known of it, and why.
    pub reason: String,
    /// What the worker that ran it could not do, or that it could do all.
    pub confinement: String,
    /// Where it stands to the module as the engine compiles it.
    pub judged: Judged,
}

impl NativeCode {
    /// What stands for the kernels of code that is of every module.
    pub const EVERY_MODULE: &str = "*";
}

/// Where native code stands to the module that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judged {
    /// It was run as well as the module.
    Beside,
    /// Only the native code was run.
    Instead,
}

/// What an engine says that it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// Ending a call: it has no budget, neither of ticks nor of fuel.
    Interruption,
    /// A limit of memory.
    MemoryLimit,
    /// A limit of tables.
    TableLimit,
    /// A limit of the call stack.
    StackLimit,
}

impl Lack {
    /// What an engine lacks by its own words.
    pub fn of(capabilities: &Capabilities) -> Vec<Lack> {
        let budgets = &capabilities.budgets;
        let has = [
            (
                Lack::Interruption,
                budgets.iter().any(|kind| *kind != BudgetKind::None),
            ),
            (Lack::MemoryLimit, capabilities.memory_limit),
            (Lack::TableLimit, capabilities.table_limit),
            (Lack::StackLimit, capabilities.stack_limit),
        ];
        let lacks = has.into_iter().filter(|(_, has)| !has);
        lacks.map(|(lack, _)| lack).collect()
    }

    /// Whether nobody can be served by an engine without it: one kernel that does not end, or that takes all memory, is enough to take the others
    /// with it. A kernel of a pack has the table and the stack that it has, and both were looked at.
    pub const fn forbids(self) -> bool {
        match self {
            Lack::Interruption | Lack::MemoryLimit => true,
            Lack::TableLimit | Lack::StackLimit => false,
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lack::Interruption => {
                "the engine states no way to end a call: it has no budget of ticks or of fuel"
            }
            Lack::MemoryLimit => "the engine states that it holds no limit of memory",
            Lack::TableLimit => "the engine states that it holds no limit of tables",
            Lack::StackLimit => "the engine states that it holds no limit of the call stack",
        })
    }
}

/// An engine of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineReport {
    /// Engine id.
    pub id: String,
    /// What there was of it.
    pub status: Status,
    /// Version, where it is ready.
    pub version: Option<String>,
    /// Why it is absent, with the command that adds it where there is one, or why it failed.
    pub reason: Option<String>,
    /// What there is to run, where the engine has no compiler on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiled_elsewhere: Option<String>,
    /// Native code that it ran and that is not known to be what it makes of the modules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub native_code_not_compared: Vec<NativeCode>,
    /// What it says that it cannot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
}

impl EngineReport {
    /// Of an engine that was asked for, and of what its worker said when it was started.
    pub fn of(engine: &Engine, hello: impl FnOnce() -> Result<Info, String>) -> Self {
        let (status, info, reason) = match engine.absence() {
            Some(reason) => (Status::Absent, None, Some(reason)),
            None => match hello() {
                Ok(info) => (Status::Ready, Some(info), None),
                Err(reason) => (Status::Failed, None, Some(reason)),
            },
        };
        Self {
            id: engine.id.clone(),
            status,
            reason,
            compiled_elsewhere: info
                .as_ref()
                .and_then(|info| info.build.get(COMPILED_ELSEWHERE).cloned()),
            lacks: info
                .as_ref()
                .map_or(Vec::new(), |info| Lack::of(&info.capabilities)),
            version: info.map(|info| info.version),
            native_code_not_compared: Vec::new(),
        }
    }
}
