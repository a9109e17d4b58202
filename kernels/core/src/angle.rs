//! Logarithm, exponential, sine and cosine for angles, in f64: each is one straight line of arithmetic without a case for arguments that
//! no angle has, so that every instruction of a module can be tried. Errors are far below half a unit of the f32 that the results become.
//!
//! Series are those of Taylor, and of the inverse hyperbolic tangent for the logarithm, cut where the next term is below 2^-52 of the
//! result; for sine and cosine below 2^-44, which one rounding to f32 hides.

/// Adding this to a number below 2^51 leaves no bits after the point: it rounds to the nearest integer, which the low bits then hold.
const TO_INTEGER: f64 = 6_755_399_441_055_744.0;

/// A multiple of pi/2 is taken off in three parts, so that the first two products are exact for factors of up to 26 bits: 27 bits of pi/2,
const HALF_PI_1: f64 = f64::from_bits(0x3ff9_21fb_5400_0000);
/// the next 27,
const HALF_PI_2: f64 = f64::from_bits(0x3e11_0b46_1000_0000);
/// and the rest.
const HALF_PI_3: f64 = f64::from_bits(0x3c5a_6263_3145_c06e);
/// No remainder is larger but of angles that have no bits left for one.
const LARGEST_REMAINDER: f64 = 1.0;

/// 32 bits of ln 2, so that products with exponents are exact.
const LN_2_1: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
/// The rest.
const LN_2_2: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// Bits of an f64 after its point.
const FRACTION_BITS: u32 = 52;
/// The exponent bits of 1.
const ONE: i64 = 1023 << FRACTION_BITS;
/// The bits of the square root of 1/2: mantissas from there on are halved.
const SQRT_HALF: i64 = 0x3fe6_a09e_667f_3bcd;

/// Sine and cosine of an angle in radians. Up to 10^8 within 10^-13, beyond that in \[-1, 1\]; NaN for an infinite angle.
#[inline(always)]
pub(crate) fn sine_and_cosine(angle: f64) -> (f64, f64) {
    let shifted = angle * core::f64::consts::FRAC_2_PI + TO_INTEGER;
    let quarters = shifted - TO_INTEGER;
    let remainder = angle - quarters * HALF_PI_1 - quarters * HALF_PI_2 - quarters * HALF_PI_3;
    let x = clamp(remainder);
    let z = x * x;
    let sine = x * series(
        z,
        [
            1.0 / 6_227_020_800.0,
            -1.0 / 39_916_800.0,
            1.0 / 362_880.0,
            -1.0 / 5_040.0,
            1.0 / 120.0,
            -1.0 / 6.0,
            1.0,
        ],
    );
    let cosine = series(
        z,
        [
            -1.0 / 87_178_291_200.0,
            1.0 / 479_001_600.0,
            -1.0 / 3_628_800.0,
            1.0 / 40_320.0,
            -1.0 / 720.0,
            1.0 / 24.0,
            -1.0 / 2.0,
            1.0,
        ],
    );
    let quarter = shifted.to_bits();
    let (sine, cosine) = if quarter & 1 == 0 {
        (sine, cosine)
    } else {
        (cosine, sine)
    };
    // The sign bit of each, from the quarter that the angle is in.
    let of_sine = (quarter & 2) << 62;
    let of_cosine = (quarter.wrapping_add(1) & 2) << 62;
    (
        f64::from_bits(sine.to_bits() ^ of_sine),
        f64::from_bits(cosine.to_bits() ^ of_cosine),
    )
}

/// A NaN stays one.
#[inline(always)]
fn clamp(x: f64) -> f64 {
    let x = if x > LARGEST_REMAINDER {
        LARGEST_REMAINDER
    } else {
        x
    };
    if x < -LARGEST_REMAINDER {
        -LARGEST_REMAINDER
    } else {
        x
    }
}

/// Natural logarithm of a positive finite number that is not below the normal range.
pub(crate) fn ln(x: f64) -> f64 {
    // The mantissa from sqrt(1/2) to sqrt(2), and the exponent that belongs to it.
    let bits = x.to_bits() as i64;
    let exponent = (bits - SQRT_HALF) >> FRACTION_BITS;
    let mantissa = f64::from_bits((bits - (exponent << FRACTION_BITS)) as u64);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let tail = series(
        z,
        [
            2.0 / 23.0,
            2.0 / 21.0,
            2.0 / 19.0,
            2.0 / 17.0,
            2.0 / 15.0,
            2.0 / 13.0,
            2.0 / 11.0,
            2.0 / 9.0,
            2.0 / 7.0,
            2.0 / 5.0,
            2.0 / 3.0,
            2.0,
        ],
    );
    let exponent = exponent as f64;
    exponent * LN_2_1 + (exponent * LN_2_2 + s * tail)
}

