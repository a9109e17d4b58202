//! Which code of a module ran: the module is rewritten so that every basic block sets a flag, and tells its flags.
//!
//! Code that no case ran is code that nobody judged. This module rewrites, and makes of flags a [`Coverage`]; `conform::coverage` runs the
//! cases. [`ledger`] has what is known to be unreachable, with the proof.

mod conditions;
pub mod dictionary;
pub mod ledger;
mod report;

pub use report::{Block, Coverage, Uncovered};

use conditions::{Condition, Kept};

use crate::rewrite::{
    Added, Change, Listing, Module,
    body::{Body, Edit},
    flow::{self, blocks},
    section,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use wasm_encoder::{Encode, Function, Instruction};
use wasmparser::{BinaryReaderError, ValType};

/// Instructions before a block in which a comparison that leads to it is looked for.
const LOOK_BACK: usize = 12;
/// Flags that a word has.
const FLAGS_OF_WORD: usize = 32;

/// A module that keeps a flag for each of its blocks: in globals of its own, so that memory is what it was, and any engine can run it.
#[derive(Clone, Debug)]
pub struct Flagged {
    /// The module.
    pub wasm: Vec<u8>,
    /// What it exports besides, to tell its flags.
    pub flags: Flags,
    /// The module as it was.
    module: Module,
    /// Of each function that has a body.
    blocks: Vec<Vec<flow::Block>>,
    /// Comparisons, of each of those functions.
    conditions: Vec<Vec<Condition>>,
    /// The mutable globals, by index.
    globals: Vec<u32>,
}

/// Words that a search tries first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leading {
    /// Shortly before blocks that did not run, each once.
    pub of_blocks: Vec<u32>,
    /// Shortly before blocks that only trap, but for those: a call that traps there tells nothing, and fails.
    pub of_traps: Vec<u32>,
    /// What comparisons are with that came out one way only, but for both.
    pub of_comparisons: Vec<u32>,
}

/// How a module tells its flags: an export that takes the number of a word, and returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// The export's name.
    pub export: String,
    /// How many words there are.
    pub words: u32,
}

impl Flagged {
    /// A module with flags.
    ///
    /// # Errors
    /// If it cannot be decoded; the pre-pass accepts no such module.
    pub fn of(wasm: &[u8]) -> Result<Flagged, BinaryReaderError> {
        let module = Module::of(wasm.to_vec())?;
        let bodies = module.all_bodies()?;
        let blocks = blocks(&bodies);
        let each = bodies.iter().zip(&blocks);
        let conditions: Vec<Vec<Condition>> = each
            .map(|(body, blocks)| conditions::of_body(body, blocks))
            .collect();
        let first_global = module.globals.len() as u32;
        let of_blocks = words_of(&blocks);
        let of_conditions = conditions::words(conditions.iter().map(Vec::len).sum());
        let words = (of_blocks + of_conditions) as u32;
        let kept = Kept {
            first: first_global + of_blocks as u32,
            scalar: first_global + words,
            lanes: first_global + words + 1,
        };
        let (mut number, mut compared) = (0, 0);
        let mut changed = HashMap::new();
        for (index, (body, blocks)) in bodies.iter().zip(&blocks).enumerate() {
            let mut edits: Vec<Edit> = Vec::new();
            for block in blocks {
                edits.push(set_flag(body, block, first_global, number));
                number += 1;
            }
            for condition in &conditions[index] {
                edits.push(conditions::keep(body, *condition, compared, kept));
                compared += 1;
            }
            // No comparison ends where a block begins.
            edits.sort_by_key(|edit| edit.bytes.start);
            changed.insert(index, body.edited(&module, &edits));
        }
        let globals = module.mutable_globals()?;
        let told: Vec<Vec<Instruction<'_>>> = (0..words)
            .map(|word| vec![Instruction::GlobalGet(first_global + word)])
            .chain(globals.chunks(FLAGS_OF_WORD).map(globals_changed))
            .collect();
        let mut changes = BTreeMap::from([(
            section::CODE,
            Change {
                contents: Some(module.code(&changed)),
                ..Change::default()
            },
        )]);
        let export = format!("{}_flags", module.free_prefix());
        let mut added = Added::default();
        for _ in 0..=words {
            added.counter();
        }
        // An engine without lanes runs modules that have none.
        if conditions.iter().flatten().any(|condition| condition.lanes) {
            added.lanes();
        }
        let one = [ValType::I32];
        added.function(&module, &export, (&one, &one), &tell_flags(&told));
        added.into_changes(&mut changes);
        Ok(Flagged {
            wasm: module.assemble(&changes)?,
            flags: Flags {
                export,
                words: told.len() as u32,
            },
            globals: globals.into_iter().map(|(index, _)| index).collect(),
            blocks,
            conditions,
            module,
        })
    }

