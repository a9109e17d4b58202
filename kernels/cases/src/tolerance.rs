//! How far an output may be from the truth: the tolerance table of the kernel contract, and the table of gradients that
//! `docs/kernels.md` adds, as named policies. u = 2^-24.
//!
//! | kernel | policy of L4, and of L5 where an oracle binds within the tolerance |
//! |---|---|
//! | rope_f32, rope_q8 with angles | [`ROPE_ANGLES`] |
//! | rope_f32, rope_q8 with tables | [`ROPE_TABLES`] |
//! | rope_f16 | [`ROPE_F16`] |
//! | rope_q8 | the above, then [`SCALE_ULPS`], [`off_by_one_codes`] |
//! | rmsnorm_f32, rmsnorm_f16 | [`rmsnorm_f32`], [`RMSNORM_F16`] |
//! | swiglu_f32, swiglu_f16 | [`SWIGLU_F32`], [`SWIGLU_F16`] |
//! | lora_apply_f32, lora_apply_f16 | [`lora_apply`] |
//! | kv_* | bits: the oracle is exact |
//! | gradients | [`sum_gradient`], [`swiglu_gradient`] |

use crate::number;
use kernel_pack::Dtype;
use kernel_reference::{Element, float16};

/// Half the spacing of f32 values at 1.
pub const U: f64 = 5.960_464_477_539_063e-8; // 2^-24

/// Half a subnormal step of f32, 2^-150: the most by which rounding the truth to f32 moves a value below 2^-126. Every f32
/// comparison with such a value adds it, because the rounded truth is what an output is held against. It is less than any
/// difference of two f32 values, so alone it lets nothing pass.
pub(crate) const HALF_SUBNORMAL: f64 = 7.006_492_321_624_085e-46;

/// Whether magnitudes are such that a tolerance may scale with them: an infinite one would allow anything.
///
/// # Errors
/// For one that is below 0 or not finite where the value is.
pub fn check_magnitudes(magnitudes: &[f64], values: &[f64]) -> Result<(), String> {
    for (index, (magnitude, value)) in magnitudes.iter().zip(values).enumerate() {
        if value.is_finite() && !(magnitude.is_finite() && *magnitude >= 0.0) {
            return Err(format!(
                "mag[{index}] is {magnitude:e}, and no magnitude, where the value is {value:e}"
            ));
        }
    }
    Ok(())
}

/// The format of an output element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
}

impl Format {
    /// The type of such elements.
    pub(crate) fn dtype(self) -> Dtype {
        match self {
            Format::F32 => Dtype::F32,
            Format::F16 => Dtype::F16,
        }
    }

    /// Rounds once, to nearest even.
    pub fn round(self, value: f64) -> f64 {
        number::round(self.dtype(), value)
    }

    /// The least magnitude that rounds to Inf.
    fn overflow(self) -> f64 {
        match self {
            Format::F32 => 3.402_823_567_797_336_6e38, // 2^128 - 2^103
            Format::F16 => 65520.0,
        }
    }

    /// Distance in units in the last place between two values of the format.
    pub fn ulps(self, a: f64, b: f64) -> Option<f64> {
        match self {
            Format::F32 => ulps_f32(a as f32, b as f32),
            Format::F16 => ulps_f16(float16::encode(a), float16::encode(b)),
        }
    }
}

/// The part of a tolerance that is not in units in the last place of f16.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// There is none.
    None,
    /// So many times u times the element's magnitude.
    Magnitude(f64),
    /// So many times the expected value.
    Relative(f64),
    /// 8*2^-23*|y| + 2^-126, and 1e-30*|x| more where |beta*gate| > 80.
    Swiglu,
    /// 8*u*magnitude, and 1e-30*|tail| more where |beta*gate| > 80.
    SwigluGradient,
}

/// How far an element may be from the truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The row of the table, for messages.
    pub name: &'static str,
    /// Units in the last place of the expected f16.
    ulps_f16: f64,
    bound: Bound,
    /// Whether an element is made of products and quotients alone: then a zero has a sign in whatever order they are computed.
    pub(crate) signs_zeros: bool,
}

