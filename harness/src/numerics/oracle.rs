//! What the numeric instructions give, by the words of the WebAssembly core specification, in plain Rust: no engine and no
//! code of the kernels takes part. Lanes are bits in the low end of a `u64`; a scalar is one lane.

/// The low `width` bits set.
pub(super) const fn mask(width: u32) -> u64 {
    u64::MAX >> (64 - width)
}

/// The `width` bits of `lane` as a two's complement number.
pub(super) const fn signed(width: u32, lane: u64) -> i64 {
    ((lane << (64 - width)) as i64) >> (64 - width)
}

/// Sign-extends the low `from` bits to `to` bits.
pub(super) const fn extend_signed(from: u32, to: u32, lane: u64) -> u64 {
    signed(from, lane & mask(from)) as u64 & mask(to)
}

/// A signed number squeezed into `width` bits, signed.
pub(super) fn saturate_signed(width: u32, value: i64) -> u64 {
    let most = (mask(width) >> 1) as i64;
    value.clamp(-most - 1, most) as u64 & mask(width)
}

/// A signed number squeezed into `width` bits, unsigned.
pub(super) fn saturate_unsigned(width: u32, value: i64) -> u64 {
    value.clamp(0, mask(width) as i64) as u64
}

/// An operation on one integer lane of some width.
pub(super) type IntegerUnary = fn(u32, u64) -> u64;
/// An operation on two integer lanes of some width; `None` where it traps.
pub(super) type IntegerBinary = fn(u32, u64, u64) -> Option<u64>;

/// The unary instructions of i32 and i64.
pub(super) const INTEGER_UNARY: &[(&str, IntegerUnary)] = &[
    ("clz", |width, a| {
        u64::from(a.leading_zeros() - (64 - width))
    }),
    ("ctz", |width, a| u64::from(a.trailing_zeros().min(width))),
    ("popcnt", |_, a| u64::from(a.count_ones())),
];

/// The binary instructions of i32 and i64 whose result is of their own type.
pub(super) const INTEGER_BINARY: &[(&str, IntegerBinary)] = &[
    ("add", add),
    ("sub", sub),
    ("mul", mul),
    ("div_s", |width, a, b| {
        let (a, b) = (signed(width, a), signed(width, b));
        let least = signed(width, 1 << (width - 1));
        (b != 0 && !(a == least && b == -1)).then(|| (a / b) as u64 & mask(width))
    }),
    ("div_u", |_, a, b| a.checked_div(b)),
    ("rem_s", |width, a, b| {
        let (a, b) = (signed(width, a), signed(width, b));
        // The remainder of the least number by -1 is 0, not a trap; Rust's `%` would panic.
        (b != 0).then(|| a.wrapping_rem(b) as u64 & mask(width))
    }),
    ("rem_u", |_, a, b| a.checked_rem(b)),
    ("and", |_, a, b| Some(a & b)),
    ("or", |_, a, b| Some(a | b)),
    ("xor", |_, a, b| Some(a ^ b)),
    ("shl", |width, a, b| Some(shl(width, a, b))),
    ("shr_s", |width, a, b| Some(shr_s(width, a, b))),
    ("shr_u", |width, a, b| Some(shr_u(width, a, b))),
    ("rotl", |width, a, b| Some(rotl(width, a, b))),
    ("rotr", |width, a, b| {
        Some(rotl(width, a, u64::from(width) - b % u64::from(width)))
    }),
];

/// A comparison of two integer lanes of some width.
pub(super) type IntegerComparison = fn(u32, u64, u64) -> bool;

/// Comparisons of integer lanes.
pub(super) const INTEGER_COMPARISONS: &[(&str, IntegerComparison)] = &[
    ("eq", |_, a, b| a == b),
    ("ne", |_, a, b| a != b),
    ("lt_s", |width, a, b| signed(width, a) < signed(width, b)),
    ("lt_u", |_, a, b| a < b),
    ("gt_s", |width, a, b| signed(width, a) > signed(width, b)),
    ("gt_u", |_, a, b| a > b),
    ("le_s", |width, a, b| signed(width, a) <= signed(width, b)),
    ("le_u", |_, a, b| a <= b),
    ("ge_s", |width, a, b| signed(width, a) >= signed(width, b)),
    ("ge_u", |_, a, b| a >= b),
];

