//! Whatever the bytes are, nothing panics; and the comparisons that know no truth.

use super::*;

const KERNELS: [&str; 15] = [
    "rope_f32",
    "rope_f16",
    "rope_q8",
    "rmsnorm_f32",
    "rmsnorm_f16",
    "swiglu_f32",
    "swiglu_f16",
    "kv_pack_q4",
    "kv_pack_q8",
    "kv_unpack_q4",
    "kv_unpack_q8",
    "lora_apply_f32",
    "lora_apply_f16",
    "",
    "unheard_of",
];

fn bytes(random: &mut Random, most: u32) -> Vec<u8> {
    (0..random.count(0, most))
        .map(|_| random.word() as u8)
        .collect()
}

#[test]
fn any_bytes_are_judged_without_a_panic() {
    for seed in 0..20_000 {
        let random = &mut Random(seed);
        let kernel = KERNELS[random.count(0, 14) as usize];
        let entry = if random.count(0, 1) == 0 {
            Entry::Forward
        } else {
            Entry::Backward
        };
        let mut params = bytes(random, 30);
        if random.count(0, 1) == 0 {
            // Small and huge words, so that sizes fit now and then and products wrap.
            let word = |random: &mut Random| match random.count(0, 9) {
                0 => u32::MAX,
                1 => 1 << 16,
                2 => 32,
                _ => random.count(0, 3),
            };
            params = (0..random.count(2, 7))
                .flat_map(|_| word(random).to_le_bytes())
                .collect();
        }
        let case = Case {
            base: (random.count(0, 1) == 0).then(|| bytes(random, 80)),
            stress: random.count(0, 3) == 0,
            ..case(
                kernel,
                entry,
                &params,
                bytes(random, 140),
                bytes(random, 80),
            )
        };
        exercise(&case, random);
    }
}

#[test]
fn fitting_inputs_with_any_contents_are_judged_without_a_panic() {
    for seed in 0..4000 {
        let random = &mut Random(seed);
        let kernel = KERNELS[random.count(0, 12) as usize];
        let has_gradient = kernel_core::kernel(kernel).unwrap().has_backward;
        let entry = if has_gradient && random.count(0, 1) == 0 {
            Entry::Backward
        } else {
            Entry::Forward
        };
        let mut case = ordinary(kernel, entry, random);
        case.stress = random.count(0, 3) == 0;
        for tensor in [Some(&mut case.a), Some(&mut case.b), case.base.as_mut()]
            .into_iter()
            .flatten()
        {
            tensor
                .iter_mut()
                .for_each(|byte| *byte = random.word() as u8);
        }
        let output: Vec<u8> = (0..case.output_size).map(|_| random.word() as u8).collect();
        let _ = judge(&case, &output);
        exercise(&case, random);
    }
}

fn exercise(case: &Case, random: &mut Random) {
    let (output, other) = (bytes(random, 140), bytes(random, 140));
    let _ = judge(case, &output);
    for binding in [Binding::Bits, Binding::Tolerance, Binding::Informs] {
        let external = External {
            oracle: "cr".to_owned(),
            bytes: other.clone(),
            binding,
            magnitude: (random.count(0, 1) == 0).then(|| random.values(3, 1.0)),
        };
        let _ = judge_external(case, &external, &output);
    }
    let differ = bits_differ(case, &output, &other);
    assert_eq!(
        differ.is_none(),
        canonical(case, &output) == canonical(case, &other)
    );
    assert_eq!(bits_differ(case, &output, &output), None);
    if let Some(flipped) = flip_nans(case) {
        assert_ne!(&flipped, case);
        assert_eq!(flip_nans(&flipped).is_some(), flip_nans(case).is_some());
    }
}

#[test]
fn sizes_that_do_not_fit_are_told_apart_from_outputs_that_do_not() {
    let params = Swiglu {
        rows: 1,
        hidden: 2,
        beta: 1.0,
    }
    .to_le_bytes();
    let good = case(
        "swiglu_f32",
        Entry::Forward,
        &params,
        f32s(&[1.0, 2.0]),
        f32s(&[1.0, 2.0]),
    );
    assert!(matches!(judge(&good, &[0; 4]), Verdict::Fail(_)));
    let short = Case {
        b: f32s(&[1.0]),
        ..good.clone()
    };
    assert_eq!(
        judge(&short, &[0; 8]),
        Verdict::NotApplicable("input b has 4 bytes where the parameters ask for 8".to_owned())
    );
    let huge = Swiglu {
        rows: u32::MAX,
        hidden: u32::MAX,
        beta: 1.0,
    };
    let huge = Case {
        params: huge.to_le_bytes().to_vec(),
        ..good
    };
    assert!(matches!(judge(&huge, &[0; 8]), Verdict::NotApplicable(_)));
}

