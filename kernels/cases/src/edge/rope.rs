//! rope_f32, rope_f16, rope_q8.

use super::{
    super::case::Word,
    call::{Call, INPUT, OK, PARAMS, Table},
    regions,
    values::{Float, f32_bytes, mixed, plain, with},
    zeros,
};
use half::f16;
use kernel_abi::{
    block::{ELEMENTS, Q8_BYTES},
    params::Rope,
};
use std::f32::consts::PI;

/// What x is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tensor {
    Float(Float),
    Q8,
}

impl Tensor {
    /// x of that many values. Blocks have scales and codes from `values`: of the first of 32 the scale, of all the codes.
    fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Tensor::Float(float) => float.bytes(values),
            Tensor::Q8 => values
                .chunks(ELEMENTS)
                .flat_map(|block| {
                    let scale = f16::from_f32(block[0] / 16.0).to_le_bytes();
                    let codes = block.iter().map(|value| (value * 61.0) as i8 as u8);
                    scale.into_iter().chain(codes)
                })
                .collect(),
        }
    }

    /// Bytes by which sizes of x are wrong.
    fn size(self) -> usize {
        match self {
            Tensor::Float(float) => float.size(),
            Tensor::Q8 => Q8_BYTES,
        }
    }

    /// The smallest head.
    fn head(self) -> usize {
        match self {
            Tensor::Float(_) => 2,
            Tensor::Q8 => ELEMENTS,
        }
    }
}

/// batch, seq, heads, head_dim.
type Shape = [usize; 4];

fn params([batch, seq, heads, head_dim]: Shape, layout: u32, table: u32) -> Rope {
    Rope {
        theta: 10_000.0,
        seq: seq as u32,
        head_dim: head_dim as u32,
        heads: heads as u32,
        batch: batch as u32,
        layout,
        table,
    }
}

/// Cosines, then sines, of the angles 2 * atan(t): points of the unit circle that are the same on every machine, which
/// std's sine and cosine are not.
fn cosines_and_sines(tangents: &[f32]) -> Vec<f32> {
    let tangents = || tangents.iter().map(|t| f64::from(*t));
    let cosines = tangents().map(|t| ((1.0 - t * t) / (1.0 + t * t)) as f32);
    let sines = tangents().map(|t| (2.0 * t / (1.0 + t * t)) as f32);
    cosines.chain(sines).collect()
}

/// One call of each shape: x without surprises, input b absent.
fn computed(tensor: Tensor, shape: Shape, layout: u32) -> Call {
    let x = tensor.bytes(&plain(shape.iter().product()));
    let size = x.len();
    Call::new(params(shape, layout, 0).to_le_bytes(), x, size)
}

fn given(tensor: Tensor, shape: Shape, layout: u32, angles: &[f32]) -> Call {
    computed(tensor, shape, layout).b(f32_bytes(angles))
}

fn tables(tensor: Tensor, shape: Shape, layout: u32, values: &[f32]) -> Call {
    let params = params(shape, layout, 1).to_le_bytes();
    computed(tensor, shape, layout)
        .params(params)
        .b(f32_bytes(values))
}

pub(super) fn rows(table: &mut Table, tensor: Tensor) {
    let shape: Shape = [1, 3, 2, 64];
    let angles: Vec<f32> = plain(96).iter().map(|value| value * 3.0).collect();
    let good = given(tensor, shape, 0, &angles);
    let refused = params([1, 3, 2, 65], 0, 0).to_le_bytes();

    // With tables: without them an absent b is no mistake.
    let with_tables = tables(tensor, shape, 0, &cosines_and_sines(&angles));
    regions::rows(table, &with_tables.scratch(64), tensor.size(), &refused);
    regions::no_gradient_rows(table, &good, &refused);
    table.row("no-scratch", OK, good.clone());
    table.row("scratch-1-byte", OK, good.clone().scratch(1));
    table.row(
        "absent-scratch-anywhere",
        OK,
        good.clone().set(Word::ScratchOffset, 3),
    );

    parameter_rows(table, tensor, &good, shape);
    size_rows(table, tensor, &good, shape);
    shape_rows(table, tensor);
    angle_rows(table, tensor);
    match tensor {
        Tensor::Float(float) => {
            value_rows(table, float);
            zeros::rope(table, float);
        }
        Tensor::Q8 => block_rows(table),
    }
}

