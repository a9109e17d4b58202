//! State of a module that does not lie in its memory.

use std::collections::BTreeSet;
use std::fmt;

use super::ModuleFacts;
use crate::error::{Code, Rejection};

/// What a module can change that a reset of its memory does not undo. A kernel has none of it, unless its pack declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// `memory.grow`: the size of memory.
    MemoryGrow,
    /// Globals that code sets, besides the stack pointer.
    Globals,
    /// `table.set`, `table.grow`, `table.fill`, `table.copy`, `table.init`: what a table holds.
    Tables,
    /// `data.drop`: whether a data segment is still there.
    DataDrop,
    /// `elem.drop`: whether an element segment is still there.
    ElemDrop,
}

impl State {
    /// All of it.
    pub const ALL: [State; 5] = [
        State::MemoryGrow,
        State::Globals,
        State::Tables,
        State::DataDrop,
        State::ElemDrop,
    ];

    /// As a manifest declares it.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::MemoryGrow => "memory.grow",
            State::Globals => "globals",
            State::Tables => "tables",
            State::DataDrop => "data.drop",
            State::ElemDrop => "elem.drop",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ModuleFacts {
    /// Whether a reset of memory makes an instance as good as a fresh one: otherwise instances are dropped.
    pub fn is_resettable(&self) -> bool {
        self.state.is_empty()
    }

    /// Refuses state that is not declared.
    ///
    /// # Errors
    /// [`Code::ModuleInvalid`].
    pub fn check_state(&self, declared: &BTreeSet<State>) -> Result<(), Rejection> {
        let undeclared: Vec<_> = self
            .state
            .difference(declared)
            .copied()
            .map(State::as_str)
            .collect();
        if undeclared.is_empty() {
            return Ok(());
        }
        Err(Rejection::new(
            Code::ModuleInvalid,
            format!(
                "the module has state outside its memory that the manifest does not declare under `state`: {}",
                undeclared.join(", ")
            ),
        ))
    }
}
