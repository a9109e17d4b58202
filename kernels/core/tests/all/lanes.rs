//! What kernels compute with: conversions of f16 against those of another library, and four lanes against one.

use crate::common::{Call, f16s, f32s};
use half::f16;
use kernel_core::{Element, F16, F32, F32x4, KERNELS, Kernel, Lanes, kernel, variant};
use proptest::prelude::*;

#[test]
fn every_f16_is_widened_exactly() {
    for bits in 0..=u16::MAX {
        let expected = f16::from_bits(bits).to_f32();
        let actual = bits.to_le_bytes().load();
        assert!(
            actual.to_bits() == expected.to_bits() || actual.is_nan() && expected.is_nan(),
            "{bits:#06x}: {actual} instead of {expected}"
        );
    }
}

#[test]
fn every_f32_beside_a_border_is_rounded_to_the_nearest_f16() {
    // Borders of rounding have zeros in the low bits: all of them, and what lies beside them.
    for high in 0..=u32::MAX >> 12 {
        let border = high << 12;
        for bits in [border.wrapping_sub(1), border, border + 1] {
            let value = f32::from_bits(bits);
            let expected = f16::from_f32_const(value);
            let actual = f16::from_le_bytes(F16::store(value));
            assert!(
                actual.to_bits() == expected.to_bits() || actual.is_nan() && expected.is_nan(),
                "{bits:#010x}: {actual} instead of {expected}"
            );
        }
    }
}

/// Of eight at a time, as variants have them; a NaN that is computed is quiet.
#[test]
fn eight_at_a_time_are_converted_as_one() {
    for first in (0..=u16::MAX).step_by(8) {
        let halves = [0, 1, 2, 3, 4, 5, 6, 7].map(|index| (first + index).to_le_bytes());
        let mut wide = [F32::default(); 8];
        F32::store_pair(F16::load_pair::<F32x4>(&halves), &mut wide);
        for (half, wide) in halves.iter().zip(wide) {
            let (expected, actual) = (half.load(), f32::from_le_bytes(wide));
            assert!(
                actual.to_bits() == expected.to_bits() || actual.is_nan() && expected.is_nan(),
                "{half:?}: {actual} instead of {expected}"
            );
        }
    }
    for high in 0..=u32::MAX >> 13 {
        let border = high << 13;
        let values = [-4096, -2, -1, 0, 1, 2, 4095, 4097].map(|offset| {
            let value = f32::from_bits(border.wrapping_add_signed(offset));
            value.to_le_bytes()
        });
        let quiet = |value: F32| !value.load().is_nan() || value[2] & 0x40 != 0;
        let mut halves = [F16::default(); 8];
        F16::store_pair(F32::load_pair::<F32x4>(&values), &mut halves);
        for (half, value) in halves.into_iter().zip(values) {
            let expected = F16::store(value.load());
            assert!(half == expected || !quiet(value), "{value:?}: {half:?}");
        }
    }
}

#[test]
fn a_nan_is_stored_quiet_whatever_its_bits() {
    for bits in [0x7f80_0001, 0xff80_0001, 0x7fc0_1234, 0xffff_ffff] {
        let stored = u16::from_le_bytes(F16::store(f32::from_bits(bits)));
        assert_eq!(stored & 0x7fff, 0x7e00, "{bits:#010x}");
    }
}

/// Of numbers beside each whole one.
#[test]
fn halves_are_rounded_away_from_zero() {
    fn rounded<L: Lanes>(twice: f32) -> u8 {
        let mut bytes = [0; 16];
        L::store_halves_rounded([L::splat(twice); 4], &mut bytes);
        let first = bytes[0];
        assert!(
            bytes
                .into_iter()
                .take(4 * L::COUNT)
                .all(|byte| byte == first)
        );
        first
    }
    for whole in -254..=254_i16 {
        let twice = f32::from(whole);
        for twice in [twice.next_down(), twice, twice.next_up()] {
            let expected = (twice / 2.0).round() as i8 as u8;
            assert_eq!(rounded::<f32>(twice), expected, "{twice}");
            assert_eq!(rounded::<F32x4>(twice), expected, "{twice}");
        }
    }
}

#[test]
fn features_choose_the_build() {
    let base = kernel("rmsnorm_f32").unwrap();
    assert!(std::ptr::eq(
        variant("rmsnorm_f32", &[""; 0]).unwrap(),
        base
    ));
    assert!(std::ptr::eq(
        variant("rmsnorm_f32", &["bulk-memory"]).unwrap(),
        base
    ));
    assert!(!std::ptr::eq(
        variant("rmsnorm_f32", &["bulk-memory", "simd"]).unwrap(),
        base
    ));
    assert!(variant("rmsnorm_f64", &["simd"]).is_none());
}

