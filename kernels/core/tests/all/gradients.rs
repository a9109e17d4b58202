//! Gradients against central differences of the formulas in f64.

use crate::common::{Call, f16_bytes, f16s, f32_bytes, f32s, ulp16};
use kernel_abi::params::{Lora, RmsNorm, Swiglu};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Type {
    F32,
    F16,
}

impl Type {
    fn suffix(self) -> &'static str {
        match self {
            Type::F32 => "f32",
            Type::F16 => "f16",
        }
    }

    fn bytes(self, values: &[f64]) -> Vec<u8> {
        let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
        match self {
            Type::F32 => f32_bytes(&values),
            Type::F16 => f16_bytes(&values),
        }
    }

    fn values(self, bytes: &[u8]) -> Vec<f64> {
        let values = match self {
            Type::F32 => f32s(bytes),
            Type::F16 => f16s(bytes),
        };
        values.into_iter().map(f64::from).collect()
    }

    fn size(self) -> usize {
        match self {
            Type::F32 => 4,
            Type::F16 => 2,
        }
    }
}

/// Values between -2 and 2 that f16 holds exactly, from a fixed sequence.
fn values(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % 4096) as f64 / 1024.0 - 2.0
        })
        .collect()
}

/// The gradient of sum(dy * f(x)) by central differences.
fn differences(x: &[f64], dy: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let step = 1e-5;
    (0..x.len())
        .map(|index| {
            let value = |shift: f64| {
                let mut x = x.to_vec();
                x[index] += shift;
                let products = f(&x).into_iter().zip(dy).map(|(y, dy)| y * dy);
                products.sum::<f64>()
            };
            (value(step) - value(-step)) / (2.0 * step)
        })
        .collect()
}

fn assert_near(type_: Type, actual: &[f64], expected: &[f64], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let bound = match type_ {
            Type::F32 => 2e-5 * expected.abs().max(1.0),
            Type::F16 => ulp16(*expected as f32) + 2e-5 * expected.abs().max(1.0),
        };
        assert!(
            (actual - expected).abs() <= bound,
            "{what}[{index}] {type_:?}: {actual} instead of {expected}"
        );
    }
}

/// Runs the gradient on inputs a and b.
fn backward(
    type_: Type,
    kernel: &str,
    (a, b): (&[f64], &[f64]),
    (outputs, scratch): (usize, usize),
    params: &[u8],
) -> Vec<f64> {
    let call = Call {
        a: type_.bytes(a),
        b: type_.bytes(b),
        output: vec![0xff; outputs * type_.size()],
        scratch: vec![0xff; scratch * 4],
        params: params.to_vec(),
    };
    type_.values(&call.backward(&format!("{kernel}_{}", type_.suffix())).0)
}

#[test]
fn rmsnorm() {
    let (rows, hidden, eps) = (3, 7, 0.01f32);
    let (dy, x, w) = (
        values(rows * hidden, 1),
        values(rows * hidden, 2),
        values(hidden, 3),
    );
    let formula = |x: &[f64], w: &[f64]| -> Vec<f64> {
        x.chunks(hidden)
            .flat_map(|row| {
                let mean = row.iter().map(|x| x * x).sum::<f64>() / hidden as f64;
                let factor = 1.0 / (mean + f64::from(eps)).sqrt();
                row.iter().zip(w).map(move |(x, w)| x * factor * w)
            })
            .collect()
    };
    let params = RmsNorm {
        eps,
        hidden: hidden as u32,
        rows: rows as u32,
    };
    for type_ in [Type::F32, Type::F16] {
        let a = [dy.clone(), x.clone()].concat();
        let gradient = backward(
            type_,
            "rmsnorm",
            (&a, &w),
            (rows * hidden + hidden, hidden),
            &params.to_le_bytes(),
        );
        let (dx, dw) = gradient.split_at(rows * hidden);
        let expected = differences(&x, &dy, |x| formula(x, &w));
        assert_near(type_, dx, &expected, "dx");
        let expected = differences(&w, &dy, |w| formula(&x, w));
        assert_near(type_, dw, &expected, "dw");
    }
}

#[test]
fn swiglu() {
    let (rows, hidden, beta) = (2, 9, 1.5f32);
    let count = rows * hidden;
    let (dy, x, gate) = (values(count, 4), values(count, 5), values(count, 6));
    let formula = |x: &[f64], gate: &[f64]| -> Vec<f64> {
        x.iter()
            .zip(gate)
            .map(|(x, gate)| x * gate / (1.0 + (-f64::from(beta) * gate).exp()))
            .collect()
    };
    let params = Swiglu {
        rows: rows as u32,
        hidden: hidden as u32,
        beta,
    };
    for type_ in [Type::F32, Type::F16] {
        let a = [dy.clone(), x.clone()].concat();
        let gradient = backward(
            type_,
            "swiglu",
            (&a, &gate),
            (2 * count, 0),
            &params.to_le_bytes(),
        );
        let (dx, dgate) = gradient.split_at(count);
        let expected = differences(&x, &dy, |x| formula(x, &gate));
        assert_near(type_, dx, &expected, "dx");
        let expected = differences(&gate, &dy, |gate| formula(&x, gate));
        assert_near(type_, dgate, &expected, "dgate");
    }
}

/// left[rows, inner] * right[inner, columns]
fn product(left: &[f64], right: &[f64], inner: usize, columns: usize) -> Vec<f64> {
    left.chunks(inner)
        .flat_map(|row| {
            (0..columns).map(move |column| {
                let column = right.iter().skip(column).step_by(columns);
                row.iter().zip(column).map(|(l, r)| l * r).sum()
            })
        })
        .collect()
}

#[test]
fn lora_apply() {
    // More columns than are kept in registers at a time.
    let (rows, input, rank, output, scale) = (3, 5, 4, 37, 0.25f32);
    let (dy, x) = (values(rows * output, 7), values(rows * input, 8));
    let (a, b) = (values(input * rank, 9), values(rank * output, 10));
    let formula = |x: &[f64], a: &[f64], b: &[f64]| -> Vec<f64> {
        let y = product(&product(x, a, input, rank), b, rank, output);
        y.into_iter().map(|y| f64::from(scale) * y).collect()
    };
    let params = Lora {
        rows: rows as u32,
        in_features: input as u32,
        rank: rank as u32,
        out_features: output as u32,
        scale,
    };
    for type_ in [Type::F32, Type::F16] {
        let gradient = backward(
            type_,
            "lora_apply",
            (
                &[dy.clone(), x.clone()].concat(),
                &[a.clone(), b.clone()].concat(),
            ),
            (rows * input + input * rank + rank * output, 2 * rows * rank),
            &params.to_le_bytes(),
        );
        let (dx, rest) = gradient.split_at(rows * input);
        let (da, db) = rest.split_at(input * rank);
        let expected = differences(&x, &dy, |x| formula(x, &a, &b));
        assert_near(type_, dx, &expected, "dx");
        let expected = differences(&a, &dy, |a| formula(&x, a, &b));
        assert_near(type_, da, &expected, "dA");
        let expected = differences(&b, &dy, |b| formula(&x, &a, b));
        assert_near(type_, db, &expected, "dB");
    }
}