fn parameter_rows(table: &mut Table, tensor: Tensor, good: &Call, shape: Shape) {
    let good = || good.clone();
    let alone = || computed(tensor, shape, 0);

    // 20 bytes are enough, 24 and 28 add layout and table.
    let halves = params(shape, 1, 0).to_le_bytes();
    for length in [20, 24, 28] {
        table.row(
            format!("params-of-{length}-bytes"),
            OK,
            good().params_length(length),
        );
        let name = format!("params-of-{length}-bytes-computed");
        table.row(name, OK, alone().params_length(length));
    }
    let of_24 = good().params(halves).params_length(24);
    table.row("layout-1-in-24-bytes", OK, of_24);
    for length in [8, 16, 19, 21, 22, 23, 25, 26, 36, 64] {
        let name = format!("params-of-{length}-bytes");
        table.row(name, PARAMS, good().params_length(length));
    }

    let [batch, seq, heads, head_dim] = shape;
    for (name, shape) in [
        ("batch-0", [0, seq, heads, head_dim]),
        ("seq-0", [batch, 0, heads, head_dim]),
        ("heads-0", [batch, seq, 0, head_dim]),
        ("head-dim-0", [batch, seq, heads, 0]),
        ("odd-head-dim", [batch, seq, heads, 63]),
        ("head-dim-1", [batch, seq, heads, 1]),
        ("head-dim-2^32-1", [batch, seq, heads, u32::MAX as usize]),
    ] {
        let params = params(shape, 0, 0).to_le_bytes();
        table.row(name, PARAMS, good().params(params));
    }
    if tensor == Tensor::Q8 {
        for head_dim in [2, 16, 48, 62] {
            let params = params([batch, seq, heads, head_dim], 0, 0).to_le_bytes();
            table.row(
                format!("head-dim-{head_dim}"),
                PARAMS,
                good().params(params),
            );
        }
    }
    // Some whose low 8 or 16 bits say what the kernel takes.
    for layout in [2, 3, 1 << 8, 1 << 16, (1 << 16) + 1, 1 << 31, u32::MAX] {
        let params = params(shape, layout, 0).to_le_bytes();
        table.row(format!("layout-{layout}"), PARAMS, good().params(params));
    }
    let highest = if tensor == Tensor::Float(Float::F16) {
        2
    } else {
        1
    };
    for number in [
        highest + 1,
        highest + 2,
        1 << 8,
        1 << 16,
        (1 << 16) + 1,
        1 << 31,
        u32::MAX,
    ] {
        let params = params(shape, 0, number).to_le_bytes();
        table.row(format!("table-{number}"), PARAMS, good().params(params));
    }

    // Theta counts only where the kernel computes the angles.
    for (name, theta) in [
        ("theta-0", 0.0),
        ("theta-minus-0", -0.0),
        ("theta-negative", -10_000.0),
        ("theta-nan", f32::NAN),
        ("theta-inf", f32::INFINITY),
        ("theta-minus-inf", f32::NEG_INFINITY),
    ] {
        let with_table = |table| {
            Rope {
                theta,
                ..params(shape, 0, table)
            }
            .to_le_bytes()
        };
        table.row(name, PARAMS, alone().params(with_table(0)));
        if theta.is_nan() {
            table.row("theta-nan-but-angles", OK, good().params(with_table(0)));
            let tables = tables(tensor, shape, 0, &plain(192)).params(with_table(1));
            table.row("theta-nan-but-tables", OK, tables);
        }
    }
    for (name, theta) in [
        ("theta-1", 1.0),
        ("theta-below-1", 0.5),
        ("theta-500000", 500_000.0),
        ("theta-largest", f32::MAX),
        ("theta-smallest-normal", f32::MIN_POSITIVE),
        ("theta-denormal", f32::from_bits(1)),
        // Far from a power of two, so that each term of a logarithm shows: the angles are huge.
        ("theta-47-denormals", f32::from_bits(47)),
        ("theta-tiny", 1.41 * f32::MIN_POSITIVE),
        ("theta-small", 0.71 / 1024.0),
    ] {
        let params = Rope {
            theta,
            ..params(shape, 0, 0)
        };
        table.row(name, OK, alone().params(params.to_le_bytes()));
    }
    let theta = Rope {
        theta: f32::NAN,
        ..params(shape, 0, 0)
    };
    let both = alone()
        .params(theta.to_le_bytes())
        .add(Word::InputAOffset, 8);
    table.row("theta-nan-and-misaligned-a", PARAMS, both);
}

