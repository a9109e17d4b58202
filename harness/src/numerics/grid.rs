//! The operands: values at which implementations go wrong. Short lists are crossed with each other for instructions of
//! two operands; unary instructions also get the long ones.

use super::operation::Lane;

/// Floats of 32 bits for cross products.
const F32: &[u32] = &[
    0x0000_0000, // 0
    0x8000_0000, // -0
    0x0000_0001, // the smallest subnormal number
    0x807f_ffff, // the largest one, negative
    0x0080_0000, // the smallest normal number
    0x3f00_0000, // 0.5
    0xbf80_0000, // -1
    0x3f80_0000, // 1
    0x3f80_0001, // the next one
    0xbfc0_0000, // -1.5
    0x4049_0fdb, // pi
    0x4b80_0001, // 2^24 + 2
    0xcf00_0000, // -2^31
    0x7f7f_ffff, // the largest number
    0xff7f_ffff, // the same, negative
    0x7f80_0000, // infinity
    0xff80_0000, // -infinity
    0x7fc0_0000, // the canonical NaN
    0xffe1_2345, // a quiet NaN with sign and payload
    0x7fa0_0001, // a signalling NaN
];

/// More of them for unary instructions: halves, whose rounding ties, and the ends of what integers hold.
const F32_MORE: &[u32] = &[
    0x8000_0001,
    0x007f_ffff,
    0x8080_0000,
    0xbf00_0000,
    0x3eff_ffff,
    0x3f00_0001,
    0xbeff_ffff,
    0x3f7f_ffff,
    0xbf7f_ffff,
    0x3fc0_0000,
    0x4020_0000,
    0xc020_0000,
    0x4060_0000,
    0xc060_0000,
    0x4090_0000, // 1.5, 2.5, -2.5, 3.5, -3.5, 4.5
    0x4a80_0001,
    0xca80_0001,
    0x4aff_ffff,
    0xcaff_fffd, // 2^22 + 0.5, ..., 2^23 - 0.5, ...
    0x4b00_0000,
    0x4b00_0001,
    0xcb00_0001,
    0x4b7f_ffff,
    0x4b80_0000,
    0x42fe_0000,
    0x437f_0000, // 2^23, 2^24, 127, 255
    0x4eff_ffff,
    0x4f00_0000,
    0xcf00_0001,
    0x4f7f_ffff,
    0x4f80_0000, // 2^31, 2^32
    0x5eff_ffff,
    0x5f00_0000,
    0xdf00_0000,
    0xdf00_0001,
    0x5f7f_ffff,
    0x5f80_0000, // 2^63, 2^64
    0xc049_0fdb,
    0x3eaa_aaab,
    0x7fff_ffff,
    0xff80_0001,
    0x7f80_0001,
];

/// Floats of 64 bits for cross products.
const F64: &[u64] = &[
    0x0000_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x0000_0000_0000_0001,
    0x800f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x3fe0_0000_0000_0000,
    0xbff0_0000_0000_0000,
    0x3ff0_0000_0000_0000,
    0x3ff0_0000_0000_0001,
    0xbff8_0000_0000_0000,
    0x4009_21fb_5444_2d18, // pi
    0x4340_0000_0000_0001, // 2^53 + 2
    0xc3e0_0000_0000_0000, // -2^63
    0x7fef_ffff_ffff_ffff,
    0xffef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0xfffc_2468_acf1_3579,
    0x7ff4_0000_0000_0001,
];