/// e^x for x from -700 to 700.
pub(crate) fn exp(x: f64) -> f64 {
    let shifted = x * core::f64::consts::LOG2_E + TO_INTEGER;
    let exponent = shifted - TO_INTEGER;
    let r = x - exponent * LN_2_1 - exponent * LN_2_2;
    let power = series(
        r,
        [
            1.0 / 6_227_020_800.0,
            1.0 / 479_001_600.0,
            1.0 / 39_916_800.0,
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            1.0 / 2.0,
            1.0,
            1.0,
        ],
    );
    // The low bits of `shifted` are the exponent.
    let scale = (shifted.to_bits() as i64) << FRACTION_BITS;
    power * f64::from_bits(scale.wrapping_add(ONE) as u64)
}

/// The polynomial in z with these coefficients, that of the highest power first.
#[inline(always)]
fn series<const N: usize>(z: f64, coefficients: [f64; N]) -> f64 {
    coefficients
        .iter()
        .fold(0.0, |sum, coefficient| sum * z + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Angles of all sizes up to a bound, and those beside multiples of pi/4.
    fn angles(bound: f64) -> impl Iterator<Item = f64> {
        let drawn = (0..400_000_u64).map(move |index| {
            let bits = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let unit = (bits >> 11) as f64 / 9_007_199_254_740_992.0;
            let size = libm::exp2(libm::log2(bound) * unit * 1.5 - libm::log2(bound) * 0.5);
            if index % 2 == 0 { size } else { -size }
        });
        let near = (0..100_000_u32).flat_map(|index| {
            let at = f64::from(index) * core::f64::consts::FRAC_PI_4;
            [at, at + 1e-9, at - 1e-9, f64::from(at as f32)]
        });
        drawn.chain(near).filter(move |angle| angle.abs() <= bound)
    }

    #[test]
    fn sine_and_cosine_are_those_of_the_library() {
        for angle in angles(1e8) {
            let (sine, cosine) = sine_and_cosine(angle);
            let (due_sine, due_cosine) = libm::sincos(angle);
            assert!((sine - due_sine).abs() < 1e-13, "{angle:e}: {sine:e}");
            assert!((cosine - due_cosine).abs() < 1e-13, "{angle:e}: {cosine:e}");
        }
        let (sine, cosine) = sine_and_cosine(-0.0);
        assert!(sine == 0.0 && sine.is_sign_negative() && cosine == 1.0);
        let (sine, cosine) = sine_and_cosine(f64::from(f32::from_bits(1)));
        assert!(sine == f64::from(f32::from_bits(1)) && cosine == 1.0);
    }

    #[test]
    fn no_angle_gives_more_than_one() {
        for exponent in 0..=1023 {
            for mantissa in [0, 1, 0x5555_5555_5555, 0xf_ffff_ffff_ffff] {
                let angle = f64::from_bits(((exponent + 1023) << 52) | mantissa);
                for angle in [angle, -angle] {
                    let (sine, cosine) = sine_and_cosine(angle);
                    if angle.is_finite() {
                        assert!(sine.abs() <= 1.0 && cosine.abs() <= 1.0, "{angle:e}");
                    } else {
                        assert!(sine.is_nan() && cosine.is_nan());
                    }
                }
            }
        }
        for angle in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let (sine, cosine) = sine_and_cosine(angle);
            assert!(sine.is_nan() && cosine.is_nan());
        }
    }

    #[test]
    fn powers_of_all_thetas_are_those_of_the_library() {
        // Every exponent of an f32, subnormals among them, and many mantissas.
        for high in 0..0x7f80_u32 {
            let theta = f32::from_bits(high << 16 | high.wrapping_mul(40_503) & 0xffff);
            if theta == 0.0 {
                continue;
            }
            let (ln, due) = (ln(theta.into()), libm::log(theta.into()));
            assert!(
                (ln - due).abs() <= 4e-16 * due.abs().max(1e-3),
                "{theta:e}: {ln:e}"
            );
            for part in [0.0, -0.01, -0.5, -0.99] {
                let (power, due) = (exp(ln * part), libm::exp(ln * part));
                assert!((power / due - 1.0).abs() < 1e-15, "{theta:e}: {power:e}");
            }
        }
        assert_eq!((ln(1.0), exp(0.0)), (0.0, 1.0));
    }
}