    /// What the flags say.
    ///
    /// # Errors
    /// If the module cannot be decoded.
    pub fn coverage(
        &self,
        kernel: &str,
        variant: &str,
        words: &[u32],
    ) -> Result<Coverage, BinaryReaderError> {
        let listing = Listing::of(&self.module);
        let ran = |number: usize| is_set(words, number);
        let mut coverage = Coverage::new(kernel, variant);
        let mut number = 0;
        for (body, blocks) in self.module.all_bodies()?.iter().zip(&self.blocks) {
            for block in blocks {
                coverage.add(
                    || described(body, block, &listing),
                    block.operators.len() as u64,
                    (block.only_traps, ran(number)),
                );
                number += 1;
            }
        }
        let conditions = self.conditions.iter().map(Vec::len).sum();
        let outcomes = words.get(words_of(&self.blocks)..).unwrap_or_default();
        let seen = (0..conditions).filter(|number| !conditions::one_sided(outcomes, *number));
        coverage.comparisons = conditions as u64;
        coverage.comparisons_both_ways = seen.count() as u64;
        let first = FLAGS_OF_WORD * (words_of(&self.blocks) + conditions::words(conditions));
        let changed = self.globals.iter().enumerate();
        let changed = changed.filter(|(global, _)| ran(first + global));
        coverage.globals_changed = changed.map(|(_, index)| *index).collect();
        Ok(coverage)
    }

    /// Words that the code has shortly before blocks that did not run, which it may compare with to get there, and those that comparisons which
    /// came out one way only are with. Blocks at `unreachable`, in bytes from the start of the module, are none that anybody looks for.
    ///
    /// # Errors
    /// If the module cannot be decoded.
    pub fn leading(
        &self,
        flags: &[u32],
        unreachable: &BTreeSet<u64>,
    ) -> Result<Leading, BinaryReaderError> {
        let bodies = self.module.all_bodies()?;
        let mut of_blocks = Vec::new();
        let mut of_traps = Vec::new();
        let mut number = 0;
        for (body, blocks) in bodies.iter().zip(&self.blocks) {
            for block in blocks {
                let start = block.operators.start;
                let offset = body.operators[start].bytes.start as u64;
                if !is_set(flags, number) && !unreachable.contains(&offset) {
                    let before = &body.operators[start.saturating_sub(LOOK_BACK)..start];
                    let operators = before.iter().rev().map(|placed| &placed.operator);
                    let words = operators.flat_map(dictionary::of_operator);
                    match block.only_traps {
                        true => of_traps.extend(words),
                        false => of_blocks.extend(words),
                    }
                }
                number += 1;
            }
        }
        let outcomes = flags.get(words_of(&self.blocks)..).unwrap_or_default();
        let mut of_comparisons = Vec::new();
        let mut number = 0;
        for (body, conditions) in bodies.iter().zip(&self.conditions) {
            for condition in conditions {
                if conditions::one_sided(outcomes, number) {
                    of_comparisons.extend(conditions::compared_with(body, condition.operator));
                }
                number += 1;
            }
        }
        let mut seen = HashSet::new();
        of_blocks.retain(|word| seen.insert(*word));
        of_traps.retain(|word| seen.insert(*word));
        of_comparisons.retain(|word| seen.insert(*word));
        Ok(Leading {
            of_blocks,
            of_traps,
            of_comparisons,
        })
    }
}

/// Flags that are set in one or the other.
pub fn joined(one: &[u32], other: &[u32]) -> Vec<u32> {
    one.iter()
        .zip(other)
        .map(|(one, other)| one | other)
        .collect()
}

