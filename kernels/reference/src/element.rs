//! Output elements and the running analysis of what f32 intermediates may lose.

use std::fmt;

/// Finite f32 values end below this. Intermediates are held against half of it, so that the rounding of partial sums cannot
/// decide whether they overflow.
const HALF_OF_RANGE: f64 = 1.701_411_834_604_692_3e38; // 2^127

/// Smallest normal f32: below it rounding errors are absolute.
const MIN_NORMAL: f64 = f32::MIN_POSITIVE as f64; // 2^-126

/// Largest rounding error of an f32 product below [`MIN_NORMAL`]: half a subnormal step, 2^-150.
const HALF_SUBNORMAL: f64 = 7.006_492_321_624_085e-46;

/// A sum that cancels to less than this part of its magnitude may have either sign in f32.
const DOUBTFUL_SIGN: f64 = 1.0 / 4096.0;

/// Why an element has no truth that an f32 computation could be held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hazard {
    /// An f32 intermediate may overflow although the result need not.
    Overflow,
    /// An f32 intermediate may be rounded away below the normal range and be magnified afterwards.
    Underflow,
    /// A sum whose sign rounding decides, or a product that may be rounded to 0, meets an infinite factor.
    Cancellation,
    /// An angle beyond the range in which it is accurate meets a pair that is not finite.
    Angle,
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hazard::Overflow => "an f32 intermediate may overflow",
            Hazard::Underflow => "an f32 intermediate may underflow",
            Hazard::Cancellation => "rounding decides the sign of what meets an infinite factor",
            Hazard::Angle => "an angle beyond 2^17 meets a value that is not finite",
        })
    }
}

/// What is known of an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Truth {
    /// Its value; NaN and Inf stand for themselves.
    Value(f64),
    /// It is finite and at most [`Element::magnitude`] in magnitude.
    Bounded,
    /// Nothing.
    Unknown(Hazard),
}

/// An output element with what its tolerance scales with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Element {
    /// What it is.
    pub truth: Truth,
    /// What absolute tolerances scale with: sums of the absolute values of the terms, the hypotenuse of a pair.
    pub magnitude: f64,
    /// Absolute error that an f32 computation may have on top, because products below the normal range lost bits.
    pub loss: f64,
    /// swiglu: |x| where |beta * gate| > 80, where exp leaves the range of f32; else 0.
    pub tail: f64,
}

/// A number that an f32 computation approximates: its f64 value, the sum of the absolute values of what it consists of, and
/// what may happen to it in f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracked {
    pub(crate) value: f64,
    pub(crate) magnitude: f64,
    pub(crate) loss: f64,
    pub(crate) hazard: Option<Hazard>,
    /// The number may have overflowed. That is a hazard once it is computed with; a result may be infinite.
    may_be_infinite: bool,
}

impl Tracked {
    pub(crate) const ZERO: Tracked = Tracked {
        value: 0.0,
        magnitude: 0.0,
        loss: 0.0,
        hazard: None,
        may_be_infinite: false,
    };

    /// An input: f32 holds it exactly.
    pub(crate) fn exact(value: f64) -> Self {
        Self {
            value,
            magnitude: value.abs(),
            ..Self::ZERO
        }
    }

    /// A computed number that is `loss` away from `value` at most, apart from relative rounding errors.
    pub(crate) fn computed(value: f64, loss: f64) -> Self {
        Self {
            loss,
            ..Self::exact(value)
        }
    }

    fn hazard_as_operand(self) -> Option<Hazard> {
        self.hazard
            .or(self.may_be_infinite.then_some(Hazard::Overflow))
    }

    /// Whether the sign, or being zero, is decided by rounding.
    fn is_doubtful(self) -> bool {
        (self.magnitude > 0.0 && self.value.abs() < DOUBTFUL_SIGN * self.magnitude)
            || (self.loss > 0.0 && self.loss >= self.value.abs())
    }

    pub(crate) fn mul(self, other: Self) -> Self {
        let value = self.value * other.value;
        let mut hazard = self.hazard_as_operand().or(other.hazard_as_operand());
        if !value.is_finite() {
            for (one, another) in [(self, other), (other, self)] {
                if another.value.is_infinite() && one.value.is_finite() && one.is_doubtful() {
                    hazard = hazard.or(Some(Hazard::Cancellation));
                }
            }
            // What is finite in it: nothing.
            return Self {
                value,
                hazard,
                ..Self::ZERO
            };
        }
        let magnitude = self.magnitude * other.magnitude;
        let underflow = if magnitude > 0.0 && magnitude < MIN_NORMAL {
            HALF_SUBNORMAL
        } else {
            0.0
        };
        Self {
            value,
            magnitude,
            loss: self.loss * other.magnitude + other.loss * self.magnitude + underflow,
            hazard,
            may_be_infinite: magnitude >= HALF_OF_RANGE,
        }
    }