const fn policy(name: &'static str, ulps_f16: f64, bound: Bound) -> Policy {
    Policy {
        name,
        ulps_f16,
        bound,
        signs_zeros: false,
    }
}

const fn of_products(policy: Policy) -> Policy {
    Policy {
        signs_zeros: true,
        ..policy
    }
}

/// 4*2^-23*hypot(pair).
pub const ROPE_ANGLES: Policy = policy("rope with angles", 0.0, Bound::Magnitude(8.0));
/// 2*2^-23*hypot(pair).
pub const ROPE_TABLES: Policy = policy("rope with tables", 0.0, Bound::Magnitude(4.0));
/// 1 ulp16 + 4*2^-23*hypot(pair).
pub const ROPE_F16: Policy = policy("rope_f16", 1.0, Bound::Magnitude(8.0));
/// 1 ulp16.
pub const RMSNORM_F16: Policy = of_products(policy("rmsnorm_f16", 1.0, Bound::None));
/// 8*2^-23*|y| + 2^-126; plus 1e-30*|x| where |beta*gate| > 80.
pub const SWIGLU_F32: Policy = of_products(policy("swiglu_f32", 0.0, Bound::Swiglu));
/// 1 ulp16.
pub const SWIGLU_F16: Policy = of_products(policy("swiglu_f16", 1.0, Bound::None));
/// The scale of a requantised block: 1 ulp16.
pub const SCALE: Policy = policy("scale of a block", SCALE_ULPS, Bound::None);
/// Units in the last place of f16 by which the scale of a requantised block may differ.
pub const SCALE_ULPS: f64 = 1.0;

/// max(1e-6, 6.25e-8*sqrt(hidden)) relative.
pub fn rmsnorm_f32(hidden: usize) -> Policy {
    let relative = (6.25e-8 * (hidden as f64).sqrt()).max(1e-6);
    of_products(policy("rmsnorm_f32", 0.0, Bound::Relative(relative)))
}

/// (4 + 0.5*sqrt(in+rank))*u*mag; f16: 1 ulp16 more.
pub fn lora_apply(format: Format, in_features: usize, rank: usize) -> Policy {
    let factor = 4.0 + 0.5 * ((in_features + rank) as f64).sqrt();
    match format {
        Format::F32 => policy("lora_apply_f32", 0.0, Bound::Magnitude(factor)),
        Format::F16 => policy("lora_apply_f16", 1.0, Bound::Magnitude(factor)),
    }
}

/// Gradients of rmsnorm and lora_apply: (8 + 2*sqrt(n))*u*mag, n the number of terms of all sums that the element consists
/// of and mag the sum of their absolute values; f16: 1 ulp16 more. Sums of n roundings of random sign grow with sqrt(n); a
/// gradient has two or three sums in a row, a cube and up to eight products, hence more room than lora_apply has.
pub fn sum_gradient(format: Format, terms: usize) -> Policy {
    let bound = Bound::Magnitude(8.0 + 2.0 * (terms as f64).sqrt());
    match format {
        Format::F32 => policy("gradient, f32", 0.0, bound),
        Format::F16 => policy("gradient, f16", 1.0, bound),
    }
}

/// Gradient of swiglu: 8*u*mag, plus 1e-30*|dy| (dx) or 1e-30*|dy*x| (dgate) where |beta*gate| > 80, where exp leaves the
/// range of f32; f16: 1 ulp16 more. mag grows with how the result answers to the rounding of beta*gate.
pub fn swiglu_gradient(format: Format) -> Policy {
    match format {
        Format::F32 => policy("gradient of swiglu, f32", 0.0, Bound::SwigluGradient),
        Format::F16 => policy("gradient of swiglu, f16", 1.0, Bound::SwigluGradient),
    }
}

