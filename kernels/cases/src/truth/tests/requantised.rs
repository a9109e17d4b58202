//! Scales and codes of rope_q8: what may be off by one, and how often.

use super::*;

#[test]
fn requantised_codes_and_scales() {
    let mut random = Random(3);
    let params = Rope {
        theta: 10_000.0,
        seq: 2,
        head_dim: 64,
        heads: 1,
        batch: 1,
        layout: 0,
        table: 0,
    };
    let blocks = q8_blocks(&mut random, 128);
    let angles: Vec<f64> = (0..64).map(|i| f64::from(i) * 0.37).collect();
    let case = Case {
        output_size: blocks.len() as u32,
        ..case(
            "rope_q8",
            Entry::Forward,
            &params.to_le_bytes(),
            blocks,
            f32s(&angles),
        )
    };
    let right = run(&case);
    let changed = |at: usize, by: i16| {
        let mut output = right.clone();
        let word = i16::from_le_bytes([output[at], output[at + 1]]) + by;
        output[at..at + 2].copy_from_slice(&word.to_le_bytes());
        judge(&case, &output)
    };
    assert!(matches!(judge(&case, &right), Verdict::Pass { .. }));
    for by in [-1, 1] {
        assert_eq!(changed(34, by), Verdict::Pass { max_ulp: 1.0 });
        assert!(matches!(changed(34, 2 * by), Verdict::Fail(_)));
        // A code that no rounding explains, low byte of the word.
        assert!(matches!(changed(40, by), Verdict::Fail(_)));
    }
}

/// Blocks whose every odd code lies on a border that the f32 tolerance cannot decide.
fn undecided(heads: u32) -> (Case, Vec<u8>) {
    let mut block = vec![0x00, 0x3c];
    block.extend([1, 1, 3, 3, 5, 5]);
    block.extend([2; 24]);
    block.extend([127, 0]);
    let params = Rope {
        theta: 10_000.0,
        seq: 1,
        head_dim: 32,
        heads,
        batch: 1,
        layout: 0,
        table: 1,
    };
    let cos: Vec<f64> = (0..16).map(|i| if i == 15 { 2.0 } else { 1.0 }).collect();
    let table = [f32s(&cos), f32s(&[0.0; 16])].concat();
    let blocks = block.repeat(heads as usize);
    let case = case(
        "rope_q8",
        Entry::Forward,
        &params.to_le_bytes(),
        blocks,
        table,
    );
    let output = run(&Case {
        output_size: heads * 34,
        ..case.clone()
    });
    (case, output)
}

#[test]
fn codes_on_a_border_may_be_off_by_one_but_not_many_of_them() {
    for (heads, may) in [(1, 1), (8, 5)] {
        let (case, right) = undecided(heads);
        let with = |count: usize| {
            let mut output = right.clone();
            for index in 0..count {
                // Halves went away from zero: the other side is one less.
                output[index / 6 * 34 + 2 + index % 6] -= 1;
            }
            judge(&case, &output)
        };
        assert!(matches!(with(0), Verdict::Pass { .. }));
        assert!(matches!(with(may), Verdict::Pass { .. }));
        assert!(matches!(with(may + 1), Verdict::Fail(_)));
    }
}