/// More of them for unary instructions, with the ends of f32 for demotion.
const F64_MORE: &[u64] = &[
    0x8000_0000_0000_0001,
    0x000f_ffff_ffff_ffff,
    0x8010_0000_0000_0000,
    0xbfe0_0000_0000_0000,
    0x3fdf_ffff_ffff_ffff,
    0x3fe0_0000_0000_0001,
    0xbfdf_ffff_ffff_ffff,
    0x3fef_ffff_ffff_ffff,
    0xbfef_ffff_ffff_ffff,
    0x3ff8_0000_0000_0000,
    0x4004_0000_0000_0000,
    0xc004_0000_0000_0000,
    0x400c_0000_0000_0000,
    0xc00c_0000_0000_0000,
    0x4012_0000_0000_0000, // 1.5, 2.5, -2.5, 3.5, -3.5, 4.5
    0x4320_0000_0000_0001,
    0x432f_ffff_ffff_ffff,
    0xc32f_ffff_ffff_fffd, // 2^51 + 0.5, 2^52 - 0.5, ...
    0x4330_0000_0000_0000,
    0x4330_0000_0000_0001,
    0xc330_0000_0000_0001,
    0x433f_ffff_ffff_ffff,
    0x4340_0000_0000_0000,
    0x41df_ffff_ffc0_0000,
    0x41df_ffff_ffe0_0000,
    0x41df_ffff_ffff_ffff,
    0x41e0_0000_0000_0000, // 2^31 - 1, - 0.5, ...
    0xc1e0_0000_0000_0000,
    0xc1e0_0000_000f_ffff,
    0xc1e0_0000_0010_0000,
    0xc1e0_0000_0020_0000, // -2^31, - 0.5, - 1
    0x41ef_ffff_ffe0_0000,
    0x41ef_ffff_ffff_ffff,
    0x41f0_0000_0000_0000, // 2^32
    0x43df_ffff_ffff_ffff,
    0x43e0_0000_0000_0000,
    0xc3e0_0000_0000_0001,
    0x43ef_ffff_ffff_ffff,
    0x43f0_0000_0000_0000,
    0x36a0_0000_0000_0000,
    0x3690_0000_0000_0000,
    0x3690_0000_0000_0001,
    0x380f_ffff_ffff_ffff, // f32's subnormals
    0x380f_ffff_e000_0000,
    0x3810_0000_0000_0000,
    0xb690_0000_0000_0000,
    0x47ef_ffff_e000_0000,
    0x47ef_ffff_efff_ffff,
    0x47ef_ffff_f000_0000,
    0xc7ef_ffff_f000_0000, // f32's overflow
    0x3ff0_0000_1000_0000,
    0x3ff0_0000_3000_0000,
    0x3ff0_0000_1000_0001, // ties of demotion
    0x3fd5_5555_5555_5555,
    0x7fff_ffff_ffff_ffff,
    0xfff0_0000_0000_0001,
    0x7ff0_0000_0000_0001,
];

/// The values of a lane for cross products.
pub(super) fn short(lane: Lane) -> Vec<u64> {
    match lane {
        Lane::F32 => F32.iter().map(|&bits| u64::from(bits)).collect(),
        Lane::F64 => F64.to_vec(),
        Lane::I8 | Lane::I16 | Lane::I32 | Lane::I64 => {
            let width = lane.width();
            let mask = super::oracle::mask(width);
            let top = 1 << (width - 1);
            let mut values = vec![
                0,
                1,
                2,
                3,
                7,
                mask,
                mask - 1,
                mask - 6,
                top,
                top + 1,
                top - 1,
                // Patterns, a shift count beyond 8 and 16, and a number whose square does not fit.
                0x5555_5555_5555_5555 & mask,
                0x0123_4567_89ab_cdef & mask,
                0xfedc_ba98_7654_3210 & mask,
                u64::from(width) + 1,
                1 << (width / 2),
            ];
            values.dedup();
            values
        }
        Lane::Count => vec![0, 1, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 0xffff_ffff],
        Lane::Index => vec![0, 1, 5, 14, 15, 16, 17, 31, 128, 255],
        Lane::Mask => vec![0, u64::MAX, 0x0123_4567_89ab_cdef, 1],
    }
}

/// The values of a lane for unary instructions.
pub(super) fn long(lane: Lane) -> Vec<u64> {
    let mut values = short(lane);
    match lane {
        Lane::F32 => values.extend(F32_MORE.iter().map(|&bits| u64::from(bits))),
        Lane::F64 => values.extend(F64_MORE),
        Lane::I8 => values = (0..=255).collect(),
        Lane::I16 => values.extend([0xff, 0x100, 0x80, 0x7f, 0xff80, 0xff7f, 0xff00]),
        Lane::I32 => values.extend([
            0xff,
            0x80,
            0x7f,
            0xffff,
            0x8000,
            0x7fff,
            0xffff_8000,
            0xffff_7fff,
            0x00ff_ffff,
            0x0100_0001,
            0x0100_0003,
            0x7fff_ff40,
            0x7fff_ffc0,
            0xffff_ff80,
            0xffff_ff7f,
        ]),
        Lane::I64 => values.extend([
            0xff,
            0x80,
            0x7f,
            0xffff,
            0x8000,
            0x7fff,
            0xffff_ffff,
            0x8000_0000,
            0x7fff_ffff,
            0x0100_0001,
            0x0100_0003,
            // Ties of 53 bits, and those of 24 bits that a detour over f64 rounds twice.
            0x0020_0000_0000_0001,
            0x0020_0000_0000_0003,
            0x7fff_ffff_ffff_fdff,
            0x7fff_ffff_ffff_fe00,
            0xffff_ffff_ffff_fbff,
            0xffff_ffff_ffff_fc00,
            0x7fff_ff40_0000_0001,
            0x7fff_ffbf_ffff_ffff,
            0x0020_0000_2000_0001,
            0x8000_0040_0000_0001,
            0x8000_0080_0000_0001,
            0xffff_ff7f_ffff_ffff,
            0xffff_ffff_8000_0000,
            0xffff_ffff_7fff_ffff,
        ]),
        Lane::Count | Lane::Index | Lane::Mask => {}
    }
    values
}
