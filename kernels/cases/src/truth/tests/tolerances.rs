//! Every tolerance, by the numbers of the contract written out again: the last value inside passes, the first outside fails.

use super::*;
use crate::tolerance::{ulps_f16, ulps_f32};

const EPSILON: f64 = 1.192_092_895_507_812_5e-7; // 2^-23
const U: f64 = EPSILON / 2.0;

/// The next value of the format.
fn step(format: Format, value: f64, up: bool) -> f64 {
    match format {
        Format::F32 => {
            let value = value as f32;
            f64::from(if up {
                value.next_up()
            } else {
                value.next_down()
            })
        }
        Format::F16 => {
            let bits = float16::encode(value);
            // Bits count away from zero.
            let outwards = up == (bits & 0x8000 == 0);
            float16::decode(if outwards { bits + 1 } else { bits - 1 })
        }
    }
}

/// Holds element `index` of the case against `allowed`; all others have their true value.
fn border(case: &Case, index: usize, truth: f64, allowed: f64) {
    border_by(case, index, truth, allowed, |case, output| {
        judge(case, output)
    });
}

fn border_by(
    case: &Case,
    index: usize,
    truth: f64,
    allowed: f64,
    judge: impl Fn(&Case, &[u8]) -> Verdict,
) {
    let Ok(Expectation::Elements(format, tensors)) = expectation(case) else {
        panic!("no elements");
    };
    let exact: Vec<f64> = tensors
        .iter()
        .flat_map(|(_, elements)| elements)
        .map(|element| match element.truth {
            Truth::Value(value) => format.round(value),
            _ => panic!("no truth"),
        })
        .collect();
    let expected = format.round(truth);
    assert!(
        (exact[index] - expected).abs() <= 1e-12 * expected.abs(),
        "{} {expected}",
        exact[index]
    );
    let with = |value: f64| {
        let mut values = exact.clone();
        values[index] = value;
        judge(case, &of(format, &values))
    };
    for up in [true, false] {
        let mut inside = expected;
        let outside = loop {
            let next = step(format, inside, up);
            if (next - expected).abs() > allowed {
                break next;
            }
            inside = next;
        };
        let verdict = with(inside);
        assert!(
            matches!(verdict, Verdict::Pass { .. }),
            "{inside}: {verdict:?}"
        );
        match with(outside) {
            Verdict::Fail(mismatch) => assert_eq!(mismatch.index, index),
            verdict => panic!("{outside}: {verdict:?}"),
        }
    }
}

fn ulp16(value: f64) -> f64 {
    2f64.powi(value.abs().log2().floor().max(-14.0) as i32 - 10)
}

fn rope(table: u32) -> Vec<u8> {
    let params = Rope {
        theta: 10_000.0,
        seq: 1,
        head_dim: 4,
        heads: 1,
        batch: 1,
        layout: 0,
        table,
    };
    params.to_le_bytes().to_vec()
}

#[test]
fn rope_with_angles() {
    let (x, angles) = ([3.0, 4.0, 0.5, 0.25], [1.0, 2.0]);
    let truth = 3.0 * 1f64.cos() - 4.0 * 1f64.sin();
    let case_f32 = case(
        "rope_f32",
        Entry::Forward,
        &rope(0),
        f32s(&x),
        f32s(&angles),
    );
    border(&case_f32, 0, truth, 4.0 * EPSILON * 5.0);
    let case_f16 = case(
        "rope_f16",
        Entry::Forward,
        &rope(0),
        f16s(&x),
        f32s(&angles),
    );
    border(&case_f16, 0, truth, ulp16(truth) + 4.0 * EPSILON * 5.0);
}

#[test]
fn rope_with_tables() {
    let (x, table) = ([3.0, 4.0, 0.5, 0.25], [0.5, 1.0, 0.75, 0.0]);
    let truth = 3.0 * 0.5 - 4.0 * 0.75;
    let case_f32 = case("rope_f32", Entry::Forward, &rope(1), f32s(&x), f32s(&table));
    border(&case_f32, 0, truth, 2.0 * EPSILON * 5.0);
    for (params, b) in [(rope(1), f32s(&table)), (rope(2), f16s(&table))] {
        let case_f16 = case("rope_f16", Entry::Forward, &params, f16s(&x), b);
        border(&case_f16, 0, truth, ulp16(truth) + 4.0 * EPSILON * 5.0);
    }
}

