//! Elements of tensors as numbers.

use half::{bf16, f16};
use kernel_pack::Dtype;
use kernel_reference::float16;

/// Bytes of so many elements; blocks that are not full count as full.
pub fn bytes_of(dtype: Dtype, elements: usize) -> usize {
    let (per_unit, bytes) = dtype.unit();
    elements.div_ceil(per_unit as usize) * bytes as usize
}

/// Elements as numbers; of blocks their values.
pub fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    fn words<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        let (words, _) = bytes.as_chunks::<N>();
        words.iter().map(|word| value(*word)).collect()
    }
    match dtype {
        Dtype::F32 => words(bytes, |word| f32::from_le_bytes(word).into()),
        Dtype::F16 => words(bytes, |word| f16::from_le_bytes(word).to_f64()),
        Dtype::Bf16 => words(bytes, |word| bf16::from_le_bytes(word).to_f64()),
        Dtype::I8 => words(bytes, |[byte]| byte.cast_signed().into()),
        Dtype::U8 => words(bytes, |[byte]| byte.into()),
        Dtype::I32 => words(bytes, |word| i32::from_le_bytes(word).into()),
        Dtype::U32 => words(bytes, |word| u32::from_le_bytes(word).into()),
        Dtype::Q8 => kernel_reference::kv::unpack_q8(bytes),
        Dtype::Q4 => kernel_reference::kv::unpack_q4(bytes),
    }
}

/// The bytes of a number that is rounded to nearest; integers saturate. `None` for blocks, which are made of many.
pub fn encode(dtype: Dtype, value: f64) -> Option<Vec<u8>> {
    Some(match dtype {
        Dtype::F32 => (value as f32).to_le_bytes().to_vec(),
        Dtype::F16 => float16::encode(value).to_le_bytes().to_vec(),
        Dtype::Bf16 => bf16_bits(value).to_le_bytes().to_vec(),
        Dtype::I8 => (value as i8).to_le_bytes().to_vec(),
        Dtype::U8 => (value as u8).to_le_bytes().to_vec(),
        Dtype::I32 => (value as i32).to_le_bytes().to_vec(),
        Dtype::U32 => (value as u32).to_le_bytes().to_vec(),
        Dtype::Q8 | Dtype::Q4 => return None,
    })
}

/// The value of the type that is nearest; of integers and blocks the number itself.
pub fn round(dtype: Dtype, value: f64) -> f64 {
    match dtype {
        Dtype::F32 => (value as f32).into(),
        Dtype::F16 => float16::decode(float16::encode(value)),
        Dtype::Bf16 => bf16::from_bits(bf16_bits(value)).to_f64(),
        Dtype::I8 | Dtype::U8 | Dtype::I32 | Dtype::U32 | Dtype::Q8 | Dtype::Q4 => value,
    }
}

/// The nearest bf16, ties to even. The conversions of `half` from f64 drop the lower half of the significand first, so that what lies just beside
/// a tie is rounded as one.
fn bf16_bits(value: f64) -> u16 {
    let step = spacing(Dtype::Bf16, value);
    let nearest = if value.is_finite() {
        (value / step).round_ties_even() * step
    } else {
        value
    };
    // Exact, or an infinity.
    ((nearest as f32).to_bits() >> 16) as u16
}

/// Whether it is a type of floating-point numbers.
pub fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::Bf16)
}

/// Spacing of values of the type at `value`: 1 for integers, that of the largest finite ones beyond them.
pub fn spacing(dtype: Dtype, value: f64) -> f64 {
    let (significand_bits, smallest, largest) = match dtype {
        Dtype::F32 => (23, -126, 127),
        Dtype::F16 => (10, -14, 15),
        Dtype::Bf16 => (7, -126, 127),
        _ => return 1.0,
    };
    let exponent = ((value.abs().to_bits() >> 52) as i32 - 1023).clamp(smallest, largest);
    2f64.powi(exponent - significand_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for dtype in [
            Dtype::F32,
            Dtype::F16,
            Dtype::Bf16,
            Dtype::I8,
            Dtype::U8,
            Dtype::I32,
            Dtype::U32,
        ] {
            let bytes: Vec<u8> = [0.0, 1.0, 96.0, 127.0]
                .into_iter()
                .flat_map(|value| encode(dtype, value).unwrap())
                .collect();
            assert_eq!(bytes.len(), bytes_of(dtype, 4));
            assert_eq!(decode(dtype, &bytes), [0.0, 1.0, 96.0, 127.0], "{dtype:?}");
        }
        assert_eq!(bytes_of(Dtype::Q4, 33), 36);
        assert_eq!(decode(Dtype::Q8, &[0; 34]).len(), 32);
    }

    #[test]
    fn what_lies_just_beside_a_tie_is_no_tie() {
        // 1 + 2^-11 is halfway between two f16, 1 + 2^-8 between two bf16.
        for (dtype, tie) in [(Dtype::F16, 2f64.powi(-11)), (Dtype::Bf16, 2f64.powi(-8))] {
            assert_eq!(round(dtype, 1.0 + tie), 1.0, "{dtype:?}");
            assert_eq!(
                round(dtype, 1.0 + tie + 2f64.powi(-50)),
                1.0 + 2.0 * tie,
                "{dtype:?}"
            );
        }
        assert_eq!(round(Dtype::Bf16, 3.4e38), f64::INFINITY);
        assert_eq!(round(Dtype::Bf16, -1e-45), 0.0);
        assert!(round(Dtype::Bf16, f64::NAN).is_nan());
    }

    #[test]
    fn spacing_is_that_of_the_type() {
        assert_eq!(spacing(Dtype::F32, 1.0), f64::from(f32::EPSILON));
        assert_eq!(spacing(Dtype::F16, 1.5), 2f64.powi(-10));
        assert_eq!(spacing(Dtype::F16, 0.0), 2f64.powi(-24));
        assert_eq!(spacing(Dtype::Bf16, 4.0), 2f64.powi(-5));
        assert_eq!(spacing(Dtype::I32, 1e6), 1.0);
    }
}