#[test]
fn nans_are_a_class_and_nothing_else_is() {
    let params = Kv { rows: 1, dim: 32 }.to_le_bytes();
    let of_kernel = |kernel: &str| case(kernel, Entry::Forward, &params, Vec::new(), Vec::new());
    let f32s = of_kernel("swiglu_f32");
    let nan = |bits: u32| bits.to_le_bytes();
    assert_eq!(
        bits_differ(&f32s, &nan(0x7fc0_0000), &nan(0xff80_0001)),
        None
    );
    assert!(bits_differ(&f32s, &nan(0x7fc0_0000), &nan(0x7f80_0000)).is_some());
    assert!(bits_differ(&f32s, &nan(0), &nan(0x8000_0000)).is_some());
    let mismatch = bits_differ(
        &f32s,
        &[nan(0), nan(0x3f80_0000)].concat(),
        &[nan(0), nan(0x3f80_000c)].concat(),
    );
    assert_eq!(
        mismatch.unwrap().to_string(),
        "index 1: expected 0x3f800000 (1.0), got 0x3f80000c (1.0000014), 12 ulp; bits differ"
    );
    assert_eq!(
        bits_differ(&f32s, &[0; 8], &[0; 4]).unwrap().to_string(),
        "index 4: expected 8 bytes, got 4 bytes; lengths differ"
    );

    // In a block only the scale is a float.
    for (kernel, block_bytes) in [("kv_pack_q8", 34), ("kv_pack_q4", 18)] {
        let case = of_kernel(kernel);
        let block = |scale: u16, code: u8| {
            let mut block = vec![code; block_bytes];
            block[..2].copy_from_slice(&scale.to_le_bytes());
            block
        };
        assert_eq!(
            bits_differ(&case, &block(0x7e00, 1), &block(0xfc01, 1)),
            None
        );
        assert!(bits_differ(&case, &block(0x7e00, 1), &block(0x7c00, 1)).is_some());
        assert!(bits_differ(&case, &block(0x7e00, 0x7e), &block(0x7e00, 0xfe)).is_some());
    }
    let case = of_kernel("kv_pack_q4");
    let mut other = [0; 36];
    other[18 + 2 + 5] = 0x30;
    let mismatch = bits_differ(&case, &[0; 36], &other).unwrap();
    assert_eq!(mismatch.index, 32 + 16 + 5);
    assert_eq!(
        (mismatch.expected.as_str(), mismatch.got.as_str()),
        ("nibble 0", "nibble 3")
    );
    // The unpacked output is f32.
    let unpacked = of_kernel("kv_unpack_q4");
    assert_eq!(
        bits_differ(&unpacked, &nan(0x7fc0_0000), &nan(0xff80_0001)),
        None
    );
}

#[test]
fn flipped_nans_are_other_nans_of_the_same_kind_and_all_else_stays() {
    let params = Rope {
        theta: 1.0,
        seq: 1,
        head_dim: 2,
        heads: 1,
        batch: 1,
        layout: 0,
        table: 2,
    };
    let halves = |values: &[u16]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let case = case(
        "rope_f16",
        Entry::Forward,
        &params.to_le_bytes(),
        halves(&[0x3c00, 0x7e00, 0x7c01, 0xfca5, 0x7ca5, 0x7c00]),
        halves(&[0xfe01, 0x0000]),
    );
    let flipped = flip_nans(&case).unwrap();
    let words = |bytes: &[u8]| -> Vec<u16> {
        bytes
            .chunks(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .collect()
    };
    for (before, after) in [(&case.a, &flipped.a), (&case.b, &flipped.b)] {
        for (before, after) in words(before).into_iter().zip(words(after)) {
            if before & 0x7fff > 0x7c00 {
                assert!(after & 0x7fff > 0x7c00, "{after:#x}");
                assert_eq!(before & 0x200, after & 0x200);
                assert_eq!(before & 0x8000, !after & 0x8000);
                assert_ne!(before & 0x1ff, after & 0x1ff);
            } else {
                assert_eq!(before, after);
            }
        }
    }
    assert_eq!(
        flip_nans(&Case {
            a: halves(&[0x7c00; 2]),
            b: Vec::new(),
            ..case.clone()
        }),
        None
    );

    let base = Case {
        base: Some(f32s(&[f64::NAN])),
        ..self::case(
            "lora_apply_f32",
            Entry::Forward,
            &[],
            Vec::new(),
            Vec::new(),
        )
    };
    assert!(flip_nans(&base).is_some());
    let signalling = Case {
        a: 0x7f80_0001_u32.to_le_bytes().to_vec(),
        ..self::case("swiglu_f32", Entry::Forward, &[], Vec::new(), Vec::new())
    };
    let flipped = flip_nans(&signalling).unwrap();
    let bits = u32::from_le_bytes(flipped.a[..].try_into().unwrap());
    assert!(bits & 0x7fff_ffff > 0x7f80_0000 && bits & 0x0040_0000 == 0);
    // A scale is a float, a code is not.
    let block = [vec![0x00, 0x7e], vec![0xff; 32]].concat();
    let blocks = self::case("kv_unpack_q8", Entry::Forward, &[], block, Vec::new());
    assert_eq!(flip_nans(&blocks).unwrap().a[2..], [0xff; 32]);
}