#[test]
fn beyond_the_accurate_angles_only_size_and_finiteness_count() {
    let angles = f32s(&[131_073.0, 1e30]);
    let case = case(
        "rope_f32",
        Entry::Forward,
        &rope(0),
        f32s(&[3.0, 4.0, 1.0, 0.0]),
        angles,
    );
    let verdict = |y: [f64; 4]| judge(&case, &f32s(&y));
    assert!(matches!(
        verdict([5.0, -5.0, 1.0, -1.0]),
        Verdict::Pass { .. }
    ));
    assert!(matches!(verdict([5.001, 0.0, 1.0, 0.0]), Verdict::Fail(_)));
    assert!(matches!(
        verdict([0.0, 0.0, 1.0, f64::INFINITY]),
        Verdict::Fail(_)
    ));
    assert!(matches!(
        verdict([f64::NAN, 0.0, 1.0, 0.0]),
        Verdict::Fail(_)
    ));
    let infinite = Case {
        b: f32s(&[f64::INFINITY, 0.0]),
        ..case.clone()
    };
    let nan = f64::NAN;
    assert!(matches!(
        judge(&infinite, &f32s(&[nan, nan, 1.0, 0.0])),
        Verdict::Pass { .. }
    ));
    assert!(matches!(
        judge(&infinite, &f32s(&[0.0, nan, 1.0, 0.0])),
        Verdict::Fail(_)
    ));
}

#[test]
fn rmsnorm() {
    for hidden in [2_u32, 1024] {
        let params = RmsNorm {
            eps: 0.0,
            hidden,
            rows: 1,
        };
        let x: Vec<f64> = (0..hidden)
            .map(|i| if i == 0 { 3.0 } else { 1.0 })
            .collect();
        let w = vec![1.0; hidden as usize];
        let truth = 3.0 / ((9.0 + f64::from(hidden) - 1.0) / f64::from(hidden)).sqrt();
        let relative = if hidden == 2 { 1e-6 } else { 6.25e-8 * 32.0 };
        let params = params.to_le_bytes();
        let case_f32 = case("rmsnorm_f32", Entry::Forward, &params, f32s(&x), f32s(&w));
        border(&case_f32, 0, truth, relative * f64::from(truth as f32));
        let case_f16 = case("rmsnorm_f16", Entry::Forward, &params, f16s(&x), f16s(&w));
        border(&case_f16, 0, truth, ulp16(truth));
    }
}

#[test]
fn swiglu() {
    let params = Swiglu {
        rows: 1,
        hidden: 1,
        beta: 1.0,
    }
    .to_le_bytes();
    for (gate, x) in [(2.0, 3.0), (-79.0, 3.0), (-85.0, 3.0)] {
        let truth = gate * (1.0 / (1.0 + f64::exp(-gate))) * x;
        let mut allowed = 8.0 * EPSILON * f64::from(truth as f32).abs() + 2f64.powi(-126);
        let case = case(
            "swiglu_f32",
            Entry::Forward,
            &params,
            f32s(&[x]),
            f32s(&[gate]),
        );
        if gate < -80.0 {
            // The floor is larger than the value: its border is far from one ulp.
            allowed += 1e-30 * x;
            let near = f32s(&[truth + allowed * 0.999]);
            assert!(matches!(judge(&case, &near), Verdict::Pass { .. }));
            let far = f32s(&[truth + allowed * 1.001]);
            assert!(matches!(judge(&case, &far), Verdict::Fail(_)));
        } else {
            border(&case, 0, truth, allowed);
        }
    }
    let truth = 2.0 / (1.0 + f64::exp(-2.0)) * 3.0;
    let case = case(
        "swiglu_f16",
        Entry::Forward,
        &params,
        f16s(&[3.0]),
        f16s(&[2.0]),
    );
    border(&case, 0, truth, ulp16(truth));
}