fn size_rows(table: &mut Table, tensor: Tensor, good: &Call, shape: Shape) {
    let good = || good.clone();
    let [batch, seq, heads, head_dim] = shape;
    let with_table = |table| params(shape, 0, table).to_le_bytes();
    table.row("angles-as-table-1", INPUT, good().params(with_table(1)));
    table.row(
        "table-1-without-b",
        INPUT,
        computed(tensor, shape, 0).params(with_table(1)),
    );
    let cosines_only = tables(tensor, shape, 0, &plain(96));
    table.row("table-1-without-sines", INPUT, cosines_only);
    let tables_as_angles = tables(tensor, shape, 0, &plain(192)).params(with_table(0));
    table.row("tables-as-angles", INPUT, tables_as_angles);
    if tensor == Tensor::Float(Float::F16) {
        table.row(
            "table-2-without-b",
            INPUT,
            computed(tensor, shape, 0).params(with_table(2)),
        );
        let f32_tables = tables(tensor, shape, 0, &plain(192)).params(with_table(2));
        table.row("table-2-of-f32", INPUT, f32_tables);
    }
    // The absence of b is fine without tables, so its size alone decides: 0 bytes computes, 1 byte is wrong.
    table.row(
        "angles-of-1-byte",
        INPUT,
        computed(tensor, shape, 0).b(vec![0]),
    );

    let huge = u32::MAX as usize;
    for (name, shape) in [
        ("one-batch-more", [batch + 1, seq, heads, head_dim]),
        ("one-head-more", [batch, seq, heads + 1, head_dim]),
        ("one-position-more", [batch, seq + 1, heads, head_dim]),
        ("batch-2^32-1", [huge, seq, heads, head_dim]),
        ("all-huge", [huge, huge, huge, huge - 31]),
        // 2^32 elements, and 2^30: neither their number nor their bytes may wrap.
        ("elements-wrap-to-0", [1 << 13, 1 << 7, 1 << 6, 64]),
        ("bytes-wrap-to-0", [1 << 12, 1 << 6, 1 << 6, 64]),
        // 2^31 blocks of 34 bytes.
        ("blocks-wrap-to-0", [1 << 16, 1 << 7, 1 << 7, 64]),
    ] {
        let call = good().params(params(shape, 0, 0).to_le_bytes());
        let call = if name.ends_with("wrap-to-0") {
            call.set(Word::InputASize, 0)
                .set(Word::InputBSize, 0)
                .set(Word::OutputSize, 0)
        } else {
            call
        };
        table.row(name, INPUT, call);
    }
    // Tables of 2^31 bytes each, and of 2^32.
    let kinds: &[(u32, u64)] = match tensor {
        Tensor::Float(Float::F16) => &[(1, 4), (2, 2)],
        _ => &[(1, 4)],
    };
    for (number, element) in kinds {
        for (bits, name) in [(31, "tables-of-2^32-bytes"), (32, "a-table-of-2^32-bytes")] {
            let seq = (1_u64 << bits) / (head_dim as u64 / 2 * element);
            let huge = params([1, seq as usize, 1, head_dim], 0, *number);
            let call = good().params(huge.to_le_bytes());
            table.row(format!("{name}-{number}"), INPUT, call);
        }
    }
    // As many elements as x if their number wraps.
    let wraps = params([(1 << 25) + 1, 3, 2, 64], 0, 0).to_le_bytes();
    table.row("elements-wrap-to-those-of-a", INPUT, good().params(wraps));
}

fn shape_rows(table: &mut Table, tensor: Tensor) {
    let head = tensor.head();
    // Pairs for all widths of unrolled loops; blocks have no others than 16.
    let pairs: &[(&str, Shape)] = match tensor {
        Tensor::Float(_) => &[
            ("3-pairs", [1, 3, 2, 6]),
            ("7-pairs", [1, 2, 3, 14]),
            ("13-pairs", [2, 2, 1, 26]),
            ("22-pairs", [1, 2, 1, 44]),
            ("29-pairs", [1, 2, 1, 58]),
            ("75-pairs", [1, 2, 1, 150]),
        ],
        Tensor::Q8 => &[],
    };
    let shapes = [
        ("smallest", [1, 1, 1, head]),
        ("all-dimensions", [2, 3, 2, head * 5]),
        ("wide-head", [1, 2, 1, 256]),
        ("many-positions", [1, 70, 1, head]),
    ];
    for (name, shape) in shapes.iter().chain(pairs).copied() {
        let [_, seq, _, head_dim] = shape;
        let angles = mixed(seq * head_dim / 2);
        for layout in [0, 1] {
            let name = format!("{name}-layout-{layout}");
            table.row(
                format!("{name}-computed"),
                OK,
                computed(tensor, shape, layout),
            );
            table.row(
                format!("{name}-angles"),
                OK,
                given(tensor, shape, layout, &angles),
            );
            let values = cosines_and_sines(&angles);
            table.row(
                format!("{name}-tables"),
                OK,
                tables(tensor, shape, layout, &values),
            );
            if let Tensor::Float(float @ Float::F16) = tensor {
                let call = computed(tensor, shape, layout)
                    .params(params(shape, layout, 2).to_le_bytes())
                    .b(float.bytes(&values));
                table.row(format!("{name}-f16-tables"), OK, call);
            }
        }
    }
}

