//! kv_pack_q8, kv_pack_q4, kv_unpack_q8, kv_unpack_q4.

use super::{
    super::case::Word,
    call::{Call, INPUT, OK, PARAMS, Table},
    regions,
    values::{Float, f32_bytes, mixed, plain, with},
    zeros,
};
use kernel_abi::{
    block::{ELEMENTS, Q4_BYTES, Q8_BYTES},
    params::Kv,
};

/// A block format.
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// Bytes of a block.
    bytes: usize,
    /// The quotient of the largest magnitude and the scale.
    largest_code: f32,
}

/// Q8_0.
pub(super) const Q8: Format = Format {
    bytes: Q8_BYTES,
    largest_code: 127.0,
};

/// Q4_0.
pub(super) const Q4: Format = Format {
    bytes: Q4_BYTES,
    largest_code: 8.0,
};

fn params(rows: u32, dim: u32) -> [u8; Kv::SIZE] {
    Kv { rows, dim }.to_le_bytes()
}

/// What both directions have in common: `good` has 2 rows of 64.
fn common_rows(table: &mut Table, good: &Call, element: usize) {
    let refused = params(2, 33);
    regions::rows(table, &good.clone().scratch(64), element, &refused);
    regions::no_gradient_rows(table, good, &refused);

    for (name, rows, dim) in [
        ("rows-0", 0, 64),
        ("dim-0", 2, 0),
        ("dim-1", 128, 1),
        ("dim-16", 8, 16),
        ("dim-31", 2, 31),
        ("dim-63", 2, 63),
        ("dim-2^32-1", 2, u32::MAX),
    ] {
        table.row(name, PARAMS, good.clone().params(params(rows, dim)));
    }
    for (name, rows, dim) in [
        ("one-row-more", 3, 64),
        ("one-block-more", 2, 96),
        ("rows-2^32-1", u32::MAX, 64),
        ("dim-2^32-32", 1, u32::MAX - 31),
    ] {
        table.row(name, INPUT, good.clone().params(params(rows, dim)));
    }
    table.row(
        "same-blocks-in-4-rows",
        OK,
        good.clone().params(params(4, 32)),
    );

    // Sizes that wrap around 2^32, in bytes of f32 and of blocks, to nothing.
    for (name, rows, dim) in [
        ("f32-size-wraps-to-0", 1 << 16, 1 << 14),
        ("size-wraps-to-0", 1 << 31, 64),
        ("elements-wrap-to-0", 1 << 27, 32),
    ] {
        let call = good
            .clone()
            .params(params(rows, dim))
            .set(Word::InputASize, 0)
            .set(Word::OutputSize, 0);
        table.row(name, INPUT, call);
    }
    // 2^27 + 4 blocks of 32 are 4 blocks if the number of elements wraps.
    let wraps = good.clone().params(params((1 << 27) + 4, 32));
    table.row("elements-wrap-to-those-of-a", INPUT, wraps);

    table.row("no-scratch", OK, good.clone());
    table.row("scratch-1-byte", OK, good.clone().scratch(1));
    table.row(
        "absent-scratch-anywhere",
        OK,
        good.clone().set(Word::ScratchOffset, 3),
    );
    table.row("b-present", INPUT, good.clone().b(vec![0; 32]));
    table.row("b-of-1-byte", INPUT, good.clone().b(vec![0]));
}