fn lora(kernel: &str, entry: Entry, a: &[f64], b: &[f64], base: &[f64]) -> Case {
    let params = Lora {
        rows: 1,
        in_features: 2,
        rank: 2,
        out_features: 1,
        scale: -0.5,
    };
    let format = format_of(kernel);
    Case {
        base: (entry == Entry::Forward).then(|| of(format, base)),
        ..case(
            kernel,
            entry,
            &params.to_le_bytes(),
            of(format, a),
            of(format, b),
        )
    }
}

#[test]
fn lora_with_cancellation() {
    // h = (1*2 + 3*(-1), 1*4 + 3*0.5) = (-1, 5.5); y = 1 - 0.5*(-1*3 + 5.5*2) = -3.
    let (x, weights, base) = ([1.0, 3.0], [2.0, 4.0, -1.0, 0.5, 3.0, 2.0], [1.0]);
    let magnitude = 1.0 + 0.5 * ((2.0 + 3.0) * 3.0 + (4.0 + 1.5) * 2.0);
    let bound = (4.0 + 0.5 * 2.0) * U * magnitude;
    border(
        &lora("lora_apply_f32", Entry::Forward, &x, &weights, &base),
        0,
        -3.0,
        bound,
    );
    border(
        &lora("lora_apply_f16", Entry::Forward, &x, &weights, &base),
        0,
        -3.0,
        ulp16(3.0) + bound,
    );
}

#[test]
fn gradients() {
    // u = -0.5*dy*B^T = -0.5*2*(3, 2) = (-3, -2); dx0 = -3*2 + -2*4 = -14, of 14; dx1 = -3*(-1) + -2*0.5 = 2, of 4.
    let (dy_x, weights) = ([2.0, 1.0, 3.0], [2.0, 4.0, -1.0, 0.5, 3.0, 2.0]);
    let bound = (8.0 + 2.0 * f64::sqrt(3.0)) * U * 4.0;
    border(
        &lora("lora_apply_f32", Entry::Backward, &dy_x, &weights, &[]),
        1,
        2.0,
        bound,
    );
    border(
        &lora("lora_apply_f16", Entry::Backward, &dy_x, &weights, &[]),
        1,
        2.0,
        ulp16(2.0) + bound,
    );

    // One row of x = (1, 1), w = (1, 2), dy = (3, 0.5), eps = 0: r = 1, sum = 4, dx = (3 - 2, 1 - 2), dw = (3, 0.5).
    let params = RmsNorm {
        eps: 0.0,
        hidden: 2,
        rows: 1,
    }
    .to_le_bytes();
    let (dy_x, w) = ([3.0, 0.5, 1.0, 1.0], [1.0, 2.0]);
    let case_f32 = case(
        "rmsnorm_f32",
        Entry::Backward,
        &params,
        f32s(&dy_x),
        f32s(&w),
    );
    border(&case_f32, 0, 1.0, (8.0 + 2.0 * f64::sqrt(2.0)) * U * 5.0);
    border(&case_f32, 2, 3.0, (8.0 + 2.0 * f64::sqrt(3.0)) * U * 3.0);

    // beta = 1, gate = 0: s = 1/2; dx = 0, dgate = dy*x/2 with nothing of beta*gate in it.
    let params = Swiglu {
        rows: 1,
        hidden: 1,
        beta: 1.0,
    }
    .to_le_bytes();
    let case_f32 = case(
        "swiglu_f32",
        Entry::Backward,
        &params,
        f32s(&[3.0, 2.0]),
        f32s(&[0.0]),
    );
    border(&case_f32, 1, 3.0, 8.0 * U * 3.0);
}

