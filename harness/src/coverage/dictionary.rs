//! Numbers that a module has in its code: what it may compare dimensions, parameters and inputs with.

use crate::rewrite::Module;
use std::collections::BTreeSet;
use wasmparser::{BinaryReaderError, Operator};

/// All constants of a module as words of 32 bits.
///
/// # Errors
/// If the module cannot be decoded.
pub fn constants(wasm: &[u8]) -> Result<BTreeSet<u32>, BinaryReaderError> {
    let module = Module::of(wasm.to_vec())?;
    let bodies = module.all_bodies()?;
    let operators = bodies.iter().flat_map(|body| &body.operators);
    Ok(operators
        .flat_map(|placed| of_operator(&placed.operator))
        .collect())
}

/// All constants of a module as words of 32 bits, each with the next ones on both sides.
///
/// # Errors
/// If the module cannot be decoded.
pub fn words(wasm: &[u8]) -> Result<BTreeSet<u32>, BinaryReaderError> {
    let near = |word: u32| [word.wrapping_sub(1), word, word.wrapping_add(1)];
    Ok(constants(wasm)?.into_iter().flat_map(near).collect())
}

/// The constants of an instruction.
pub(super) fn of_operator(operator: &Operator<'_>) -> Vec<u32> {
    match operator {
        Operator::I32Const { value } => vec![*value as u32],
        Operator::F32Const { value } => vec![value.bits()],
        Operator::I64Const { value } => vec![*value as u32, (value >> 32) as u32],
        Operator::F64Const { value } => vec![(f64::from_bits(value.bits()) as f32).to_bits()],
        Operator::V128Const { value } => {
            let (lanes, _) = value.bytes().as_chunks();
            lanes.iter().map(|lane| u32::from_le_bytes(*lane)).collect()
        }
        _ => Vec::new(),
    }
}
