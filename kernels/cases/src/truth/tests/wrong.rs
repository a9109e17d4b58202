//! Kernels that are wrong in ways that happen: each must be rejected.

use super::*;
use kernel_reference::kv;

/// Cases each wrong kernel is tried on; one rejection rejects it.
const CASES: u64 = 40;

fn is_rejected(kernel: &str, entry: Entry, wrong: impl Fn(&Case) -> Option<Vec<u8>>) -> bool {
    (0..CASES).any(|seed| {
        let case = ordinary(kernel, entry, &mut Random(seed + 1_000_000));
        wrong(&case).is_some_and(|output| matches!(judge(&case, &output), Verdict::Fail(_)))
    })
}

fn floats(case: &Case) -> (Vec<f64>, Vec<f64>) {
    let format = format_of(&case.kernel);
    (decode(format, &case.a), decode(format, &case.b))
}

/// rope with a sine and a cosine of one's own, for f32, f16 and q8, with angles.
fn rope_with(
    case: &Case,
    sin: impl Fn(f64) -> f64,
    cos: impl Fn(f64) -> f64,
    exponent: f64,
) -> Option<Vec<u8>> {
    let params = Rope::from_le_bytes(&case.params)?;
    if params.table != 0 {
        return None;
    }
    let (head_dim, seq) = (params.head_dim as usize, params.seq as usize);
    let half = head_dim / 2;
    let x = if case.kernel == "rope_q8" {
        kv::unpack_q8(&case.a)
    } else {
        decode(format_of(&case.kernel), &case.a)
    };
    let given = decode(Format::F32, &case.b);
    let mut y = vec![0.0; x.len()];
    for (head, (x, y)) in x.chunks(head_dim).zip(y.chunks_mut(head_dim)).enumerate() {
        let position = head / params.heads as usize % seq;
        for i in 0..half {
            let angle = given.get(position * half + i).copied().unwrap_or_else(|| {
                let power = exponent * i as f64 / head_dim as f64;
                position as f64 * f64::from(params.theta).powf(power)
            });
            let (p, q) = if params.layout == 1 {
                (i, i + half)
            } else {
                (2 * i, 2 * i + 1)
            };
            y[p] = x[p] * cos(angle) - x[q] * sin(angle);
            y[q] = x[p] * sin(angle) + x[q] * cos(angle);
        }
    }
    Some(if case.kernel == "rope_q8" {
        kv::pack_q8(&y.iter().map(|v| *v as f32).collect::<Vec<_>>())
    } else {
        of(format_of(&case.kernel), &y)
    })
}

const ROPES: [&str; 3] = ["rope_f32", "rope_f16", "rope_q8"];

#[test]
fn the_plain_rotation_these_tests_bend_is_accepted() {
    for kernel in ROPES {
        let rejected = is_rejected(kernel, Entry::Forward, |case| {
            rope_with(case, f64::sin, f64::cos, -2.0)
        });
        assert!(!rejected, "{kernel}");
    }
}

#[test]
fn a_sine_that_is_off_near_pi_is_rejected() {
    let sin = |angle: f64| {
        let near_pi = (angle.rem_euclid(std::f64::consts::TAU) - std::f64::consts::PI).abs() < 0.2;
        angle.sin() + if near_pi { 7e-3 } else { 0.0 }
    };
    for kernel in ROPES {
        assert!(
            is_rejected(kernel, Entry::Forward, |case| rope_with(
                case,
                sin,
                f64::cos,
                -2.0
            )),
            "{kernel}"
        );
    }
}

#[test]
fn swapped_sine_and_cosine_and_a_turn_the_other_way_are_rejected() {
    for kernel in ROPES {
        assert!(is_rejected(kernel, Entry::Forward, |case| {
            rope_with(case, f64::cos, f64::sin, -2.0)
        }));
        assert!(is_rejected(kernel, Entry::Forward, |case| {
            rope_with(case, |angle| -angle.sin(), f64::cos, -2.0)
        }));
    }
}

#[test]
fn a_wrong_exponent_of_theta_and_angles_reduced_in_f32_are_rejected() {
    for kernel in ROPES {
        assert!(is_rejected(kernel, Entry::Forward, |case| {
            rope_with(case, f64::sin, f64::cos, -1.0)
        }));
    }
    let reduced = |angle: f64| f64::from(angle as f32 % std::f32::consts::TAU);
    assert!(is_rejected("rope_f32", Entry::Forward, |case| {
        rope_with(
            case,
            |angle| reduced(angle).sin(),
            |angle| reduced(angle).cos(),
            -2.0,
        )
    }));
}