#[test]
fn values_next_to_overflow_may_fall_on_either_side_and_others_may_not() {
    let max = f64::from(f32::MAX);
    let rotated = |x0: f64, x1: f64, y0: f64| {
        // cos = sin = 1: re = x0 - x1, im = x0 + x1.
        let x = [x0, x1, 0.0, 0.0];
        let case = case(
            "rope_f32",
            Entry::Forward,
            &rope(1),
            f32s(&x),
            f32s(&[1.0, 1.0, 1.0, 1.0]),
        );
        let y = [y0, f64::from((x0 + x1) as f32), 0.0, 0.0];
        matches!(judge(&case, &f32s(&y)), Verdict::Pass { .. })
    };
    let infinity = f64::INFINITY;
    assert!(rotated(max, 0.0, max) && rotated(max, 0.0, infinity));
    assert!(!rotated(max, 0.0, -infinity) && !rotated(max / 2.0, 0.0, infinity));
    // The truth, 1.5 times the largest value, is Inf.
    assert!(rotated(max, -max / 2.0, infinity) && !rotated(max, -max / 2.0, max));
    // An infinite input gives exactly that.
    assert!(rotated(infinity, 1.0, infinity) && !rotated(infinity, 1.0, max));

    let params = Swiglu {
        rows: 1,
        hidden: 1,
        beta: 0.0,
    }
    .to_le_bytes();
    // gate/2 * x.
    let halved = |x: f64, y: u16| {
        let case = case(
            "swiglu_f16",
            Entry::Forward,
            &params,
            f16s(&[x]),
            f16s(&[2.001_953_125]),
        );
        matches!(judge(&case, &y.to_le_bytes()), Verdict::Pass { .. })
    };
    assert!(halved(65440.0, 0x7bff) && halved(65440.0, 0x7c00) && !halved(65440.0, 0xfc00));
    assert!(!halved(65504.0, 0x7bff) && halved(65504.0, 0x7c00));
}

#[test]
fn results_below_the_normal_range_have_their_last_bits_judged() {
    // x0*cos and x1*sin lose half a step each, so one step off may be right; two are not.
    let tiny = 2f64.powi(-149);
    let x = [3.0 * tiny, 0.0, 0.0, 0.0];
    let half = [0.5, 0.5, 0.5, 0.5];
    let case = case("rope_f32", Entry::Forward, &rope(1), f32s(&x), f32s(&half));
    let verdict = |y: f64| judge(&case, &f32s(&[y * tiny, 2.0 * tiny, 0.0, 0.0]));
    for y in [1.0, 2.0, 3.0] {
        assert!(matches!(verdict(y), Verdict::Pass { .. }), "{y}");
    }
    for y in [0.0, 4.0, -2.0] {
        assert!(matches!(verdict(y), Verdict::Fail(_)), "{y}");
    }
}

#[test]
fn where_an_f32_intermediate_leaves_the_range_nothing_is_judged() {
    let unjudged = |case: &Case, output: &[u8]| match judge(case, output) {
        Verdict::NotApplicable(reason) => {
            reason.starts_with("truth undefined here: an f32 intermediate may ")
        }
        _ => false,
    };
    let norm = |x: f64, eps: f32| {
        let params = RmsNorm {
            eps,
            hidden: 2,
            rows: 1,
        };
        case(
            "rmsnorm_f32",
            Entry::Forward,
            &params.to_le_bytes(),
            f32s(&[x, x]),
            f32s(&[1.0, 1.0]),
        )
    };
    assert!(unjudged(&norm(2e19, 0.0), &f32s(&[0.0, 0.0])));
    assert!(unjudged(&norm(1e-23, 0.0), &f32s(&[0.0, 0.0])));
    // Neither is near 1e18, 1e-18, or where eps outweighs the squares.
    for (x, eps, y) in [(1e18, 0.0, 1.0), (1e-18, 0.0, 1.0), (1e-23, 1e-4, 1e-21)] {
        assert!(matches!(
            judge(&norm(x, eps), &f32s(&[y, y])),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            judge(&norm(x, eps), &f32s(&[0.0, 0.0])),
            Verdict::Fail(_)
        ));
    }
    // A row without a truth hides no error in another.
    let two_rows = Case {
        params: RmsNorm {
            eps: 0.0,
            hidden: 2,
            rows: 2,
        }
        .to_le_bytes()
        .to_vec(),
        a: f32s(&[2e19, 2e19, 1.0, 1.0]),
        ..norm(1.0, 0.0)
    };
    assert!(unjudged(&two_rows, &f32s(&[0.0, 0.0, 1.0, 1.0])));
    assert!(matches!(
        judge(&two_rows, &f32s(&[0.0, 0.0, 1.0, 1.1])),
        Verdict::Fail(_)
    ));

    let big = lora(
        "lora_apply_f32",
        Entry::Forward,
        &[1e30, 0.0],
        &[1e30, 0.0, 0.0, 0.0, 1e-30, 0.0],
        &[0.0],
    );
    assert!(unjudged(&big, &f32s(&[0.0])));
    let params = Swiglu {
        rows: 1,
        hidden: 1,
        beta: 1.0,
    }
    .to_le_bytes();
    let tiny_gate = case(
        "swiglu_f32",
        Entry::Forward,
        &params,
        f32s(&[1e38]),
        f32s(&[3e-45]),
    );
    assert!(unjudged(&tiny_gate, &f32s(&[0.0])));
    let table = f32s(&[2.0, 1.0, 2.0, 0.0]);
    let max = f64::from(f32::MAX);
    let pair = case(
        "rope_f32",
        Entry::Forward,
        &rope(1),
        f32s(&[max, max, 1.0, 0.0]),
        table,
    );
    assert!(unjudged(&pair, &f32s(&[f64::NAN, f64::INFINITY, 1.0, 0.0])));
}