/// A call with whole blocks of every loop and something left of each.
fn large(id: &str, layout: u32) -> Call {
    let params = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let size = if id.ends_with("f16") { 2 } else { 4 };
    let call = |a: usize, b: usize, output: usize, scratch: usize, params: Vec<u8>| Call {
        a: vec![0; a],
        b: vec![0; b],
        output: vec![0; output],
        scratch: vec![0; scratch],
        params,
    };
    let kv = |bytes| (bytes, params(&[1, 32 * 15]));
    match id {
        "rope_f32" | "rope_f16" => {
            let bytes = 2 * 2 * 174 * size;
            let rope = params(&[1e4f32.to_bits(), 2, 174, 2, 1, layout, 0]);
            call(bytes, 2 * 87 * 4, bytes, 0, rope)
        }
        "rope_q8" => {
            let rope = params(&[1e4f32.to_bits(), 2, 96, 2, 1, layout, 0]);
            call(2 * 2 * 3 * 34, 2 * 48 * 4, 2 * 2 * 3 * 34, 0, rope)
        }
        "rmsnorm_f32" | "rmsnorm_f16" => {
            let row = 339 * size;
            call(
                6 * row,
                row,
                6 * row,
                24,
                params(&[1e-5f32.to_bits(), 339, 6]),
            )
        }
        "swiglu_f32" | "swiglu_f16" => {
            let bytes = 87 * size;
            call(bytes, bytes, bytes, 0, params(&[1, 87, 1.5f32.to_bits()]))
        }
        "lora_apply_f32" | "lora_apply_f16" => {
            let lora = params(&[2, 87, 21, 23, 0.5f32.to_bits()]);
            let adapter = (87 * 21 + 21 * 23) * size;
            call(2 * 87 * size, adapter, 2 * 23 * size, 2 * 21 * 4, lora)
        }
        "kv_pack_q4" | "kv_pack_q8" => {
            let (block, params) = kv(if id.ends_with("q4") { 18 } else { 34 });
            call(15 * 128, 0, 15 * block, 0, params)
        }
        _ => {
            let (block, params) = kv(if id.ends_with("q4") { 18 } else { 34 });
            call(15 * block, 0, 15 * 128, 0, params)
        }
    }
}

/// Fills all tensors; tame: with numbers of moderate size.
fn fill(call: &mut Call, id: &str, words: &[u32], tame: bool) {
    let bytes = words.iter().flat_map(|&word| {
        let tamed = if id.ends_with("f16") || id.contains("_q") {
            word & 0x8fff_8fff | 0x3000_3000
        } else {
            word & 0x83ff_ffff | 0x3c00_0000
        };
        (if tame { tamed } else { word }).to_le_bytes()
    });
    let mut bytes = bytes.cycle();
    for tensor in [&mut call.a, &mut call.b, &mut call.output] {
        tensor.fill_with(|| bytes.next().unwrap());
    }
}

fn values(id: &str, bytes: &[u8]) -> Vec<f32> {
    if id.ends_with("f16") {
        f16s(bytes)
    } else {
        f32s(bytes)
    }
}

/// Equal bits, NaN as a class where the output consists of numbers.
fn same(id: &str, one: &[u8], four: &[u8]) -> bool {
    let numbers = !(id.starts_with("kv_pack") || id == "rope_q8");
    let pairs = values(id, one).into_iter().zip(values(id, four));
    one == four
        || numbers
            && pairs
                .into_iter()
                .all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
}

#[test]
fn no_nan_is_the_largest_value_of_a_block() {
    for id in ["kv_pack_q4", "kv_pack_q8"] {
        for features in [&[][..], &["simd"]] {
            let packed = |index: usize, bits: u32| {
                let mut call = large(id, 0);
                fill(
                    &mut call,
                    id,
                    &[0x3f80_0000, 0xbf00_0000, 0x4000_0000],
                    false,
                );
                call.a[4 * index..][..4].copy_from_slice(&bits.to_le_bytes());
                call.run(variant(id, features).unwrap(), Kernel::forward).0
            };
            for index in 0..32 {
                let quiet = packed(index, 0x7fc0_0000);
                assert!(
                    f16::from_le_bytes([quiet[0], quiet[1]]).is_finite(),
                    "{id} {features:?}"
                );
                for bits in [0xffc0_0000, 0x7f80_0001, 0xff80_0001, 0x7fbf_ffff] {
                    assert_eq!(
                        packed(index, bits),
                        quiet,
                        "{id} {features:?}: {bits:#x} at {index}"
                    );
                }
            }
        }
    }
}

/// Beyond 2^16 and below 2^-16 the lanes go another way.
#[test]
fn every_beta_gives_the_bits_of_one_lane() {
    let betas = (0..255u32).map(|exponent| f32::from_bits(exponent << 23 | 0x12_3456));
    for beta in betas.chain([0.0, -0.0, f32::MAX, 65_535.0, 65_536.0, 1.0 / 65_536.0]) {
        for beta in [beta, -beta] {
            for id in ["swiglu_f32", "swiglu_f16"] {
                let mut call = large(id, 0);
                call.params[8..].copy_from_slice(&beta.to_le_bytes());
                let words: Vec<u32> = (0..997u32)
                    .map(|index| index.wrapping_mul(0x9e37_79b9))
                    .collect();
                fill(&mut call, id, &words, false);
                // A gate for which the exponential is neither 0 nor infinite.
                call.b[..4].copy_from_slice(&(3.0 / beta).to_le_bytes());
                let (one, _) = call.run(kernel(id).unwrap(), Kernel::forward);
                let (four, _) = call.run(variant(id, &["simd"]).unwrap(), Kernel::forward);
                assert!(same(id, &one, &four), "{id}, beta {beta}");
            }
        }
    }
}

proptest! {
    /// Only sums across lanes are ordered otherwise, and rmsnorm alone has one.
    #[test]
    fn four_lanes_give_the_bits_of_one(
        index in 0..KERNELS.len(),
        words in prop::collection::vec(any::<u32>(), 997),
        tame in any::<bool>(),
        layout in 0..2u32,
    ) {
        let id = KERNELS[index].id;
        let mut call = large(id, layout);
        fill(&mut call, id, &words, tame);
        let (one, _) = call.run(kernel(id).unwrap(), Kernel::forward);
        let (four, _) = call.run(variant(id, &["simd"]).unwrap(), Kernel::forward);
        if id.starts_with("rmsnorm") {
            let close = |(a, b): (f32, f32)| (a - b).abs() <= 1e-3 * a.abs();
            prop_assert!(
                !tame || values(id, &one).into_iter().zip(values(id, &four)).all(close),
                "{id}"
            );
        } else {
            prop_assert!(same(id, &one, &four), "{id}");
        }
    }
}
