//! The oracles against values computed by hand and gradients against finite differences.

use kernel_reference::{Element, Hazard, Truth, kv, lora, rmsnorm, rope, swiglu};

fn value(element: &Element) -> f64 {
    match element.truth {
        Truth::Value(value) => value,
        other => panic!("{other:?}"),
    }
}

fn values(elements: &[Element]) -> Vec<f64> {
    elements.iter().map(value).collect()
}

/// Deterministic values between -1 and 1 without a pattern that an error could share.
fn some(count: usize, seed: f64) -> Vec<f64> {
    (0..count)
        .map(|i| (seed + i as f64 * 1.618).sin())
        .collect()
}

/// Derivative of `loss` by each element of `at`, by central differences.
fn derivative(at: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-5;
    (0..at.len())
        .map(|i| {
            let moved = |by: f64| {
                let mut at = at.to_vec();
                at[i] += by;
                loss(&at)
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        })
        .collect()
}

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= 1e-8, "{got} {expected}");
    }
}

/// The loss of which dy is the gradient.
fn weighted(y: &[Element], dy: &[f64]) -> f64 {
    values(y).iter().zip(dy).map(|(y, dy)| y * dy).sum()
}

#[test]
fn a_quarter_turn_in_both_layouts() {
    let quarter = std::f64::consts::FRAC_PI_2;
    let x = [1.0, 2.0, 3.0, 4.0];
    let turn = |halves: bool| {
        let shape = rope::Shape {
            batch: 1,
            seq: 1,
            heads: 1,
            head_dim: 4,
            halves,
        };
        let angles = [quarter, 0.0];
        values(&rope::rope(shape, &x, rope::Rotation::Angles(&angles)))
    };
    assert_close(&turn(false), &[-2.0, 1.0, 3.0, 4.0]);
    assert_close(&turn(true), &[-3.0, 2.0, 1.0, 4.0]);
}

#[test]
fn positions_count_along_seq_and_restart_with_each_batch() {
    let shape = rope::Shape {
        batch: 2,
        seq: 2,
        heads: 2,
        head_dim: 4,
        halves: false,
    };
    let x = [1.0, 0.0, 1.0, 0.0].repeat(8);
    let y = values(&rope::rope(
        shape,
        &x,
        rope::Rotation::Positions { theta: 100.0 },
    ));
    let at = |position: f64| {
        [
            position.cos(),
            position.sin(),
            (position / 10.0).cos(),
            (position / 10.0).sin(),
        ]
    };
    let head = |position: f64| [at(position), at(position)].concat();
    assert_close(&y, &[head(0.0), head(1.0), head(0.0), head(1.0)].concat());
}

#[test]
fn beyond_2_to_the_17_only_the_size_is_known_and_infinite_angles_give_nan() {
    let shape = rope::Shape {
        batch: 1,
        seq: 1,
        heads: 1,
        head_dim: 2,
        halves: false,
    };
    let at = |angle: f64| rope::rope(shape, &[3.0, 4.0], rope::Rotation::Angles(&[angle]))[0];
    assert!(matches!(at(131_072.0).truth, Truth::Value(_)));
    assert_eq!(at(131_073.0).truth, Truth::Bounded);
    assert_eq!(at(-131_073.0).magnitude, 5.0);
    assert!(value(&at(f64::INFINITY)).is_nan());
}

#[test]
fn rmsnorm_by_hand() {
    // mean(x^2) = 12.5, with eps 3.5 the root is 4.
    let y = rmsnorm::rmsnorm(3.5, &[3.0, 4.0], &[2.0, -1.0]);
    assert_eq!(values(&y), [1.5, -1.0]);
}

#[test]
fn rmsnorm_gradient_is_that_of_finite_differences() {
    let (eps, w) = (1e-2, some(5, 0.3));
    let (x, dy) = (some(15, 1.0), some(15, 2.0));
    let (dx, dw) = rmsnorm::rmsnorm_backward(eps, &dy, &x, &w);
    let by_x = derivative(&x, |x| weighted(&rmsnorm::rmsnorm(eps, x, &w), &dy));
    let by_w = derivative(&w, |w| weighted(&rmsnorm::rmsnorm(eps, &x, w), &dy));
    assert_close(&values(&dx), &by_x);
    assert_close(&values(&dw), &by_w);
}

#[test]
fn swiglu_by_hand() {
    // sigmoid(ln 3) = 3/4.
    let gate = 3f64.ln();
    let y = swiglu::swiglu(1.0, &[gate, -gate, 0.0], &[4.0, 4.0, 4.0]);
    assert_close(&values(&y), &[3.0 * gate, -gate, 0.0]);
    let specials = swiglu::swiglu(1.0, &[f64::NEG_INFINITY, f64::INFINITY, -1e30], &[1.0; 3]);
    assert!(value(&specials[0]).is_nan());
    assert_eq!(value(&specials[1]), f64::INFINITY);
    assert_eq!(value(&specials[2]).to_bits(), (-0.0_f64).to_bits());
}

