//! GGUF blocks of 32 elements: Q8_0 and Q4_0.

use kernel_abi::block::{ELEMENTS, Q4_BYTES, Q8_BYTES};

use crate::element::{Element, F16, F32};

/// The magnitude below one half that, added to a value, makes truncation round halves away from zero. With 0.5 itself
/// the sum of the largest float below one half would round up to 1.
const JUST_BELOW_HALF: f32 = f32::from_bits(0x3eff_ffff);

/// Quantises 32 values to a Q8_0 block: f16 scale max|x| / 127, then codes rounded half away from zero.
pub fn pack_q8(values: &[f32; ELEMENTS], block: &mut [u8; Q8_BYTES]) {
    let mut largest = 0f32;
    for value in values {
        let magnitude = value.abs();
        // A comparison with NaN is false: NaN never wins.
        if magnitude > largest {
            largest = magnitude;
        }
    }
    let scale = largest / 127.0;
    let inverse = inverse(scale);
    let [low, high, codes @ ..] = block;
    [*low, *high] = F16::store(scale);
    for (code, value) in codes.iter_mut().zip(values) {
        let exact = value * inverse;
        *code = (exact + JUST_BELOW_HALF.copysign(exact)) as i8 as u8;
    }
}

/// Quantises 32 values to a Q4_0 block: f16 scale m / -8 with m the first value of largest magnitude, then nibbles
/// min(15, trunc(x / scale + 8.5)), element j low and element j + 16 high.
pub fn pack_q4(values: &[f32; ELEMENTS], block: &mut [u8; Q4_BYTES]) {
    let (mut largest, mut signed) = (0f32, 0f32);
    for &value in values {
        if value.abs() > largest {
            largest = value.abs();
            signed = value;
        }
    }
    let scale = signed / -8.0;
    let inverse = inverse(scale);
    let [low, high, codes @ ..] = block;
    [*low, *high] = F16::store(scale);
    // The cast saturates: a NaN and what lies below 0 give 0.
    let nibble = |value: f32| ((value * inverse + 8.5) as u8).min(15);
    let (first, second) = values.split_at(ELEMENTS / 2);
    for ((code, &first), &second) in codes.iter_mut().zip(first).zip(second) {
        *code = nibble(first) | nibble(second) << 4;
    }
}

/// The 32 values of a Q8_0 block: code * scale.
pub fn unpack_q8(block: &[u8; Q8_BYTES]) -> [f32; ELEMENTS] {
    let mut values = [0.0; ELEMENTS];
    let [low, high, codes @ ..] = block;
    let scale = [*low, *high].load();
    for (value, code) in values.iter_mut().zip(codes) {
        *value = f32::from(*code as i8) * scale;
    }
    values
}

/// The 32 values of a Q4_0 block: (nibble - 8) * scale.
pub fn unpack_q4(block: &[u8; Q4_BYTES]) -> [f32; ELEMENTS] {
    let mut values = [0.0; ELEMENTS];
    let [low, high, codes @ ..] = block;
    let scale = [*low, *high].load();
    let (first, second) = values.split_at_mut(ELEMENTS / 2);
    for ((first, second), code) in first.iter_mut().zip(second).zip(codes) {
        *first = f32::from((code & 15) as i8 - 8) * scale;
        *second = f32::from((code >> 4) as i8 - 8) * scale;
    }
    values
}

/// Reads 32 f32.
pub fn load(elements: &[F32; ELEMENTS]) -> [f32; ELEMENTS] {
    elements.map(Element::load)
}

/// 1 / scale, and 0 for the scale 0 of a block of zeros.
fn inverse(scale: f32) -> f32 {
    if scale != 0.0 { 1.0 / scale } else { 0.0 }
}
