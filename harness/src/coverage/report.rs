//! What ran of a module, as records keep it.

use serde::{Deserialize, Serialize};

/// How much of a module ran, and what did not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Kernel id.
    pub kernel: String,
    /// `base`, or the variant's features.
    pub variant: String,
    /// The engine that ran the cases; empty where none did.
    pub runtime: String,
    /// Basic blocks that something leads to, without those that only trap.
    pub blocks: u64,
    /// How many of them ran.
    pub ran: u64,
    /// Instructions in the blocks.
    pub instructions: u64,
    /// How many of them ran.
    pub instructions_ran: u64,
    /// Blocks that lead to nothing but traps, such as panics: no case has to run them.
    pub only_traps: u64,
    /// How many of them ran.
    pub only_traps_ran: u64,
    /// Comparisons with a constant, and those that a `select` chooses by.
    #[serde(default)]
    pub comparisons: u64,
    /// How many of them came out both ways.
    #[serde(default)]
    pub comparisons_both_ways: u64,
    /// The blocks that did not run, without those that only trap.
    pub uncovered: Vec<Uncovered>,
    /// Mutable globals that were not what they were in the beginning after some call: a kernel restores its stack pointer, and has no others
    /// unless its pack declares them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub globals_changed: Vec<u32>,
    /// Why nothing is known; empty where something is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// A basic block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its function's name, or number.
    pub function: String,
    /// Where it begins, in bytes from the start of the module.
    pub offset: u64,
    /// How many instructions it has.
    pub instructions: u64,
    /// The first of them.
    pub text: String,
}

/// A block that no case ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncovered {
    /// The block.
    #[serde(flatten)]
    pub block: Block,
    /// Why nothing can run it, where the ledger says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
}

impl Coverage {
    /// Of a module, with no block so far.
    pub(super) fn new(kernel: &str, variant: &str) -> Self {
        Self {
            kernel: kernel.to_owned(),
            variant: variant.to_owned(),
            runtime: String::new(),
            blocks: 0,
            ran: 0,
            instructions: 0,
            instructions_ran: 0,
            only_traps: 0,
            only_traps_ran: 0,
            comparisons: 0,
            comparisons_both_ways: 0,
            uncovered: Vec::new(),
            globals_changed: Vec::new(),
            error: String::new(),
        }
    }

    /// Of a module of which nothing is known.
    pub fn unknown(kernel: &str, variant: &str, error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            ..Self::new(kernel, variant)
        }
    }

    /// Counts a block.
    pub(super) fn add(
        &mut self,
        block: impl FnOnce() -> Block,
        instructions: u64,
        (only_traps, ran): (bool, bool),
    ) {
        if only_traps {
            self.only_traps += 1;
            self.only_traps_ran += u64::from(ran);
            return;
        }
        self.blocks += 1;
        self.instructions += instructions;
        if ran {
            self.ran += 1;
            self.instructions_ran += instructions;
        } else {
            self.uncovered.push(Uncovered {
                block: block(),
                unreachable: None,
            });
        }
    }

    /// Whether the blocks that ran and those that did not are all there are.
    pub fn adds_up(&self) -> bool {
        let mut not_run = self.uncovered.iter().map(|one| one.block.instructions);
        let blocks = self.ran.checked_add(self.uncovered.len() as u64);
        let instructions = not_run.try_fold(self.instructions_ran, u64::checked_add);
        (blocks, instructions) == (Some(self.blocks), Some(self.instructions))
    }

    /// Blocks that no case ran and of which nobody has shown that nothing can.
    pub fn open(&self) -> impl Iterator<Item = &Block> {
        let open = |uncovered: &&Uncovered| uncovered.unreachable.is_none();
        self.uncovered.iter().filter(open).map(|one| &one.block)
    }

    /// Share of instructions that ran, in percent.
    pub fn share(&self) -> f64 {
        100.0 * self.instructions_ran as f64 / self.instructions.max(1) as f64
    }

    /// What speaks against the module, in a line each, besides code that no case ran.
    pub fn faults(&self) -> Vec<String> {
        let Coverage {
            kernel, variant, ..
        } = self;
        let mut faults = Vec::new();
        if !self.error.is_empty() {
            faults.push(format!(
                "coverage, {kernel} ({variant}): nobody knows which code ran: {}",
                self.error
            ));
        }
        for global in &self.globals_changed {
            faults.push(format!(
                "coverage, {kernel} ({variant}): a call left global {global} changed, and the pack declares no state in globals"
            ));
        }
        faults
    }

    /// Code that no case ran and that nobody has shown to be unreachable, in a line; `None` if there is none.
    pub fn gap(&self) -> Option<String> {
        let first = self.open().next()?;
        let blocks = self.open().count();
        let instructions: u64 = self.open().map(|block| block.instructions).sum();
        Some(format!(
            "coverage, {} ({}): no case ran {blocks} of {} basic blocks ({instructions} of {} instructions), the first in {} at byte {}: {}",
            self.kernel,
            self.variant,
            self.blocks,
            self.instructions,
            first.function,
            first.offset,
            first.text
        ))
    }
}