/// Instructions that only vectors of small lanes have.
pub(super) const SMALL_BINARY: &[(&str, IntegerBinary)] = &[
    ("add_sat_s", |width, a, b| {
        Some(saturate_signed(width, signed(width, a) + signed(width, b)))
    }),
    ("add_sat_u", |width, a, b| Some((a + b).min(mask(width)))),
    ("sub_sat_s", |width, a, b| {
        Some(saturate_signed(width, signed(width, a) - signed(width, b)))
    }),
    ("sub_sat_u", |_, a, b| Some(a.saturating_sub(b))),
    ("avgr_u", |_, a, b| Some((a + b + 1) >> 1)),
];

/// Minima and maxima of integer lanes.
pub(super) const INTEGER_EXTREMES: &[(&str, IntegerBinary)] = &[
    ("min_s", |width, a, b| {
        Some(if signed(width, a) < signed(width, b) {
            a
        } else {
            b
        })
    }),
    ("min_u", |_, a, b| Some(a.min(b))),
    ("max_s", |width, a, b| {
        Some(if signed(width, a) > signed(width, b) {
            a
        } else {
            b
        })
    }),
    ("max_u", |_, a, b| Some(a.max(b))),
];

/// Sum, wrapped around.
pub(super) fn add(width: u32, a: u64, b: u64) -> Option<u64> {
    Some(a.wrapping_add(b) & mask(width))
}

/// Difference, wrapped around.
pub(super) fn sub(width: u32, a: u64, b: u64) -> Option<u64> {
    Some(a.wrapping_sub(b) & mask(width))
}

/// Product, wrapped around.
pub(super) fn mul(width: u32, a: u64, b: u64) -> Option<u64> {
    Some(a.wrapping_mul(b) & mask(width))
}

/// A shift of a lane of some width by a count.
pub(super) type Shift = fn(u32, u64, u64) -> u64;

/// Shifted left; the count is taken modulo the width.
pub(super) fn shl(width: u32, a: u64, b: u64) -> u64 {
    (a << (b % u64::from(width))) & mask(width)
}

/// Shifted right with copies of the sign.
pub(super) fn shr_s(width: u32, a: u64, b: u64) -> u64 {
    (signed(width, a) >> (b % u64::from(width))) as u64 & mask(width)
}

/// Shifted right with zeros.
pub(super) fn shr_u(width: u32, a: u64, b: u64) -> u64 {
    a >> (b % u64::from(width))
}

fn rotl(width: u32, a: u64, b: u64) -> u64 {
    let count = b % u64::from(width);
    if count == 0 {
        return a;
    }
    ((a << count) | (a >> (u64::from(width) - count))) & mask(width)
}

/// i16x8.q15mulr_sat_s: the product of two Q15 numbers, rounded half up, saturated.
pub(super) fn q15mulr_sat(a: u64, b: u64) -> u64 {
    saturate_signed(16, (signed(16, a) * signed(16, b) + 0x4000) >> 15)
}

/// An operation on one float lane.
pub(super) type FloatUnary = fn(u64) -> u64;
/// An operation on two float lanes.
pub(super) type FloatBinary = fn(u64, u64) -> u64;
/// A comparison of two float lanes.
pub(super) type FloatComparison = fn(u64, u64) -> bool;

/// The operations of one float type.
pub(super) struct Float {
    /// Instructions that compute: a NaN they give may be any arithmetic one.
    pub(super) unary: &'static [(&'static str, FloatUnary)],
    /// Likewise, of two operands.
    pub(super) binary: &'static [(&'static str, FloatBinary)],
    /// Instructions that move bits: exact, NaNs included.
    pub(super) unary_bits: &'static [(&'static str, FloatUnary)],
    /// Comparisons.
    pub(super) comparisons: &'static [(&'static str, FloatComparison)],
    /// Pseudo-minimum and pseudo-maximum of vectors: one of the operands, bit for bit.
    pub(super) pseudo: &'static [(&'static str, FloatBinary)],
}