/// Words that the flags of blocks take.
fn words_of(blocks: &[Vec<flow::Block>]) -> usize {
    let blocks: usize = blocks.iter().map(Vec::len).sum();
    blocks.div_ceil(FLAGS_OF_WORD)
}

/// Whether the flag of this number is set.
fn is_set(flags: &[u32], number: usize) -> bool {
    let word = flags.get(number / FLAGS_OF_WORD).copied().unwrap_or(0);
    word >> (number % FLAGS_OF_WORD) & 1 == 1
}

/// `global |= flag`, before the first instruction of a block.
fn set_flag(body: &Body<'_>, block: &flow::Block, first_global: u32, number: usize) -> Edit {
    let global = first_global + (number / FLAGS_OF_WORD) as u32;
    let mut with = Vec::new();
    for instruction in [
        Instruction::GlobalGet(global),
        Instruction::I32Const(1 << (number % FLAGS_OF_WORD)),
        Instruction::I32Or,
        Instruction::GlobalSet(global),
    ] {
        instruction.encode(&mut with);
    }
    let at = body.operators[block.operators.start].bytes.start;
    Edit {
        bytes: at..at,
        with,
    }
}

/// A flag for each global that is not what it was in the beginning.
fn globals_changed(globals: &[(u32, Instruction<'static>)]) -> Vec<Instruction<'static>> {
    let mut all = vec![Instruction::I32Const(0)];
    for (flag, (global, begins_with)) in globals.iter().enumerate() {
        let get = Instruction::GlobalGet(*global);
        let differs = match begins_with {
            Instruction::I64Const(_) => vec![get, begins_with.clone(), Instruction::I64Ne],
            Instruction::F32Const(value) => vec![
                get,
                Instruction::I32ReinterpretF32,
                Instruction::I32Const(value.bits() as i32),
                Instruction::I32Ne,
            ],
            Instruction::F64Const(value) => vec![
                get,
                Instruction::I64ReinterpretF64,
                Instruction::I64Const(value.bits() as i64),
                Instruction::I64Ne,
            ],
            Instruction::V128Const(_) => vec![
                get,
                begins_with.clone(),
                Instruction::V128Xor,
                Instruction::V128AnyTrue,
            ],
            _ => vec![get, begins_with.clone(), Instruction::I32Ne],
        };
        all.extend(differs);
        all.extend([
            Instruction::I32Const(flag as i32),
            Instruction::I32Shl,
            Instruction::I32Or,
        ]);
    }
    all
}

/// A function that returns the word of this number: one block in the other, so that the number chooses how far to leave.
fn tell_flags(told: &[Vec<Instruction<'_>>]) -> Function {
    let words = told.len() as u32;
    let mut function = Function::new([]);
    for _ in 0..=words {
        function.instruction(&Instruction::Block(wasm_encoder::BlockType::Empty));
    }
    let targets: Vec<u32> = (0..words).collect();
    function.instruction(&Instruction::LocalGet(0));
    function.instruction(&Instruction::BrTable(targets.into(), words));
    function.instruction(&Instruction::End);
    for word in told {
        word.iter().for_each(|instruction| {
            function.instruction(instruction);
        });
        function.instruction(&Instruction::Return);
        function.instruction(&Instruction::End);
    }
    function.instruction(&Instruction::Unreachable);
    function.instruction(&Instruction::End);
    function
}

/// Instructions of a block that are shown.
const SHOWN: usize = 6;

fn described(body: &Body<'_>, block: &flow::Block, listing: &Listing) -> Block {
    let operators = &body.operators[block.operators.clone()];
    let offset = operators.first().map_or(0, |first| first.bytes.start);
    let mut text: Vec<&str> = operators
        .iter()
        .take(SHOWN)
        .map(|placed| listing.text(placed.bytes.start))
        .collect();
    if operators.len() > SHOWN {
        text.push("...");
    }
    Block {
        function: listing.function(body.function),
        offset: offset as u64,
        instructions: operators.len() as u64,
        text: text.join("; "),
    }
}

#[cfg(test)]
mod tests;
