//! Comparisons, and which of their two outcomes calls have seen: what feeds a `select`, a mask or a branch without an `else` decides something without
//! a block of its own. A search is led by them; they are no part of the share of code that ran.

use super::dictionary;
use crate::rewrite::{
    body::{Body, Edit},
    flow,
};
use wasm_encoder::{Encode, Instruction};
use wasmparser::Operator;

/// Instructions before a comparison in which the constant that it compares with is looked for.
const LOOK_BACK: usize = 4;
/// Comparisons that a word of flags has: two bits each.
const OF_WORD: usize = 16;

/// A comparison of a function: its position, and whether its result has lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) operator: usize,
    pub(super) lanes: bool,
}

/// Where outcomes are kept: a global for the result itself, one for one with lanes, and the first word of flags.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) scalar: u32,
    pub(super) lanes: u32,
    pub(super) first: u32,
}

/// Words of flags for so many comparisons.
pub(super) fn words(conditions: usize) -> usize {
    conditions.div_ceil(OF_WORD)
}

/// The comparisons of a function that are looked at: those with a constant close by, and those that a `select` chooses by. Others decide by what
/// calls pass alone, and have a block for each outcome.
pub(super) fn of_body(body: &Body<'_>, blocks: &[flow::Block]) -> Vec<Condition> {
    let looked_at = blocks.iter().filter(|block| !block.only_traps);
    let mut conditions: Vec<Condition> = looked_at
        .flat_map(|block| block.operators.clone())
        .filter_map(|index| {
            let lanes = kind(&body.operators[index].operator)?;
            let next = body.operators.get(index + 1).map(|next| &next.operator);
            let chooses = matches!(
                next,
                Some(Operator::Select | Operator::TypedSelect { .. } | Operator::V128Bitselect)
            );
            (chooses || compared_with(body, index).next().is_some()).then_some(Condition {
                operator: index,
                lanes,
            })
        })
        .collect();
    conditions.sort_unstable_by_key(|condition| condition.operator);
    conditions
}

/// The constants that a comparison may be with, the nearest first.
pub(super) fn compared_with<'a>(
    body: &'a Body<'_>,
    index: usize,
) -> impl Iterator<Item = u32> + 'a {
    let before = &body.operators[index.saturating_sub(LOOK_BACK)..index];
    let operators = before.iter().rev().map(|placed| &placed.operator);
    operators.flat_map(dictionary::of_operator)
}

/// Whether the comparison of this number came out one way only.
pub(super) fn one_sided(flags: &[u32], number: usize) -> bool {
    let word = flags.get(number / OF_WORD).copied().unwrap_or(0);
    word >> (2 * (number % OF_WORD)) & 3 != 3
}

/// `global |= 1 << outcome`, right behind a comparison, whose result stays.
pub(super) fn keep(body: &Body<'_>, condition: Condition, number: usize, kept: Kept) -> Edit {
    let word = kept.first + (number / OF_WORD) as u32;
    let flag = 2 * (number % OF_WORD) as i32;
    let own = if condition.lanes {
        kept.lanes
    } else {
        kept.scalar
    };
    let mut with = vec![Instruction::GlobalSet(own), Instruction::GlobalGet(own)];
    if condition.lanes {
        // Each lane is all ones or zeros: some may hold, and some not.
        with.extend([
            Instruction::GlobalGet(own),
            Instruction::V128AnyTrue,
            Instruction::I32Const(1),
            Instruction::I32Shl,
            Instruction::GlobalGet(own),
            Instruction::I8x16AllTrue,
            Instruction::I32Eqz,
            Instruction::I32Or,
            Instruction::I32Const(flag),
            Instruction::I32Shl,
        ]);
    } else {
        with.extend([
            Instruction::I32Const(1),
            Instruction::GlobalGet(own),
            Instruction::I32Const(flag),
            Instruction::I32Add,
            Instruction::I32Shl,
        ]);
    }
    with.extend([
        Instruction::GlobalGet(word),
        Instruction::I32Or,
        Instruction::GlobalSet(word),
    ]);
    let mut bytes = Vec::new();
    with.iter()
        .for_each(|instruction| instruction.encode(&mut bytes));
    let at = body.operators[condition.operator].bytes.end;
    Edit {
        bytes: at..at,
        with: bytes,
    }
}

/// Whether a comparison gives lanes; `None` for what is none.
fn kind(operator: &Operator<'_>) -> Option<bool> {
    use Operator::*;
    match operator {
        I32Eqz | I32Eq | I32Ne | I32LtS | I32LtU | I32GtS | I32GtU | I32LeS | I32LeU | I32GeS
        | I32GeU | I64Eqz | I64Eq | I64Ne | I64LtS | I64LtU | I64GtS | I64GtU | I64LeS | I64LeU
        | I64GeS | I64GeU | F32Eq | F32Ne | F32Lt | F32Gt | F32Le | F32Ge | F64Eq | F64Ne
        | F64Lt | F64Gt | F64Le | F64Ge => Some(false),
        I8x16Eq | I8x16Ne | I8x16LtS | I8x16LtU | I8x16GtS | I8x16GtU | I8x16LeS | I8x16LeU
        | I8x16GeS | I8x16GeU | I16x8Eq | I16x8Ne | I16x8LtS | I16x8LtU | I16x8GtS | I16x8GtU
        | I16x8LeS | I16x8LeU | I16x8GeS | I16x8GeU | I32x4Eq | I32x4Ne | I32x4LtS | I32x4LtU
        | I32x4GtS | I32x4GtU | I32x4LeS | I32x4LeU | I32x4GeS | I32x4GeU | I64x2Eq | I64x2Ne
        | I64x2LtS | I64x2GtS | I64x2LeS | I64x2GeS | F32x4Eq | F32x4Ne | F32x4Lt | F32x4Gt
        | F32x4Le | F32x4Ge | F64x2Eq | F64x2Ne | F64x2Lt | F64x2Gt | F64x2Le | F64x2Ge => {
            Some(true)
        }
        _ => None,
    }
}
