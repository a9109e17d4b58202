//! Numbers that a module has in its code: what it may compare dimensions, parameters and inputs with.

use crate::rewrite::Module;
use std::collections::BTreeSet;
use wasmparser::{BinaryReaderError, Operator};

/// All constants of a module as words of 32 bits, each with the next ones on both sides.
///
/// # Errors
/// If the module cannot be decoded.
pub fn words(wasm: &[u8]) -> Result<BTreeSet<u32>, BinaryReaderError> {
    let module = Module::of(wasm.to_vec())?;
    let mut words = BTreeSet::new();
    let mut add = |word: u32| words.extend([word.wrapping_sub(1), word, word.wrapping_add(1)]);
    for body in module.all_bodies()? {
        for placed in &body.operators {
            match placed.operator {
                Operator::I32Const { value } => add(value as u32),
                Operator::F32Const { value } => add(value.bits()),
                Operator::I64Const { value } => {
                    add(value as u32);
                    add((value >> 32) as u32);
                }
                Operator::F64Const { value } => {
                    add((f64::from_bits(value.bits()) as f32).to_bits());
                }
                Operator::V128Const { value } => {
                    for lane in value.bytes().chunks_exact(4) {
                        add(u32::from_le_bytes([lane[0], lane[1], lane[2], lane[3]]));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(words)
}