#[test]
fn an_external_value_binds_within_the_same_tolerance_with_its_own_magnitude() {
    let weights = [2.0, 4.0, -1.0, 0.5, 3.0, 2.0];
    let case = lora(
        "lora_apply_f32",
        Entry::Forward,
        &[1.0, 3.0],
        &weights,
        &[1.0],
    );
    let external = External {
        oracle: "cr".to_owned(),
        bytes: f32s(&[-3.0]),
        binding: Binding::Tolerance,
        magnitude: Some(vec![100.0]),
    };
    border_by(&case, 0, -3.0, 5.0 * U * 100.0, |case, output| {
        judge_external(case, &external, output)
    });
    let judged = |external: &External, y: f64| judge_external(&case, external, &f32s(&[y]));
    let elsewhere = External {
        bytes: f32s(&[-4.0]),
        magnitude: None,
        ..external.clone()
    };
    assert!(matches!(judged(&elsewhere, -3.0), Verdict::Fail(_)));
    let bits = External {
        binding: Binding::Bits,
        ..external.clone()
    };
    assert_eq!(judged(&bits, -3.0), Verdict::Pass { max_ulp: 0.0 });
    assert!(matches!(
        judged(&bits, f64::from((-3f32).next_up())),
        Verdict::Fail(_)
    ));
    let informs = External {
        binding: Binding::Informs,
        ..external.clone()
    };
    assert_eq!(
        judged(&informs, -3.0),
        Verdict::NotApplicable("informs only: equal bit for bit".to_owned())
    );
    match judged(&informs, f64::from((-3f32).next_up())) {
        Verdict::NotApplicable(reason) => assert!(
            reason.starts_with("informs only: 1 of 1 elements differ by up to 1 ulp; index 0"),
            "{reason}"
        ),
        verdict => panic!("{verdict:?}"),
    }
    let short = External {
        magnitude: Some(Vec::new()),
        ..external
    };
    assert!(matches!(judged(&short, -3.0), Verdict::NotApplicable(_)));
}

#[test]
fn distances_in_units_in_the_last_place() {
    assert_eq!(ulps_f32(1.0, 1f32.next_up()), Some(1.0));
    assert_eq!(ulps_f32(-0.0, 0.0), Some(0.0));
    assert_eq!(ulps_f32(-f32::from_bits(1), f32::from_bits(1)), Some(2.0));
    assert_eq!(ulps_f32(f32::MAX, f32::INFINITY), Some(1.0));
    assert_eq!(ulps_f32(f32::NAN, -f32::NAN), Some(0.0));
    assert_eq!(ulps_f32(f32::NAN, 1.0), None);
    assert_eq!(ulps_f16(0x3c00, 0x3bfe), Some(2.0));
    assert_eq!(ulps_f16(0x8001, 0x0001), Some(2.0));
    assert_eq!(ulps_f16(0x7c01, 0xfe00), Some(0.0));
    assert_eq!(ulps_f16(0x7c01, 0x7c00), None);
}