pub(super) fn pack_rows(table: &mut Table, format: Format) {
    let call = |rows: usize, x: &[f32]| {
        let params = params(rows as u32, (x.len() / rows) as u32);
        Call::new(params, f32_bytes(x), x.len() / ELEMENTS * format.bytes)
    };
    common_rows(table, &call(2, &plain(128)), 4);

    for (name, rows, dim) in [("1x32", 1, 32), ("5x32", 5, 32), ("1x1024", 1, 1024)] {
        table.row(name, OK, call(rows, &mixed(rows * dim)));
    }

    // A NaN and an infinity at each place of a block.
    for (name, special) in [("nan", f32::NAN), ("inf", f32::INFINITY)] {
        let blocks: Vec<f32> = (0..32)
            .flat_map(|place| with(plain(32), place, special))
            .collect();
        table.row(format!("{name}-at-each-place"), OK, call(2, &blocks));
    }

    let ramp: Vec<f32> = (0..32).map(|index| index as f32 - 16.0).collect();
    // The scale is 1 and every value lies between two codes.
    let ties: Vec<f32> = (0..32)
        .map(|index| index as f32 % (format.largest_code - 1.0) - 3.5)
        .collect();
    let ties = with(ties, 9, -format.largest_code);
    let just_off_ties: Vec<f32> = ties
        .iter()
        .enumerate()
        .map(|(index, value)| match index {
            9 => *value,
            _ if index % 2 == 0 => value.next_up(),
            _ => value.next_down(),
        })
        .collect();
    let overflow = 65_520.0 * format.largest_code;
    let max = f32::MAX;
    let smallest_scale = 2f32.powi(-24) * format.largest_code;
    for (name, x) in [
        ("zeros", vec![0.0; 32]),
        ("minus-zeros", vec![-0.0; 32]),
        ("zeros-of-both-signs", with(vec![-0.0; 32], 7, 0.0)),
        ("ramp", ramp),
        ("ties", ties),
        ("just-off-ties", just_off_ties),
        ("one-spike", with(vec![0.0; 32], 31, 3.0)),
        ("one-negative-spike", with(vec![0.0; 32], 0, -3.0)),
        ("spike-among-small", with(plain(32), 17, 1e4)),
        ("constant", vec![0.7; 32]),
        ("negative-constant", vec![-0.7; 32]),
        (
            "largest-first-positive",
            with(with(plain(32), 4, 2.5), 20, -2.5),
        ),
        (
            "largest-first-negative",
            with(with(plain(32), 4, -2.5), 20, 2.5),
        ),
        (
            "scale-just-finite",
            with(plain(32), 3, overflow.next_down()),
        ),
        ("scale-overflows-to-inf", with(plain(32), 3, overflow)),
        (
            "scale-overflows-to-minus-inf",
            with(plain(32), 3, -overflow),
        ),
        ("largest-f32", with(plain(32), 3, max)),
        ("all-largest-f32", vec![max; 32]),
        (
            "scale-subnormal-in-f16",
            with(vec![0.0; 32], 3, 3.0 * smallest_scale),
        ),
        (
            "scale-smallest-in-f16",
            with(vec![0.0; 32], 3, smallest_scale),
        ),
        (
            "scale-0-in-f16",
            with(vec![0.0; 32], 3, smallest_scale / 4.0),
        ),
        (
            "scale-tie-to-0-in-f16",
            with(vec![0.0; 32], 3, smallest_scale / 2.0),
        ),
        ("smallest-normals", vec![f32::MIN_POSITIVE; 32]),
        ("subnormals", vec![f32::from_bits(1); 32]),
        (
            "subnormal-whose-inverse-overflows",
            with(vec![0.0; 32], 5, 1e-38),
        ),
        ("inf", with(plain(32), 6, f32::INFINITY)),
        ("minus-inf", with(plain(32), 6, f32::NEG_INFINITY)),
        ("inf-among-zeros", with(vec![0.0; 32], 6, f32::INFINITY)),
        ("nan", with(plain(32), 6, f32::NAN)),
        ("nan-first", with(plain(32), 0, f32::NAN)),
        ("all-nan", vec![f32::NAN; 32]),
        (
            "nan-and-inf",
            with(with(plain(32), 6, f32::NAN), 7, f32::INFINITY),
        ),
        ("nan-among-zeros", with(vec![0.0; 32], 6, f32::NAN)),
    ] {
        table.row(name, OK, call(1, &x));
    }
    let nans = [Float::F32.nans(), f32_bytes(&plain(28))].concat();
    table.row("nans-of-all-kinds", OK, call(1, &plain(32)).a(nans));
    // Where the search for the largest begins with a constant: in base modules the first value, with SIMD the first four.
    for (name, bits) in [
        ("signalling-nans-first", 0x7f80_0001u32),
        ("negative-signalling-nans-first", 0xffa0_0000),
    ] {
        let nans = [bits.to_le_bytes().repeat(4), f32_bytes(&plain(28))].concat();
        table.row(name, OK, call(1, &plain(32)).a(nans));
    }
    // Scales between two values of f16 and right beside: above odd and even ones, of normal and of subnormal numbers, and at the limits.
    let between = |odd: u32| 1.0 + (2 * odd + 1) as f32 / 2048.0;
    let scales = [between(0), between(1), between(7), between(1023)]
        .into_iter()
        .flat_map(|scale| [scale, scale / 16.0, scale / 16_384.0, 2048.0 * scale])
        .chain([1.5, 2.5, 3.5, 1022.5, 1023.5].map(|steps: f32| steps * 2f32.powi(-24)))
        .chain([2f32.powi(-14), 65_504.0, 65_519.0]);
    let blocks: Vec<f32> = scales
        .flat_map(|scale| [scale.next_down(), scale, scale.next_up()])
        .flat_map(|scale| with(vec![0.0; 32], 3, scale * -format.largest_code))
        .collect();
    table.row("scales-between-f16", OK, call(1, &blocks));
    let blocks = [
        plain(32),
        vec![f32::NAN; 32],
        vec![0.0; 32],
        vec![max; 32],
        plain(32),
    ]
    .concat();
    table.row("blocks-do-not-touch-each-other", OK, call(1, &blocks));
}

