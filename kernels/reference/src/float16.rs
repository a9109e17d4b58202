//! IEEE 754 binary16 by its definition: 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits.

/// The exact value of a binary16 number given by its bits.
pub fn decode(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => sign * f64::INFINITY,
        0x1f => f64::NAN,
        _ => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// The bits of the binary16 number nearest to `value`, ties to even: one rounding, whatever `value`'s precision. 65520 and
/// above become Inf, every NaN becomes 0x7e00.
pub fn encode(value: f64) -> u16 {
    if value.is_nan() {
        return 0x7e00;
    }
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let magnitude = value.abs();
    if magnitude >= 65520.0 {
        return sign | 0x7c00;
    }
    // The spacing of binary16 values in the binade of `value`, not less than that of subnormals.
    let exponent = ((magnitude.to_bits() >> 52) as i32 - 1023).max(-14);
    // Scaling by a power of two is exact. The bits of positive binary16 numbers count them in order, so a fraction that
    // rounds up to 1024 or 2048 carries into the exponent by itself.
    let steps = (magnitude * 2f64.powi(10 - exponent)).round_ties_even() as u16;
    sign | (steps + ((exponent + 14) as u16) * 0x400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_the_standard() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x03ff, 1023.0 / 16_777_216.0),
            (0x0400, 6.103_515_625e-5),
            (0x3555, 0.333_251_953_125),
            (0x3c00, 1.0),
            (0x3c01, 1.000_976_562_5),
            (0x7bff, 65504.0),
            (0xc000, -2.0),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(decode(bits), value);
            assert_eq!(encode(value), bits);
        }
        assert!(decode(0x8000).is_sign_negative());
        assert_eq!(encode(-0.0), 0x8000);
    }

    #[test]
    fn every_pattern_survives_a_round_trip() {
        for bits in 0..=u16::MAX {
            let value = decode(bits);
            if value.is_nan() {
                assert!(bits & 0x7fff > 0x7c00);
                assert_eq!(encode(value), 0x7e00);
            } else {
                assert_eq!(encode(value), bits);
            }
        }
    }

    #[test]
    fn ties_go_to_the_even_neighbour_and_anything_else_to_the_nearer() {
        for bits in 0..0x7bff_u16 {
            let middle = (decode(bits) + decode(bits + 1)) / 2.0;
            let even = if bits % 2 == 0 { bits } else { bits + 1 };
            assert_eq!(encode(middle), even);
            assert_eq!(encode(middle * (1.0 - 1e-15)), bits);
            assert_eq!(encode(middle * (1.0 + 1e-15)), bits + 1);
            assert_eq!(encode(-middle), even | 0x8000);
        }
        assert_eq!(encode(65519.999), 0x7bff);
        assert_eq!(encode(65520.0), 0x7c00);
        assert_eq!(encode(f64::MIN_POSITIVE / 8.0), 0);
    }
}