fn angle_rows(table: &mut Table, tensor: Tensor) {
    let head = tensor.head();
    let shape = [1, 16, 1, head];
    // One angle per position; x is plain.
    let angles = |angles: [f32; 16]| {
        let angles: Vec<f32> = angles
            .iter()
            .flat_map(|angle| vec![*angle; head / 2])
            .collect();
        given(tensor, shape, 0, &angles)
    };
    let limit = 131_072.0; // 2^17
    for (name, values) in [
        ("angles-0", [0.0, -0.0].repeat(8)),
        (
            "angles-around-quarter-turns",
            [
                PI / 4.0,
                PI / 2.0,
                PI,
                1.5 * PI,
                2.0 * PI,
                4.712_389,
                1.570_796_4,
                3.141_592_5,
            ]
            .into_iter()
            .flat_map(|angle| [angle, -angle])
            .collect(),
        ),
        (
            "angles-tiny",
            [
                f32::from_bits(1),
                f32::MIN_POSITIVE,
                1e-30,
                1e-10,
                1e-7,
                1e-4,
                1e-3,
                0.1,
            ]
            .into_iter()
            .flat_map(|angle: f32| [angle, -angle])
            .collect(),
        ),
        (
            "angles-near-2^17",
            (0..16).map(|index| limit - index as f32 * 1.37).collect(),
        ),
        // Multiples of pi/2 that are close to an f32: the reduction loses most.
        (
            "angles-hard-to-reduce",
            [
                1.570_796_4,
                11.0,
                22.0,
                33.0,
                44.0,
                344.0,
                355.0,
                710.0,
                52_174.0,
                103_993.0,
                104_348.0,
            ]
            .into_iter()
            .cycle()
            .take(16)
            .collect(),
        ),
        (
            "angles-beyond-2^17",
            [limit * 1.5, 1e6, 1e10, 1e15, 1e20, 1e30, 3.4e38, f32::MAX]
                .into_iter()
                .flat_map(|angle: f32| [angle, -angle])
                .collect(),
        ),
        (
            "angles-inf",
            [f32::INFINITY, f32::NEG_INFINITY, 1.0, 2.0].repeat(4),
        ),
    ] {
        let values: [f32; 16] = std::array::from_fn(|index| values[index]);
        table.row(name, OK, angles(values));
    }
    // Angles of every order of magnitude, of both signs, with few and with many digits.
    let every: Vec<f32> = (1u32..=254)
        .flat_map(|exponent| [0u32, 0x49_0fdb].map(|significand| (exponent << 23) | significand))
        .map(|bits| f32::from_bits(bits | ((bits / 7) << 31)))
        .collect();
    let pairs = head / 2;
    let positions = every.len().div_ceil(pairs);
    let every: Vec<f32> = every.into_iter().cycle().take(positions * pairs).collect();
    let shape_of_every = [1, positions, 1, head];
    table.row(
        "angles-of-every-exponent",
        OK,
        given(tensor, shape_of_every, 0, &every),
    );
    let nans = [Float::F32.nans(), f32_bytes(&vec![1.0; 16 * head / 2 - 4])].concat();
    table.row("angles-nan", OK, computed(tensor, shape, 0).b(nans.clone()));

    // Tables are taken as they are, whether or not they are cosines and sines.
    let count = 16 * head / 2;
    for (name, values) in [
        ("tables-0", vec![0.0; 2 * count]),
        ("tables-minus-0", vec![-0.0; 2 * count]),
        ("tables-no-rotation", plain(2 * count)),
        (
            "tables-with-inf",
            with(plain(2 * count), count + 1, f32::INFINITY),
        ),
    ] {
        table.row(name, OK, tables(tensor, shape, 0, &values));
    }
    let nans = [nans, f32_bytes(&plain(count))].concat();
    table.row("tables-with-nan", OK, tables(tensor, shape, 0, &[]).b(nans));
}