fn rmsnorm_with(case: &Case, root: impl Fn(f64, f64) -> f64) -> Option<Vec<u8>> {
    let params = RmsNorm::from_le_bytes(&case.params)?;
    let (x, w) = floats(case);
    let y: Vec<f64> = x
        .chunks(w.len())
        .flat_map(|row| {
            let mean = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
            let root = root(mean, f64::from(params.eps));
            row.iter().zip(&w).map(move |(x, w)| x / root * w)
        })
        .collect();
    Some(of(format_of(&case.kernel), &y))
}

#[test]
fn rmsnorm_with_eps_outside_the_root_or_without_it_is_rejected() {
    for kernel in ["rmsnorm_f32", "rmsnorm_f16"] {
        let rejects = |root: fn(f64, f64) -> f64| {
            is_rejected(kernel, Entry::Forward, |case| rmsnorm_with(case, root))
        };
        assert!(!rejects(|mean, eps| (mean + eps).sqrt()));
        assert!(rejects(|mean, eps| mean.sqrt() + eps));
        assert!(rejects(|mean, _| mean.sqrt()));
        assert!(rejects(|mean, eps| mean + eps));
    }
}

#[test]
fn rmsnorm_with_a_factor_off_by_2e_6_is_rejected_as_the_loose_tolerance_would_not() {
    assert!(is_rejected("rmsnorm_f32", Entry::Forward, |case| {
        rmsnorm_with(case, |mean, eps| (mean + eps).sqrt() * (1.0 + 2e-6))
    }));
}

#[test]
fn swiglu_that_swaps_its_inputs_forgets_beta_or_clamps_is_rejected() {
    let swiglu = |case: &Case, y: &dyn Fn(f64, f64, f64) -> f64| {
        let beta = f64::from(Swiglu::from_le_bytes(&case.params).unwrap().beta);
        let (x, gate) = floats(case);
        let y: Vec<f64> = x
            .iter()
            .zip(&gate)
            .map(|(x, gate)| y(beta, *gate, *x))
            .collect();
        Some(of(format_of(&case.kernel), &y))
    };
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    for kernel in ["swiglu_f32", "swiglu_f16"] {
        let rejects = |y: &dyn Fn(f64, f64, f64) -> f64| {
            is_rejected(kernel, Entry::Forward, |case| swiglu(case, y))
        };
        assert!(!rejects(&|beta, gate, x| gate * sigmoid(beta * gate) * x));
        assert!(rejects(&|beta, gate, x| x * sigmoid(beta * x) * gate));
        assert!(rejects(&|_, gate, x| gate * sigmoid(gate) * x));
        assert!(rejects(&|beta, gate, x| sigmoid(beta * gate) * x));
    }
    // MLAS clamps the argument: absolute accuracy only.
    assert!(is_rejected("swiglu_f32", Entry::Forward, |case| {
        swiglu(case, &|beta, gate, x| {
            gate * sigmoid((beta * gate).max(-18.0)) * x
        })
    }));
}

#[test]
fn lora_with_alpha_not_divided_a_missing_base_or_an_f16_intermediate_is_rejected() {
    let lora = |case: &Case, factor: &dyn Fn(&Lora) -> f64, with_base: bool, narrow: bool| {
        let params = Lora::from_le_bytes(&case.params).unwrap();
        let (x, weights) = floats(case);
        let (inputs, rank) = (params.in_features as usize, params.rank as usize);
        let outputs = params.out_features as usize;
        let (a, b) = weights.split_at(inputs * rank);
        let base = decode(format_of(&case.kernel), case.base.as_ref().unwrap());
        let scale = f64::from(params.scale) * factor(&params);
        let mut y = Vec::new();
        for (x, base) in x.chunks(inputs).zip(base.chunks(outputs)) {
            for (column, base) in base.iter().enumerate() {
                let mut sum = 0.0;
                for r in 0..rank {
                    let h: f64 = (0..inputs).map(|i| x[i] * a[i * rank + r]).sum();
                    let h = if narrow { Format::F16.round(h) } else { h };
                    sum += h * b[r * outputs + column];
                }
                y.push(if with_base { *base } else { 0.0 } + scale * sum);
            }
        }
        Some(of(format_of(&case.kernel), &y))
    };
    for kernel in ["lora_apply_f32", "lora_apply_f16"] {
        let rejects = |factor: &dyn Fn(&Lora) -> f64, with_base, narrow| {
            is_rejected(kernel, Entry::Forward, |case| {
                lora(case, factor, with_base, narrow)
            })
        };
        assert!(!rejects(&|_| 1.0, true, false));
        assert!(rejects(&|params| f64::from(params.rank), true, false));
        assert!(rejects(&|_| 1.0, false, false));
        assert!(rejects(&|_| 1.0, true, true));
    }
}