/// How many codes of a requantised output of `elements` elements may be off by one: 2 %, and one where 2 % is less than one.
pub fn off_by_one_codes(elements: usize) -> usize {
    (elements / 50).max(1)
}

impl Policy {
    /// The distance allowed from `expected`, a value of the format or a truth beyond its range.
    pub fn allowed(&self, element: &Element, expected: f64) -> f64 {
        let bound = match self.bound {
            Bound::None => 0.0,
            Bound::Magnitude(factor) => factor * U * element.magnitude,
            Bound::Relative(factor) => factor * expected.abs(),
            Bound::Swiglu => {
                16.0 * U * expected.abs() + f64::from(f32::MIN_POSITIVE) + 1e-30 * element.tail
            }
            Bound::SwigluGradient => 8.0 * U * element.magnitude + 1e-30 * element.tail,
        };
        bound + self.ulps_f16 * number::spacing(Dtype::F16, expected)
    }

    /// Whether what f32 may lose below its normal range, and magnify afterwards, exceeds what is allowed: then the tolerance
    /// says nothing about the element.
    pub fn is_drowned(&self, element: &Element, expected: f64) -> bool {
        element.loss > self.allowed(element, expected) + 2.0 * HALF_SUBNORMAL
    }

    /// Holds `got`, a value of the format, against the truth `value`. Answers the distance in units in the last place of the
    /// rounded truth, or the distance that would have been allowed.
    ///
    /// NaN must be NaN and Inf the same Inf. Where a finite truth lies within the tolerance of the magnitude from which on
    /// values round to Inf, both Inf and a finite value near enough hold.
    ///
    /// # Errors
    /// The distance allowed, if `got` is further away.
    pub fn hold(
        &self,
        format: Format,
        element: &Element,
        value: f64,
        got: f64,
    ) -> Result<f64, f64> {
        if value.is_nan() || got.is_nan() || value.is_infinite() {
            let same = value.is_nan() && got.is_nan() || value == got;
            return if same { Ok(0.0) } else { Err(0.0) };
        }
        let rounded = format.round(value);
        let expected = if rounded.is_finite() { rounded } else { value };
        let rounding = if format == Format::F32 && expected.abs() < f64::from(f32::MIN_POSITIVE) {
            HALF_SUBNORMAL
        } else {
            0.0
        };
        let allowed = self.allowed(element, expected) + element.loss + rounding;
        let holds = if got.is_infinite() {
            got.is_sign_negative() == value.is_sign_negative()
                && value.abs() + allowed >= format.overflow()
        } else {
            (got - expected).abs() <= allowed
        };
        if holds {
            Ok(format.ulps(rounded, got).unwrap_or(0.0))
        } else {
            Err(allowed)
        }
    }
}

/// Distance in units in the last place: how many f32 values apart the two are. +0 and -0 are the same value, Inf is the
/// successor of the largest finite value. Two NaNs are equal; `None` where only one side is NaN.
pub fn ulps_f32(a: f32, b: f32) -> Option<f64> {
    let ordered = |value: f32| {
        let magnitude = i64::from(value.to_bits() & 0x7fff_ffff);
        if value.is_sign_negative() {
            -magnitude
        } else {
            magnitude
        }
    };
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Some(0.0),
        (false, false) => Some((ordered(a) - ordered(b)).unsigned_abs() as f64),
        _ => None,
    }
}

/// As [`ulps_f32`], for two binary16 values given by their bits.
pub fn ulps_f16(a: u16, b: u16) -> Option<f64> {
    let nan = |bits: u16| bits & 0x7fff > 0x7c00;
    let ordered = |bits: u16| {
        let magnitude = i32::from(bits & 0x7fff);
        if bits & 0x8000 != 0 {
            -magnitude
        } else {
            magnitude
        }
    };
    match (nan(a), nan(b)) {
        (true, true) => Some(0.0),
        (false, false) => Some(f64::from((ordered(a) - ordered(b)).unsigned_abs())),
        _ => None,
    }
}