/// Values of x, at an angle of 0, 1 and at those that swap and negate a pair.
fn value_rows(table: &mut Table, float: Float) {
    let angles = [0.0, 1.0, PI / 2.0, PI];
    let (max, tiny, inf) = (float.max(), float.tiny(), f32::INFINITY);
    for (name, values) in [
        ("zeros", [0.0; 8]),
        (
            "signs-of-zero",
            [0.0, 0.0, 0.0, -0.0, -0.0, 0.0, -0.0, -0.0],
        ),
        (
            "subnormals",
            [tiny, -tiny, tiny, 0.0, 3.0 * tiny, tiny, 0.0, tiny],
        ),
        ("smallest-normals", [float.min_positive(); 8]),
        ("largest", [max, max, max, -max, -max, max, max, 0.0]),
        (
            "largest-beside-smallest",
            [max, tiny, tiny, max, -max, tiny, tiny, -max],
        ),
        ("inf", [inf, 1.0, 1.0, inf, -inf, 1.0, inf, inf]),
        (
            "inf-minus-inf",
            [inf, -inf, -inf, inf, inf, inf, -inf, -inf],
        ),
        (
            "equal-pairs-cancel",
            [1.0, 1.0, -1.0, 1.0, 3.0, 3.0, 3.0, -3.0],
        ),
    ] {
        for layout in [0, 1] {
            // One position; with layout 1 the pairs are i and i + 4.
            let call =
                given(Tensor::Float(float), [1, 1, 1, 8], layout, &angles).a(float.bytes(&values));
            table.row(format!("{name}-layout-{layout}"), OK, call);
        }
    }
    for (name, mut values) in float.special_in_every_lane() {
        // An even number of values.
        values.extend(float.bytes(&[1.0]));
        let head_dim = values.len() / float.size();
        for layout in [0, 1] {
            let shape = [1, 1, 1, head_dim];
            let call = given(Tensor::Float(float), shape, layout, &plain(head_dim / 2));
            table.row(
                format!("{name}-layout-{layout}"),
                OK,
                call.a(values.clone()),
            );
        }
    }
    let nans = [float.nans(), float.bytes(&plain(4))].concat();
    let call = given(Tensor::Float(float), [1, 1, 1, 8], 0, &angles);
    table.row("nans", OK, call.a(nans));
}

/// Blocks of x that are not what quantising makes.
fn block_rows(table: &mut Table) {
    let angles: Vec<f32> = (0..16).map(|pair| pair as f32 * 0.4).collect();
    let codes: Vec<u8> = (0..32u8).map(|index| index.wrapping_mul(37)).collect();
    let block = |scale: u16, codes: &[u8]| [&scale.to_le_bytes()[..], codes].concat();
    for (name, scale) in [
        ("scale-0", 0x0000),
        ("scale-minus-0", 0x8000),
        ("scale-negative", 0xae66),
        ("scale-smallest", 0x0001),
        ("scale-largest", 0x7bff),
        ("scale-inf", 0x7c00),
        ("scale-minus-inf", 0xfc00),
        ("scale-nan", 0x7e00),
        ("scale-negative-nan", 0xfe00),
        ("scale-nan-with-payload", 0x7f12),
    ] {
        for layout in [0, 1] {
            let call = given(Tensor::Q8, [1, 1, 1, 32], layout, &angles).a(block(scale, &codes));
            table.row(format!("{name}-layout-{layout}"), OK, call);
        }
    }
    let one = 0x3c00;
    for (name, code) in [
        ("codes-0", 0),
        ("codes-minus-128", 0x80),
        ("codes-127", 0x7f),
    ] {
        let call = given(Tensor::Q8, [1, 1, 1, 32], 0, &angles).a(block(one, &[code; 32]));
        table.row(name, OK, call);
    }
    // 96 values: with layout 1 the second block has both halves in it, and its partners are in the first and the third.
    let head = [block(one, &codes), block(0, &codes), block(0x7c00, &codes)].concat();
    for layout in [0, 1] {
        let call = given(Tensor::Q8, [1, 1, 1, 96], layout, &plain(48)).a(head.clone());
        table.row(format!("unlike-blocks-layout-{layout}"), OK, call);
    }
}