/// Q8_0 with a rounding and a scale for the division of one's own.
fn pack_q8_with(values: &[f32], round: fn(f32) -> f32, inverse_of: fn(f32) -> f32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in values.chunks(32) {
        let scale = block.iter().fold(0.0_f32, |most, x| most.max(x.abs())) / 127.0;
        let used = inverse_of(scale);
        let inverse = if used == 0.0 { 0.0 } else { 1.0 / used };
        bytes.extend(float16::encode(f64::from(scale)).to_le_bytes());
        bytes.extend(
            block
                .iter()
                .map(|x| (round(x * inverse) as i8).cast_unsigned()),
        );
    }
    bytes
}

#[test]
fn halves_to_even_and_division_by_the_stored_scale_are_rejected() {
    // 254 makes the step 2, so odd values are halves.
    let mut values: Vec<f32> = (0..32).map(|i| i as f32).collect();
    values[31] = 254.0;
    let bytes = f32s(&values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
    let params = Kv { rows: 1, dim: 32 }.to_le_bytes();
    let case = case("kv_pack_q8", Entry::Forward, &params, bytes, Vec::new());
    let passes = |output: &[u8]| matches!(judge(&case, output), Verdict::Pass { .. });
    assert!(passes(&pack_q8_with(&values, f32::round, |scale| scale)));
    assert!(!passes(&pack_q8_with(
        &values,
        f32::round_ties_even,
        |scale| scale
    )));

    let stored = |scale: f32| Format::F16.round(f64::from(scale)) as f32;
    assert!(is_rejected("kv_pack_q8", Entry::Forward, |case| {
        let values: Vec<f32> = decode(Format::F32, &case.a)
            .iter()
            .map(|v| *v as f32)
            .collect();
        Some(pack_q8_with(&values, f32::round, stored))
    }));
}

#[test]
fn rope_q8_with_halves_to_even_is_rejected() {
    // The table doubles the last pair and leaves the others: 254 steps of 1 make the new step 2, so odd codes are halves.
    let mut blocks = vec![0x00, 0x3c];
    blocks.extend(0..30_u8);
    blocks.extend([127, 0]);
    let cos: Vec<f64> = (0..16).map(|i| if i == 15 { 2.0 } else { 1.0 }).collect();
    let params = Rope {
        theta: 10_000.0,
        seq: 1,
        head_dim: 32,
        heads: 1,
        batch: 1,
        layout: 0,
        table: 1,
    };
    let mut values: Vec<f32> = kv::unpack_q8(&blocks).iter().map(|v| *v as f32).collect();
    values[30] *= 2.0;
    let table = [f32s(&cos), f32s(&[0.0; 16])].concat();
    let case = case(
        "rope_q8",
        Entry::Forward,
        &params.to_le_bytes(),
        blocks,
        table,
    );
    let right = pack_q8_with(&values, f32::round, |scale| scale);
    let wrong = pack_q8_with(&values, f32::round_ties_even, |scale| scale);
    assert!(matches!(judge(&case, &right), Verdict::Pass { .. }));
    assert!(matches!(judge(&case, &wrong), Verdict::Fail(_)));
}

#[test]
fn swapped_nibbles_are_rejected() {
    for kernel in ["kv_pack_q4", "kv_unpack_q4"] {
        assert!(is_rejected(kernel, Entry::Forward, |case| {
            let swap = |blocks: &mut [u8]| {
                for block in blocks.chunks_exact_mut(18) {
                    block[2..]
                        .iter_mut()
                        .for_each(|byte| *byte = byte.rotate_left(4));
                }
            };
            if kernel == "kv_pack_q4" {
                let mut output = run(case);
                swap(&mut output);
                Some(output)
            } else {
                let mut swapped = case.clone();
                swap(&mut swapped.a);
                Some(run(&swapped))
            }
        }));
    }
}

#[test]
fn gradients_that_miss_a_term_are_rejected() {
    for format in ["f32", "f16"] {
        // dx without the term through the root.
        assert!(is_rejected(
            &format!("rmsnorm_{format}"),
            Entry::Backward,
            |case| {
                let params = RmsNorm::from_le_bytes(&case.params)?;
                let (a, w) = floats(case);
                let (dy, x) = a.split_at(a.len() / 2);
                let mut output = decode(format_of(&case.kernel), &run(case));
                for (row, x) in x.chunks(w.len()).enumerate() {
                    let mean = x.iter().map(|x| x * x).sum::<f64>() / w.len() as f64;
                    for (i, w) in w.iter().enumerate() {
                        let at = row * x.len() + i;
                        output[at] = w * dy[at] / (mean + f64::from(params.eps)).sqrt();
                    }
                }
                Some(of(format_of(&case.kernel), &output))
            }
        ));
        // dgate without the slope of the sigmoid.
        assert!(is_rejected(
            &format!("swiglu_{format}"),
            Entry::Backward,
            |case| {
                let params = Swiglu::from_le_bytes(&case.params)?;
                let (a, gate) = floats(case);
                let (dy, x) = a.split_at(a.len() / 2);
                let mut output = decode(format_of(&case.kernel), &run(case));
                for (i, gate) in gate.iter().enumerate() {
                    let s = 1.0 / (1.0 + (-f64::from(params.beta) * gate).exp());
                    output[gate_index(i, dy)] = dy[i] * x[i] * s;
                }
                Some(of(format_of(&case.kernel), &output))
            }
        ));
        // dB without scale.
        assert!(is_rejected(
            &format!("lora_apply_{format}"),
            Entry::Backward,
            |case| {
                let params = Lora::from_le_bytes(&case.params)?;
                let mut output = decode(format_of(&case.kernel), &run(case));
                let db = output.len() - (params.rank * params.out_features) as usize;
                for value in &mut output[db..] {
                    *value /= f64::from(params.scale);
                }
                Some(of(format_of(&case.kernel), &output))
            }
        ));
    }
}

/// dgate lies behind dx.
fn gate_index(i: usize, dy: &[f64]) -> usize {
    dy.len() + i
}

#[test]
fn one_wrong_element_in_any_output_is_rejected() {
    for kernel in &kernel_core::KERNELS {
        for seed in 0..CASES {
            let mut random = Random(seed);
            let case = ordinary(kernel.id, Entry::Forward, &mut random);
            let mut output = run(&case);
            // The highest bit of one byte: a sign, an exponent, a code by 128, a nibble by 8.
            let width = match format_of(kernel.id) {
                Format::F32 if kernel.id.ends_with("f32") || kernel.id.contains("unpack") => 4,
                Format::F16 => 2,
                Format::F32 => 1,
            };
            let at = random.count(0, case.output_size / width - 1) * width + width - 1;
            output[at as usize] ^= 0x40;
            let verdict = judge(&case, &output);
            assert!(
                matches!(verdict, Verdict::Fail(_)),
                "{} {seed}: {verdict:?}",
                kernel.id
            );
        }
    }
}

#[test]
fn a_zero_of_a_product_has_its_sign() {
    for (kernel, format) in [("swiglu_f32", Format::F32), ("swiglu_f16", Format::F16)] {
        let params = Swiglu {
            rows: 1,
            hidden: 4,
            beta: 1.0,
        };
        let x = [1.0, 1.0, -0.0, -2.0];
        let gate = [-200.0, -0.0, 3.0, -200.0];
        let mut case = case(
            kernel,
            Entry::Forward,
            &params.to_le_bytes(),
            of(format, &x),
            of(format, &gate),
        );
        case.output_size = case.a.len() as u32;
        let judged = |output: &[f64]| judge(&case, &of(format, output));
        assert!(matches!(
            judged(&[-0.0, -0.0, -0.0, 0.0]),
            Verdict::Pass { .. }
        ));
        for wrong in 0..4 {
            let mut output = [-0.0, -0.0, -0.0, 0.0];
            output[wrong] = -output[wrong];
            assert!(matches!(judged(&output), Verdict::Fail(_)), "{wrong}");
        }
    }
}
