//! SwiGLU: Shazeer, "GLU Variants Improve Transformer", arXiv:2002.05202; the Swish function with its beta from
//! Ramachandran, Zoph and Le, "Searching for Activation Functions", arXiv:1710.05941.

use crate::element::{Element, Tracked};

/// |beta * gate| up to which exp stays well inside the range of f32.
const MODERATE: f64 = 80.0;

/// y = gate * sigmoid(beta * gate) * x, element by element.
pub fn swiglu(beta: f64, gate: &[f64], x: &[f64]) -> Vec<Element> {
    gate.iter()
        .zip(x)
        .map(|(gate, x)| {
            let argument = beta * gate;
            let y = Tracked::exact(*gate)
                .mul(sigmoid(argument))
                .mul(Tracked::exact(*x));
            Element {
                tail: tail(argument, *x),
                ..y.element()
            }
        })
        .collect()
}

/// The gradient: dx = dy*gate*s and dgate = dy*x*s*(1 + beta*gate*(1 - s)) with s = sigmoid(beta*gate).
///
/// Magnitudes contain how much the result answers to the rounding of beta*gate, which moves s by the relative amount
/// |beta*gate|*(1 - s) times that of beta*gate.
pub fn swiglu_backward(
    beta: f64,
    dy: &[f64],
    gate: &[f64],
    x: &[f64],
) -> (Vec<Element>, Vec<Element>) {
    let mut dx = Vec::with_capacity(dy.len());
    let mut dgate = Vec::with_capacity(dy.len());
    for ((dy, gate), x) in dy.iter().zip(gate).zip(x) {
        let argument = Tracked::exact(beta).mul(Tracked::exact(*gate));
        let s = sigmoid(argument.value);
        let one = Tracked::exact(1.0);
        let complement = complement(argument.value);
        let response = argument.value.abs() * complement.value;

        let to_x = Tracked::product(&[Tracked::exact(*dy), Tracked::exact(*gate), s]);
        dx.push(Element {
            magnitude: to_x.value.abs() * (1.0 + response),
            tail: tail(argument.value, *dy),
            ..to_x.element()
        });

        let slope = one.add(argument.mul(complement));
        let to_gate = Tracked::product(&[Tracked::exact(*dy), Tracked::exact(*x), s, slope]);
        let before = dy * x * s.value;
        // 1 - s is wrong by a rounding of s where s is near 1. From 20 on, f32's s is 1.
        let near_one = argument.value.abs().min(20.0);
        dgate.push(Element {
            magnitude: before.abs() * ((1.0 + response).powi(2) + near_one),
            tail: tail(argument.value, dy * x),
            ..to_gate.element()
        });
    }
    (dx, dgate)
}

/// 1 / (1 + exp(-z)). Where the value is below f32's normal range, f32's exp(-z) overflows or nearly does: all of it may be
/// lost.
fn sigmoid(z: f64) -> Tracked {
    let value = if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        // Keeps its relative accuracy where exp(-z) would overflow.
        z.exp() / (1.0 + z.exp())
    };
    let lost = value > 0.0 && value < f64::from(f32::MIN_POSITIVE);
    Tracked::computed(value, if lost { value } else { 0.0 })
}

/// 1 - sigmoid(z). What f32 loses of it is relative to the 1 that z times it is added to.
fn complement(z: f64) -> Tracked {
    Tracked::exact(sigmoid(-z).value)
}

fn tail(argument: f64, factor: f64) -> f64 {
    if argument.abs() > MODERATE {
        factor.abs()
    } else {
        0.0
    }
}
