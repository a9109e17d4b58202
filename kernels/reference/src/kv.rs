//! The block formats Q8_0 and Q4_0 of GGUF, as ggml's reference quantisation defines them (`quantize_row_q8_0_ref`,
//! `quantize_row_q4_0_ref` and their inverses). The contract is exact, f32 operation by f32 operation, and so is this.

use crate::float16;
use kernel_abi::block::{ELEMENTS, Q4_BYTES, Q8_BYTES};

/// Q8_0 blocks of `values`, 32 by 32.
pub fn pack_q8(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() / ELEMENTS * Q8_BYTES);
    for block in values.chunks_exact(ELEMENTS) {
        let scale = largest(block).abs() / 127.0;
        let inverse = inverse(scale);
        bytes.extend(float16::encode(f64::from(scale)).to_le_bytes());
        // Halves go away from zero; casts saturate and take NaN to 0.
        bytes.extend(
            block
                .iter()
                .map(|x| ((x * inverse).round() as i8).cast_unsigned()),
        );
    }
    bytes
}

/// Q4_0 blocks of `values`, 32 by 32.
pub fn pack_q4(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() / ELEMENTS * Q4_BYTES);
    for block in values.chunks_exact(ELEMENTS) {
        let scale = largest(block) / -8.0;
        let inverse = inverse(scale);
        bytes.extend(float16::encode(f64::from(scale)).to_le_bytes());
        // A cast truncates, saturates and takes NaN to 0.
        let nibble = |x: f32| ((x * inverse + 8.5) as u8).min(15);
        let (low, high) = block.split_at(ELEMENTS / 2);
        bytes.extend(
            low.iter()
                .zip(high)
                .map(|(low, high)| nibble(*low) | nibble(*high) << 4),
        );
    }
    bytes
}

/// The values of Q8_0 blocks: code times scale, which f32 holds exactly.
pub fn unpack_q8(blocks: &[u8]) -> Vec<f64> {
    blocks
        .chunks_exact(Q8_BYTES)
        .flat_map(|block| {
            let scale = float16::decode(u16::from_le_bytes([block[0], block[1]]));
            block[2..]
                .iter()
                .map(move |code| f64::from(code.cast_signed()) * scale)
        })
        .collect()
}

/// The values of Q4_0 blocks: nibble less 8 times scale, which f32 holds exactly.
pub fn unpack_q4(blocks: &[u8]) -> Vec<f64> {
    blocks
        .chunks_exact(Q4_BYTES)
        .flat_map(|block| {
            let scale = float16::decode(u16::from_le_bytes([block[0], block[1]]));
            let codes = &block[2..];
            let low = codes.iter().map(|byte| byte & 15);
            let high = codes.iter().map(|byte| byte >> 4);
            low.chain(high)
                .map(move |nibble| (f64::from(nibble) - 8.0) * scale)
        })
        .collect()
}

/// The first element of largest magnitude. NaN is never it; of zeros it is +0, from which the search starts.
fn largest(block: &[f32]) -> f32 {
    block.iter().fold(
        0.0,
        |largest: f32, x| if x.abs() > largest.abs() { *x } else { largest },
    )
}

fn inverse(scale: f32) -> f32 {
    if scale != 0.0 { 1.0 / scale } else { 0.0 }
}
