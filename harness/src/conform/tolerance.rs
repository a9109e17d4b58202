//! How far an output may be from the truth: the tolerance table of the kernel contract, kernel by kernel.

/// Distance in units in the last place: how many f32 values apart the two are. +0 and -0 are the same value, Inf is the
/// successor of the largest finite value. Two NaNs are equal; `None` where only one side is NaN.
pub fn ulps_f32(a: f32, b: f32) -> Option<f64> {
    let ordered = |value: f32| {
        let magnitude = i64::from(value.to_bits() & 0x7fff_ffff);
        if value.is_sign_negative() { -magnitude } else { magnitude }
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
        if bits & 0x8000 != 0 { -magnitude } else { magnitude }
    };
    match (nan(a), nan(b)) {
        (true, true) => Some(0.0),
        (false, false) => Some(f64::from((ordered(a) - ordered(b)).unsigned_abs())),
        _ => None,
    }
}