pub(super) fn unpack_rows(table: &mut Table, format: Format) {
    let call = |rows: usize, blocks: &[Vec<u8>]| {
        let elements = blocks.len() * ELEMENTS;
        Call::new(
            params(rows as u32, (elements / rows) as u32),
            blocks.concat(),
            elements * 4,
        )
    };
    let count = format.bytes - 2;
    let block = |scale: u16, first: u8, step: u8| {
        let codes = (0..count).map(|index| (index as u8).wrapping_mul(step).wrapping_add(first));
        scale
            .to_le_bytes()
            .into_iter()
            .chain(codes)
            .collect::<Vec<u8>>()
    };
    let one = 0x3c00;
    let blocks: Vec<Vec<u8>> = (0..4)
        .map(|index| block(0x2e66 + index, index as u8 * 61, 37))
        .collect();
    common_rows(table, &call(2, &blocks), format.bytes);

    table.row("1x32", OK, call(1, &blocks[..1]));
    // Special scales in each block of a row: loops over blocks are unrolled.
    for (name, scale) in [
        ("subnormal", 0x0201),
        ("negative-subnormal", 0x83fe),
        ("inf", 0x7c00),
        ("nan", 0x7e01),
    ] {
        let nine: Vec<Vec<u8>> = (0..9).map(|index| block(scale, index, 29)).collect();
        table.row(format!("every-scale-{name}"), OK, call(1, &nine));
    }
    table.row("3x32", OK, call(3, &blocks[1..]));
    // Every byte that codes can have.
    let per_block = 256 / count;
    let every: Vec<Vec<u8>> = (0..=per_block)
        .map(|index| block(one, (index * count) as u8, 1))
        .collect();
    table.row("every-code", OK, call(1, &every));
    for (name, scale) in [
        ("scale-0", 0x0000),
        ("scale-minus-0", 0x8000),
        ("scale-1", one),
        ("scale-minus-1", 0xbc00),
        ("scale-smallest", 0x0001),
        ("scale-largest-subnormal", 0x83ff),
        ("scale-smallest-normal", 0x0400),
        ("scale-largest", 0x7bff),
        ("scale-minus-largest", 0xfbff),
        ("scale-inf", 0x7c00),
        ("scale-minus-inf", 0xfc00),
        ("scale-nan", 0x7e00),
        ("scale-negative-nan", 0xfe00),
        ("scale-nan-with-payload", 0x7f12),
        ("scale-signalling-nan", 0x7c01),
    ] {
        table.row(name, OK, call(1, &[block(scale, 0, 17)]));
        let name = format!("{name}-extreme-codes");
        table.row(name, OK, call(1, &[block(scale, 0x80, 0x7f)]));
    }
    for (name, byte) in [
        ("codes-0", 0x00),
        ("codes-0x88", 0x88),
        ("codes-0x7f", 0x7f),
        ("codes-0xff", 0xff),
    ] {
        table.row(name, OK, call(1, &[block(0xae66, byte, 0)]));
    }
    let mixed = [
        block(0x7e00, 1, 3),
        block(one, 1, 3),
        block(0x7c00, 1, 3),
        block(0, 1, 3),
    ];
    table.row("blocks-do-not-touch-each-other", OK, call(2, &mixed));
    zeros::unpack(table, format.bytes);
}