#[test]
fn swiglu_gradient_is_that_of_finite_differences() {
    for beta in [1.0, 1.702, -0.5] {
        let gate: Vec<f64> = some(20, 0.5).iter().map(|v| v * 6.0).collect();
        let (x, dy) = (some(20, 1.0), some(20, 2.0));
        let (dx, dgate) = swiglu::swiglu_backward(beta, &dy, &gate, &x);
        let by_x = derivative(&x, |x| weighted(&swiglu::swiglu(beta, &gate, x), &dy));
        let by_gate = derivative(&gate, |gate| weighted(&swiglu::swiglu(beta, gate, &x), &dy));
        assert_close(&values(&dx), &by_x);
        assert_close(&values(&dgate), &by_gate);
    }
}

#[test]
fn lora_by_hand() {
    let shape = lora::Shape {
        rows: 1,
        in_features: 2,
        rank: 2,
        out_features: 1,
    };
    let (a, b) = ([2.0, 4.0, -1.0, 0.5], [3.0, 2.0]);
    let y = lora::lora_apply(shape, -0.5, &[1.0, 3.0], &a, &b, &[1.0]);
    assert_eq!(value(&y[0]), -3.0);
    assert_eq!(y[0].magnitude, 14.0);
}

#[test]
fn lora_gradient_is_that_of_finite_differences() {
    let shape = lora::Shape {
        rows: 3,
        in_features: 4,
        rank: 2,
        out_features: 5,
    };
    let (x, a, b, dy) = (some(12, 0.1), some(8, 0.2), some(10, 0.3), some(15, 0.4));
    let base = some(15, 0.5);
    let loss = |x: &[f64], a: &[f64], b: &[f64]| {
        weighted(&lora::lora_apply(shape, -1.5, x, a, b, &base), &dy)
    };
    let gradients = lora::lora_backward(shape, -1.5, &dy, &x, &a, &b);
    assert_close(&values(&gradients.dx), &derivative(&x, |x| loss(x, &a, &b)));
    assert_close(&values(&gradients.da), &derivative(&a, |a| loss(&x, a, &b)));
    assert_close(&values(&gradients.db), &derivative(&b, |b| loss(&x, &a, b)));
}

#[test]
fn blocks_by_hand() {
    let mut x = [0.0_f32; 32];
    (x[0], x[1], x[2], x[31]) = (127.0, -0.5, 0.49, -127.0);
    let block = kv::pack_q8(&x);
    assert_eq!(block[..5], [0x00, 0x3c, 127, 0xff, 0]);
    assert_eq!(block[33], 0x81);

    // The first of two equal magnitudes gives the sign: d = 8 / -8.
    let mut x = [0.0_f32; 32];
    (x[0], x[1], x[16]) = (8.0, -8.0, 1.0);
    let block = kv::pack_q4(&x);
    assert_eq!(block[..4], [0x00, 0xbc, 0x70, 0x8f]);
}

#[test]
fn nan_and_inf_in_a_block_follow_the_decisions() {
    let mut x = [1.0_f32; 32];
    x[3] = f32::NAN;
    x[4] = -127.0;
    let block = kv::pack_q8(&x);
    assert_eq!(block[..2], [0x00, 0x3c]);
    assert_eq!((block[5], block[6]), (0, 0x81));
    x[0] = f32::INFINITY;
    let (q8, q4) = (kv::pack_q8(&x), kv::pack_q4(&x));
    assert_eq!(q8[..2], [0x00, 0x7c]);
    assert!(q8[2..].iter().all(|code| *code == 0));
    // d = Inf / -8; finite values times -0 are in the middle, Inf and NaN are 0.
    assert_eq!(q4[..2], [0x00, 0xfc]);
    assert_eq!((q4[2], q4[3], q4[5]), (0x80, 0x88, 0x80));
}

#[test]
fn what_f32_cannot_carry_is_named() {
    let unknown = |element: &Element| match element.truth {
        Truth::Unknown(hazard) => Some(hazard),
        _ => None,
    };
    let norm = |x: f64| rmsnorm::rmsnorm(0.0, &[x, x], &[1.0, 1.0])[0];
    assert_eq!(unknown(&norm(2e19)), Some(Hazard::Overflow));
    // The squares must stay below half the range of f32.
    assert_eq!(unknown(&norm(9e18)), None);
    assert_eq!(unknown(&norm(1e-23)), Some(Hazard::Underflow));
    assert_eq!(unknown(&norm(1e-18)), None);
    assert_eq!(norm(1e-18).loss, 0.0);
    // Between the two, part of the squares is lost.
    assert!(norm(1e-20).loss > 1e-6);
}
