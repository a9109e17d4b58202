//! The kernels of `kernel_core`, which are meant to be right, on thousands of ordinary inputs.

use super::*;
use kernel_core::KERNELS;

/// Cases of each kernel and entry.
const CASES: u64 = 1000;

#[test]
fn native_kernels_are_within_the_tolerance_and_always_judged() {
    for kernel in &KERNELS {
        for entry in [Entry::Forward, Entry::Backward] {
            if entry == Entry::Backward && !kernel.has_backward {
                continue;
            }
            let mut largest = 0.0_f64;
            for seed in 0..CASES {
                let case = ordinary(kernel.id, entry, &mut Random(seed * 977));
                let output = run(&case);
                let verdict = judge(&case, &output);
                assert!(
                    matches!(verdict, Verdict::Pass { .. }),
                    "{} {entry:?}, seed {seed}: {verdict:?}",
                    kernel.id
                );
                largest = largest.max(part_of_tolerance(&case, &output));
            }
            println!("{} {entry:?}: {largest:.3} of the tolerance", kernel.id);
        }
    }
}

/// Values at which something ends: the range, the normal range, exactness, sense.
const EXTREMES: [f64; 18] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f32::MAX as f64,
    f32::MIN as f64,
    1e30,
    -3e19,
    1e-30,
    -1.2e-38,
    1e-45,
    -6e-8,
    65504.0,
    88.5,
    -100.0,
];

/// The extremes a kernel is tried with. lora_apply is spared those that are only moderately larger than ordinary values: with
/// such a term in front each addition behind it rounds, and a correct sequential sum exceeds the contract's tolerance, which
/// goes by the square root of the number of terms, about once in 1e5 elements.
fn extremes(kernel: &str) -> &'static [f64] {
    if kernel.starts_with("lora") {
        &EXTREMES[..15]
    } else {
        &EXTREMES
    }
}

/// Replaces some values of a tensor.
fn salt(values: &[f64], format: Format, bytes: &mut [u8], random: &mut Random, one_in: u32) {
    let width = if format == Format::F16 { 2 } else { 4 };
    for element in bytes.chunks_exact_mut(width) {
        if random.count(1, one_in) == 1 {
            let value = values[random.count(0, values.len() as u32 - 1) as usize];
            element.copy_from_slice(&of(format, &[value]));
        }
    }
}

#[test]
fn native_kernels_never_fail_on_extreme_values() {
    for kernel in &KERNELS {
        for entry in [Entry::Forward, Entry::Backward] {
            if entry == Entry::Backward && !kernel.has_backward {
                continue;
            }
            let values = extremes(kernel.id);
            let (mut passed, mut unjudged) = (0, 0);
            for seed in 0..CASES {
                let mut random = Random(seed * 31 + 7);
                let mut case = ordinary(kernel.id, entry, &mut random);
                let one_in = [2, 10, 60, 200][seed as usize % 4];
                let format = format_of(kernel.id);
                if kernel.id.starts_with("kv_unpack") || kernel.id == "rope_q8" {
                    let block_bytes = if kernel.id.ends_with("q4") { 18 } else { 34 };
                    for block in case.a.chunks_exact_mut(block_bytes) {
                        salt(values, Format::F16, &mut block[..2], &mut random, one_in);
                    }
                } else {
                    salt(values, format, &mut case.a, &mut random, one_in);
                }
                let wide_table = case.kernel != "rope_f16"
                    || Rope::from_le_bytes(&case.params).is_none_or(|rope| rope.table < 2);
                let b_format = if wide_table && case.kernel.starts_with("rope") {
                    Format::F32
                } else {
                    format
                };
                salt(values, b_format, &mut case.b, &mut random, one_in);
                if let Some(base) = &mut case.base {
                    salt(values, format, base, &mut random, one_in);
                }
                match judge(&case, &run(&case)) {
                    Verdict::Pass { .. } => passed += 1,
                    Verdict::NotApplicable(_) | Verdict::Unknown(_) => unjudged += 1,
                    Verdict::Fail(mismatch) => {
                        panic!("{} {entry:?}, seed {seed}: {mismatch}\n{case:?}", kernel.id)
                    }
                }
            }
            println!(
                "{} {entry:?}: {passed} passed, {unjudged} not judged",
                kernel.id
            );
        }
    }
}

#[test]
fn blocks_of_zeros_of_any_sign_have_the_scales_of_the_contract() {
    let params = Kv { rows: 1, dim: 32 }.to_le_bytes();
    for kernel in ["kv_pack_q8", "kv_pack_q4"] {
        for negative in [0_u32, 1, 1 << 31, u32::MAX, 0x5555_5555] {
            let zero = |i: u32| if negative >> i & 1 == 1 { -0.0 } else { 0.0 };
            let a = f32s(&(0..32).map(zero).collect::<Vec<_>>());
            let case = Case {
                output_size: if kernel == "kv_pack_q8" { 34 } else { 18 },
                ..case(kernel, Entry::Forward, &params, a, Vec::new())
            };
            let output = run(&case);
            assert_eq!(
                judge(&case, &output),
                Verdict::Pass { max_ulp: 0.0 },
                "{negative:#x}"
            );
            let scale = if kernel == "kv_pack_q8" { 0 } else { 0x80 };
            assert_eq!(output[1], scale, "{negative:#x}");
        }
    }
}

/// The contract's sum is sequential in f32: its error in long rows must have room. It has where the elements vary. In rows of
/// equal elements every addition within a binade rounds the same way: from about 1000 elements on the contract's own
/// arithmetic leaves the contract's own tolerance (by a factor of up to 8 at 4096), see `docs/kernels.md`.
#[test]
fn long_rows_are_within_the_tolerance() {
    for kernel in ["rmsnorm_f32", "rmsnorm_f16"] {
        for hidden in [1000, 4096, 11008] {
            for seed in 0..4 {
                let mut random = Random(seed);
                let params = RmsNorm {
                    eps: 1e-5,
                    hidden,
                    rows: 1,
                };
                let format = format_of(kernel);
                let x = random.values(hidden, 1.0 + seed as f64);
                let w = random.values(hidden, 1.0);
                let a = of(format, &x);
                let case = Case {
                    output_size: a.len() as u32,
                    ..case(
                        kernel,
                        Entry::Forward,
                        &params.to_le_bytes(),
                        a,
                        of(format, &w),
                    )
                };
                let output = run(&case);
                let part = part_of_tolerance(&case, &output);
                println!("{kernel} {hidden}: {part:.3} of the tolerance");
                assert!(part <= 1.0, "{kernel}, {hidden} elements: {part}");
            }
        }
    }
}

/// The largest error as a part of what is allowed.
fn part_of_tolerance(case: &Case, output: &[u8]) -> f64 {
    let Ok(Expectation::Elements(format, tensors)) = expectation(case) else {
        return 0.0;
    };
    tensors
        .iter()
        .flat_map(|(policy, elements)| elements.iter().map(move |element| (policy, element)))
        .zip(decode(format, output))
        .map(|((policy, element), got)| {
            let Truth::Value(value) = element.truth else {
                panic!("an ordinary element without truth");
            };
            let expected = format.round(value);
            let error = (got - expected).abs();
            if error == 0.0 {
                0.0
            } else {
                error / (policy.allowed(element, expected) + element.loss)
            }
        })
        .fold(0.0, f64::max)
}