    /// The product of all factors, where nothing says in which order an f32 computation multiplies them: what may overflow or
    /// lose bits in one order counts.
    pub(crate) fn product(factors: &[Self]) -> Self {
        let product = factors
            .iter()
            .fold(Self::exact(1.0), |product, factor| product.mul(*factor));
        let usual = |magnitude: &f64| magnitude.is_finite() && *magnitude > 0.0;
        let magnitudes = || factors.iter().map(|factor| factor.magnitude).filter(usual);
        let largest: f64 = magnitudes().map(|magnitude| magnitude.max(1.0)).product();
        let least: f64 = magnitudes().map(|magnitude| magnitude.min(1.0)).product();
        if largest < HALF_OF_RANGE && least >= MIN_NORMAL {
            // No partial product leaves the normal range.
            return product;
        }
        let (mut hazard, mut loss) = (product.hazard, product.loss);
        let all = (1_u32 << factors.len()) - 1;
        for chosen in 1..all {
            let magnitude = |within: bool| -> f64 {
                let is_within = |index: &usize| (chosen >> index & 1 == 1) == within;
                let indices = (0..factors.len()).filter(is_within);
                indices.map(|index| factors[index].magnitude).product()
            };
            let (partial, rest) = (magnitude(true), magnitude(false));
            if chosen.count_ones() < 2 || !partial.is_finite() {
                continue;
            }
            if partial >= HALF_OF_RANGE {
                hazard = hazard.or(Some(Hazard::Overflow));
            }
            if partial > 0.0 && partial < MIN_NORMAL {
                if rest.is_infinite() {
                    hazard = hazard.or(Some(Hazard::Underflow));
                } else if rest > 0.0 {
                    let roundings = (factors.len() - 1) as f64;
                    loss = loss.max(roundings * HALF_SUBNORMAL * rest);
                }
            }
        }
        Self {
            hazard,
            loss,
            ..product
        }
    }

    /// The same number computed in two ways, by either of which it may come about.
    pub(crate) fn or_by(self, other: Self) -> Self {
        Self {
            loss: self.loss.max(other.loss),
            hazard: self.hazard.or(other.hazard),
            may_be_infinite: self.may_be_infinite || other.may_be_infinite,
            ..self
        }
    }

    /// f32 sums below the normal range are exact.
    pub(crate) fn add(self, other: Self) -> Self {
        let finite = |part: Self| {
            if part.value.is_finite() {
                part.magnitude
            } else {
                0.0
            }
        };
        let magnitude = finite(self) + finite(other);
        Self {
            value: self.value + other.value,
            magnitude,
            loss: self.loss + other.loss,
            hazard: self.hazard_as_operand().or(other.hazard_as_operand()),
            may_be_infinite: magnitude >= HALF_OF_RANGE,
        }
    }

    pub(crate) fn negated(self) -> Self {
        Self {
            value: -self.value,
            ..self
        }
    }

    /// Divided by a count.
    pub(crate) fn over(self, count: usize) -> Self {
        self.mul(Self::exact(1.0 / count as f64))
    }

    /// 1 / sqrt, which neither overflows nor underflows for an f32 argument other than 0.
    pub(crate) fn reciprocal_root(self) -> Self {
        let value = 1.0 / self.value.sqrt();
        let lost = self.loss > 0.0 && self.loss >= self.value;
        Self {
            value,
            magnitude: value.abs(),
            // Half the relative error of the argument.
            loss: if self.loss > 0.0 {
                value * 0.5 * self.loss / self.value
            } else {
                0.0
            },
            hazard: self
                .hazard_as_operand()
                .or(lost.then_some(Hazard::Underflow)),
            may_be_infinite: false,
        }
    }

    /// As an output.
    pub(crate) fn element(self) -> Element {
        Element {
            truth: match self.hazard {
                Some(hazard) => Truth::Unknown(hazard),
                None => Truth::Value(self.value),
            },
            magnitude: self.magnitude,
            loss: self.loss,
            tail: 0.0,
        }
    }
}

/// Sum of the products of two sequences.
pub(crate) fn dot(terms: impl Iterator<Item = (Tracked, Tracked)>) -> Tracked {
    sum(terms.map(|(a, b)| a.mul(b)))
}

/// Sum of a sequence.
pub(crate) fn sum(terms: impl Iterator<Item = Tracked>) -> Tracked {
    terms.fold(Tracked::ZERO, Tracked::add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_product_is_known_and_grows_with_what_follows() {
        let tiny = Tracked::exact(1e-30).mul(Tracked::exact(1e-12));
        assert_eq!(tiny.loss, HALF_SUBNORMAL);
        assert_eq!(tiny.mul(Tracked::exact(1e20)).loss, HALF_SUBNORMAL * 1e20);
        assert_eq!(Tracked::exact(0.0).mul(Tracked::exact(1e-12)).loss, 0.0);
        assert_eq!(Tracked::exact(1e-30).mul(Tracked::exact(1e-3)).loss, 0.0);
    }

    #[test]
    fn overflow_is_a_hazard_only_where_it_is_computed_with() {
        let big = Tracked::exact(1e30).mul(Tracked::exact(1e30));
        assert_eq!(big.element().truth, Truth::Value(1e30 * 1e30));
        assert_eq!(
            big.mul(Tracked::exact(1e-40)).element().truth,
            Truth::Unknown(Hazard::Overflow)
        );
        let largest = Tracked::exact(f64::from(f32::MAX));
        assert_eq!(largest.add(Tracked::ZERO).hazard, None);
    }

    #[test]
    fn a_cancelled_sum_times_infinity_has_no_sign() {
        let sum = Tracked::exact(1.0).add(Tracked::exact(-1.0 + 1e-9));
        assert_eq!(
            sum.mul(Tracked::exact(f64::INFINITY)).hazard,
            Some(Hazard::Cancellation)
        );
        assert_eq!(
            Tracked::exact(1e-9)
                .mul(Tracked::exact(f64::INFINITY))
                .hazard,
            None
        );
    }
}