macro_rules! float {
    ($name:ident, $float:ty, $bits:ty) => {
        mod $name {
            use super::Float;

            fn number(lane: u64) -> $float {
                <$float>::from_bits(lane as $bits)
            }

            fn lane(number: $float) -> u64 {
                u64::from(number.to_bits())
            }

            const SIGN: u64 = 1 << (<$bits>::BITS - 1);

            /// Of zeros of both signs the one of this sign: `min` takes a negative one, `max` a positive one.
            fn extreme(a: u64, b: u64, less: bool) -> u64 {
                let (x, y) = (number(a), number(b));
                if x.is_nan() || y.is_nan() {
                    lane(<$float>::NAN)
                } else if x == 0.0 && y == 0.0 {
                    if less { a | b } else { a & b }
                } else if (x < y) == less {
                    a
                } else {
                    b
                }
            }

            pub(in super::super) const OPERATIONS: Float = Float {
                unary: &[
                    ("ceil", |a| lane(number(a).ceil())),
                    ("floor", |a| lane(number(a).floor())),
                    ("trunc", |a| lane(number(a).trunc())),
                    ("nearest", |a| lane(number(a).round_ties_even())),
                    ("sqrt", |a| lane(number(a).sqrt())),
                ],
                binary: &[
                    ("add", |a, b| lane(number(a) + number(b))),
                    ("sub", |a, b| lane(number(a) - number(b))),
                    ("mul", |a, b| lane(number(a) * number(b))),
                    ("div", |a, b| lane(number(a) / number(b))),
                    ("min", |a, b| extreme(a, b, true)),
                    ("max", |a, b| extreme(a, b, false)),
                ],
                unary_bits: &[("abs", |a| a & !SIGN), ("neg", |a| a ^ SIGN)],
                comparisons: &[
                    ("eq", |a, b| number(a) == number(b)),
                    ("ne", |a, b| number(a) != number(b)),
                    ("lt", |a, b| number(a) < number(b)),
                    ("gt", |a, b| number(a) > number(b)),
                    ("le", |a, b| number(a) <= number(b)),
                    ("ge", |a, b| number(a) >= number(b)),
                ],
                pseudo: &[
                    ("pmin", |a, b| if number(b) < number(a) { b } else { a }),
                    ("pmax", |a, b| if number(a) < number(b) { b } else { a }),
                ],
            };

            /// The magnitude of one, the sign of the other.
            pub(in super::super) fn copysign(a: u64, b: u64) -> u64 {
                (a & !SIGN) | (b & SIGN)
            }
        }
    };
}
float!(f32_lane, f32, u32);
float!(f64_lane, f64, u64);

pub(super) use f32_lane::{OPERATIONS as F32, copysign as copysign_f32};
pub(super) use f64_lane::{OPERATIONS as F64, copysign as copysign_f64};

/// f32.demote_f64.
pub(super) fn demote(a: u64) -> u64 {
    u64::from((f64::from_bits(a) as f32).to_bits())
}

/// f64.promote_f32.
pub(super) fn promote(a: u64) -> u64 {
    f64::from(f32::from_bits(a as u32)).to_bits()
}

/// The float lane of `width` bits as a double, which holds every f32.
fn double(width: u32, lane: u64) -> f64 {
    if width == 32 {
        f64::from(f32::from_bits(lane as u32))
    } else {
        f64::from_bits(lane)
    }
}

/// Truncates a float of `from` bits to an integer of `to` bits: saturated, NaN to 0. Rust's casts are defined so.
pub(super) fn truncate_saturated(from: u32, to: u32, is_signed: bool, lane: u64) -> u64 {
    let value = double(from, lane);
    match (to, is_signed) {
        (32, true) => u64::from(value as i32 as u32),
        (32, _) => u64::from(value as u32),
        (_, true) => value as i64 as u64,
        _ => value as u64,
    }
}

/// Truncates as above; `None` where WebAssembly traps: for NaN, and if the integer does not hold the truncated value.
pub(super) fn truncate(from: u32, to: u32, is_signed: bool, lane: u64) -> Option<u64> {
    let whole = double(from, lane).trunc();
    let bits = if is_signed { to - 1 } else { to };
    let end = 2f64.powi(bits as i32);
    let start = if is_signed { -end } else { 0.0 };
    // -0.0 is within: it compares equal to 0.
    (whole >= start && whole < end).then(|| truncate_saturated(from, to, is_signed, lane))
}

/// Converts an integer of `from` bits to the nearest float of `to` bits, ties to even, as Rust's casts do.
pub(super) fn convert(from: u32, is_signed: bool, to: u32, lane: u64) -> u64 {
    match (to, is_signed) {
        (32, true) => u64::from((signed(from, lane) as f32).to_bits()),
        (32, _) => u64::from((lane as f32).to_bits()),
        (_, true) => (signed(from, lane) as f64).to_bits(),
        _ => (lane as f64).to_bits(),
    }
}

/// The lanes of `width` bits of a vector, lowest first.
pub(super) fn lanes(width: u32, vector: u128) -> Vec<u64> {
    (0..128 / width)
        .map(|lane| (vector >> (lane * width)) as u64 & mask(width))
        .collect()
}

/// The vector of these lanes.
pub(super) fn vector(width: u32, lanes: impl IntoIterator<Item = u64>) -> u128 {
    (0u32..)
        .step_by(width as usize)
        .zip(lanes)
        .fold(0, |vector, (at, lane)| vector | u128::from(lane) << at)
}
