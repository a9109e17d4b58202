//! Rotary position embedding: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", arXiv:2104.09864,
//! equation 34: pair i of a head at position p is rotated by the angle p * theta^(-2i/head_dim).

use crate::element::{Element, Hazard, Truth};

/// Angles are accurate up to here; beyond it only the size of the result is known.
pub const ACCURATE_ANGLE: f64 = 131_072.0; // 2^17

/// At and above this a product rounds to an infinite f32.
const OVERFLOW: f64 = 3.402_823_567_797_336_6e38; // 2^128 - 2^103

/// Largest loss of two f32 products that fall below the normal range: half a subnormal step each.
const LOSS: f64 = 1.401_298_464_324_817e-45; // 2^-149

/// Sizes of a call and the order of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Batch.
    pub batch: usize,
    /// Positions.
    pub seq: usize,
    /// Heads.
    pub heads: usize,
    /// Elements of a head; even.
    pub head_dim: usize,
    /// Pairs are (i, i + head_dim/2) instead of (2i, 2i + 1): layout 1.
    pub halves: bool,
}

/// By what to rotate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rotation<'a> {
    /// Angles in radians, \[seq, head_dim/2\].
    Angles(&'a [f64]),
    /// Angles are position * theta^(-2i/head_dim).
    Positions {
        /// Base of the angles.
        theta: f64,
    },
    /// Cosines and sines, each \[seq, head_dim/2\]; need not be those of any angle.
    Tables {
        /// Cosines.
        cos: &'a [f64],
        /// Sines.
        sin: &'a [f64],
    },
}

/// re = x0*cos - x1*sin, im = x0*sin + x1*cos. x\[batch, seq, heads, head_dim\] -> the same shape.
///
/// The magnitude of both elements of a pair is the pair's hypotenuse. For tables whose (cos, sin) is longer than 2, which are
/// no rotation, it grows with half that length: rounding errors do.
pub fn rope(shape: Shape, x: &[f64], rotation: Rotation<'_>) -> Vec<Element> {
    let Shape {
        seq,
        heads,
        head_dim,
        halves,
        ..
    } = shape;
    let half = head_dim / 2;
    let nothing = Element {
        truth: Truth::Value(0.0),
        magnitude: 0.0,
        loss: 0.0,
        tail: 0.0,
    };
    let mut y = vec![nothing; x.len()];
    let head_pairs = x.chunks_exact(head_dim).zip(y.chunks_exact_mut(head_dim));
    for (head, (x, y)) in head_pairs.enumerate() {
        let position = head / heads % seq;
        for i in 0..half {
            let (first, second) = if halves {
                (i, i + half)
            } else {
                (2 * i, 2 * i + 1)
            };
            let at = position * half + i;
            let pair = (x[first], x[second]);
            (y[first], y[second]) = match rotation {
                Rotation::Angles(angles) => rotate_by(angles[at], pair),
                Rotation::Positions { theta } => {
                    let exponent = -2.0 * i as f64 / head_dim as f64;
                    rotate_by(position as f64 * theta.powf(exponent), pair)
                }
                Rotation::Tables { cos, sin } => rotate(cos[at], sin[at], pair),
            };
        }
    }
    y
}

fn rotate_by(angle: f64, pair: (f64, f64)) -> (Element, Element) {
    if angle.is_finite() && angle.abs() > ACCURATE_ANGLE {
        let magnitude = pair.0.hypot(pair.1);
        let element = Element {
            truth: if magnitude.is_finite() {
                Truth::Bounded
            } else {
                Truth::Unknown(Hazard::Angle)
            },
            magnitude,
            loss: LOSS,
            tail: 0.0,
        };
        return (element, element);
    }
    rotate(angle.cos(), angle.sin(), pair)
}

fn rotate(cos: f64, sin: f64, (x0, x1): (f64, f64)) -> (Element, Element) {
    let magnitude = x0.hypot(x1) * (cos.hypot(sin) / 2.0).max(1.0);
    let element = |first: f64, second: f64| {
        let product_overflows = [first, second]
            .iter()
            .any(|product| product.is_finite() && product.abs() >= OVERFLOW);
        Element {
            truth: if product_overflows {
                Truth::Unknown(Hazard::Overflow)
            } else {
                Truth::Value(first + second)
            },
            magnitude,
            loss: LOSS,
            tail: 0.0,
        }
    };
    (element(x0 * cos, -(x1 * sin)), element(x0 * sin, x1 * cos))
}
