//! lora_apply_f32, lora_apply_f16.

use super::{
    super::case::Word,
    call::{Call, INPUT, OK, OUTPUT, PARAMS, SCRATCH, Table},
    regions,
    values::{Float, mixed, plain, with},
    wraps, zeros,
};
use kernel_abi::params::Lora;

/// The tensors of a call.
#[derive(Clone)]
pub(super) struct Tensors {
    pub(super) shape: [usize; 4],
    pub(super) x: Vec<f32>,
    pub(super) a: Vec<f32>,
    pub(super) b: Vec<f32>,
    pub(super) base: Vec<f32>,
}

impl Tensors {
    /// Values without surprises, of the shape rows, in, rank, out.
    pub(super) fn plain(shape: [usize; 4]) -> Self {
        let [rows, input, rank, output] = shape;
        Self {
            shape,
            x: plain(rows * input),
            a: plain(input * rank),
            b: plain(rank * output),
            base: mixed(rows * output),
        }
    }

    pub(super) fn forward(&self, float: Float, scale: f32) -> Call {
        let [rows, _, rank, _] = self.shape;
        Call::new(self.params(scale), float.bytes(&self.x), 0)
            .b(float.bytes(&[&self.a[..], &self.b[..]].concat()))
            .base(float.bytes(&self.base))
            .scratch((rows * rank * 4) as u32)
    }

    /// dy then x; dx, dA and dB; scratch for u and x*A.
    pub(super) fn gradient(&self, float: Float, scale: f32, dy: &[f32]) -> Call {
        let [rows, input, rank, output] = self.shape;
        let size = (rows * input + input * rank + rank * output) * float.size();
        let a = float.bytes(&[dy, &self.x].concat());
        Call::new(self.params(scale), a, size)
            .b(float.bytes(&[&self.a[..], &self.b[..]].concat()))
            .scratch((2 * rows * rank * 4) as u32)
            .backward()
    }

    fn params(&self, scale: f32) -> [u8; Lora::SIZE] {
        params(self.shape.map(|size| size as u32), scale)
    }
}

fn params([rows, input, rank, output]: [u32; 4], scale: f32) -> [u8; Lora::SIZE] {
    Lora {
        rows,
        in_features: input,
        rank,
        out_features: output,
        scale,
    }
    .to_le_bytes()
}

pub(super) fn rows(table: &mut Table, float: Float) {
    let call = |scale: f32, tensors: &Tensors| tensors.forward(float, scale);
    let shape = [2, 16, 4, 12];
    let good = call(2.0, &Tensors::plain(shape));
    let refused = params(shape.map(|size| size as u32), f32::NAN);

    let forward = good.clone();
    regions::rows(table, &good.clone().scratch(64), float.size(), &refused);
    regions::rows_with_scratch(table, &good, float.size());

    // Parameters.
    for (name, scale) in [
        ("scale-nan", f32::NAN),
        ("scale-inf", f32::INFINITY),
        ("scale-minus-inf", f32::NEG_INFINITY),
    ] {
        table.row(
            name,
            PARAMS,
            good.clone().params(params([2, 16, 4, 12], scale)),
        );
    }
    for (name, shape) in [
        ("rows-0", [0, 16, 4, 12]),
        ("in-0", [2, 0, 4, 12]),
        ("rank-0", [2, 16, 0, 12]),
        ("out-0", [2, 16, 4, 0]),
        ("all-0", [0; 4]),
    ] {
        table.row(name, PARAMS, good.clone().params(params(shape, 2.0)));
    }
    for (name, expect, shape) in [
        ("one-row-more", INPUT, [3, 16, 4, 12]),
        ("rank-more", INPUT, [2, 16, 5, 12]),
        ("rank-2^32-1", INPUT, [2, 16, u32::MAX, 12]),
        ("out-2^32-1", INPUT, [2, 16, 4, u32::MAX]),
        ("all-2^32-1", INPUT, [u32::MAX; 4]),
    ] {
        table.row(name, expect, good.clone().params(params(shape, 2.0)));
    }
    // A[12, 4] and B[4, 16] have together as many bytes as A[16, 4] and B[4, 12].
    let swapped = params([2, 12, 4, 16], 2.0);
    table.row("in-and-out-swapped", INPUT, good.clone().params(swapped));
    let other_sizes = good.clone().params(swapped).a(float.bytes(&plain(24)));
    table.row("in-and-out-swapped-but-output", OUTPUT, other_sizes);

    // Sizes that wrap around 2^32 to those of the regions.
    let bits = float.size().trailing_zeros();
    let wraps = good
        .clone()
        .params(params([2, 1 << (30 - bits), 4, 12], 2.0))
        .set(Word::InputASize, 0);
    table.row("b-wraps", INPUT, wraps);
    let wraps = good
        .clone()
        .params(params([1 << 16, 1 << (16 - bits), 4, 12], 2.0))
        .set(Word::InputASize, 0);
    table.row("a-wraps-to-0", INPUT, wraps);
    let (rows, output) = (1 << 15, 1 << (17 - bits));
    let wraps = Call::new(
        params([rows as u32, 1, 1, output as u32], 2.0),
        vec![0; rows * float.size()],
        0,
    )
    .b(vec![0; (1 + output) * float.size()])
    .scratch(rows as u32 * 4);
    table.row("output-wraps-to-0", OUTPUT, wraps);
    let (rows, rank) = (1 << 15, 1 << 15);
    let wraps = Call::new(
        params([rows as u32, 1, rank as u32, 1], 2.0),
        vec![0; rows * float.size()],
        0,
    )
    .b(vec![0; 2 * rank * float.size()])
    .base(vec![0; rows * float.size()]);
    table.row("scratch-wraps-to-0", SCRATCH, wraps);

    // Scratch.
    for (name, expect, size) in [
        ("scratch-exact", OK, 32),
        ("scratch-larger", OK, 333),
        ("scratch-byte-short", SCRATCH, 31),
        ("scratch-for-one-row", SCRATCH, 16),
        ("scratch-1-byte", SCRATCH, 1),
        ("no-scratch", SCRATCH, 0),
    ] {
        table.row(name, expect, good.clone().scratch(size));
    }

    // Shapes: around the widths by which loops are likely unrolled.
    for (name, shape) in [
        ("1x1x1x1", [1, 1, 1, 1]),
        ("7x1x1x1", [7, 1, 1, 1]),
        ("rank-larger-than-in-and-out", [2, 3, 9, 2]),
        ("1x65x4x33", [1, 65, 4, 33]),
        ("3x7x33x5", [3, 7, 33, 5]),
        ("1x300x1x1", [1, 300, 1, 1]),
        ("1x1x65x100", [1, 1, 65, 100]),
        ("1x1x8x8", [1, 1, 8, 8]),
        ("1x1x20x20", [1, 1, 20, 20]),
        // The ranks that people use, and columns for all widths of the loops over them.
        ("2x64x8x64", [2, 64, 8, 64]),
        ("3x70x8x129", [3, 70, 8, 129]),
        ("2x130x16x67", [2, 130, 16, 67]),
        ("1x67x16x130", [1, 67, 16, 130]),
        ("5x66x4x131", [5, 66, 4, 131]),
        ("2x131x12x66", [2, 131, 12, 66]),
        ("1x200x32x200", [1, 200, 32, 200]),
        ("4x65x64x65", [4, 65, 64, 65]),
        ("2x65x7x65", [2, 65, 7, 65]),
        // Sums of more than 64 terms, in blocks of each width.
        ("2x70x72x24", [2, 70, 72, 24]),
        ("1x130x66x13", [1, 130, 66, 13]),
        ("1x66x130x9", [1, 66, 130, 9]),
        ("2x129x24x66", [2, 129, 24, 66]),
    ] {
        table.row(name, OK, call(2.0, &Tensors::plain(shape)));
    }

    // Values.
    let tensors = Tensors::plain(shape);
    for (name, scale) in [
        ("scale-0", 0.0),
        ("scale-minus-0", -0.0),
        ("scale-negative", -0.75),
        ("scale-denormal", f32::from_bits(1)),
        ("scale-huge", f32::MAX),
    ] {
        table.row(name, OK, call(scale, &tensors));
    }
    let small = Tensors {
        shape: [1, 2, 1, 2],
        x: vec![1.0, -1.0],
        a: vec![0.5, 0.25],
        b: vec![2.0, -4.0],
        base: vec![3.0, 0.0],
    };
    let (max, tiny, inf) = (float.max(), float.tiny(), f32::INFINITY);
    for (name, scale, change) in [
        (
            "zeros",
            1.0,
            Tensors {
                x: vec![0.0; 2],
                base: vec![0.0; 2],
                ..small.clone()
            },
        ),
        (
            "base-minus-0",
            1.0,
            Tensors {
                x: vec![-0.0; 2],
                base: vec![-0.0; 2],
                ..small.clone()
            },
        ),
        (
            "b-zero",
            2.0,
            Tensors {
                b: vec![0.0; 2],
                ..small.clone()
            },
        ),
        (
            "nan-in-base",
            1.0,
            Tensors {
                base: vec![f32::NAN, 1.0],
                ..small.clone()
            },
        ),
        (
            "nan-in-x",
            1.0,
            Tensors {
                x: vec![f32::NAN, 1.0],
                ..small.clone()
            },
        ),
        (
            "nan-in-a",
            1.0,
            Tensors {
                a: vec![1.0, f32::NAN],
                ..small.clone()
            },
        ),
        (
            "nan-in-b",
            1.0,
            Tensors {
                b: vec![1.0, f32::NAN],
                ..small.clone()
            },
        ),
        (
            "scale-0-hides-no-nan",
            0.0,
            Tensors {
                x: vec![f32::NAN, 1.0],
                ..small.clone()
            },
        ),
        (
            "scale-0-hides-no-inf",
            0.0,
            Tensors {
                b: vec![inf, 1.0],
                ..small.clone()
            },
        ),
        (
            "inf-minus-inf",
            1.0,
            Tensors {
                x: vec![inf, inf],
                a: vec![1.0, -1.0],
                ..small.clone()
            },
        ),
        (
            "inf-in-base",
            1.0,
            Tensors {
                base: vec![inf, -inf],
                ..small.clone()
            },
        ),
        (
            "base-cancels",
            1.0,
            Tensors {
                base: vec![-0.5, 1.0],
                ..small.clone()
            },
        ),
        (
            "subnormals",
            1.0,
            Tensors {
                x: vec![tiny, -tiny],
                base: vec![tiny, 0.0],
                ..small.clone()
            },
        ),
        (
            "largest-base",
            1.0,
            Tensors {
                base: vec![max, -max],
                ..small.clone()
            },
        ),
        (
            "output-overflows",
            1.0,
            Tensors {
                base: vec![max, -max],
                x: vec![max, 0.0],
                ..small.clone()
            },
        ),
        (
            "intermediate-of-largest",
            1.0,
            Tensors {
                x: vec![max, -max],
                ..small.clone()
            },
        ),
    ] {
        table.row(name, OK, call(scale, &change));
    }
    // Large terms that cancel, far apart: whatever is added to another sum than in the contract's order is lost. Widths and terms
    // are for all ways through the loops; f16 that is subnormal lies at each place of them.
    let shape = [2, 130, 93, 29];
    let plain_sums = Tensors::plain(shape);
    let mut cancelling = plain_sums.clone();
    for term in 0..130 {
        cancelling.a[term * 93 + 92] = cancelling.a[term * 93];
    }
    cancelling.x[0] = 60_000.0;
    cancelling.x[129] = -60_000.0;
    for column in 0..93 {
        cancelling.a[129 * 93 + column] = cancelling.a[column];
    }
    for column in 0..29 {
        cancelling.b[column] = 5000.0;
        cancelling.b[92 * 29 + column] = -5000.0;
    }
    table.row("large-terms-cancel", OK, call(0.125, &cancelling));
    let subnormals = |count: usize| -> Vec<f32> {
        (0..count)
            .map(|index| float.tiny() * (index % 7 + 1) as f32)
            .collect()
    };
    for (name, tensors) in [
        (
            "a-of-subnormals",
            Tensors {
                a: subnormals(130 * 93),
                ..plain_sums.clone()
            },
        ),
        (
            "b-of-subnormals",
            Tensors {
                b: subnormals(93 * 29),
                ..plain_sums.clone()
            },
        ),
        (
            "x-of-subnormals",
            Tensors {
                x: subnormals(2 * 130),
                ..plain_sums
            },
        ),
    ] {
        let zeros = Tensors {
            base: vec![0.0; 2 * 29],
            ..tensors
        };
        table.row(name, OK, call(16_384.0, &zeros));
    }
    let wide = Tensors {
        x: mixed(32),
        ..tensors.clone()
    };
    table.row("mixed-magnitudes", OK, call(0.5, &wide));
    for (name, values) in float.special_in_every_lane() {
        let columns = values.len() / float.size();
        let wide = call(1.0, &Tensors::plain([1, 4, 1, columns]));
        table.row(format!("{name}-of-base"), OK, wide.base(values.clone()));
        let long = call(1.0, &Tensors::plain([1, columns, 1, 4]));
        table.row(format!("{name}-of-x"), OK, long.a(values));
    }
    let nans = call(1.0, &Tensors::plain([1, 4, 1, 4]));
    table.row("nans-of-all-kinds-in-x", OK, nans.clone().a(float.nans()));
    table.row("nans-of-all-kinds-in-base", OK, nans.base(float.nans()));

    let gradient = |scale: f32, dy: &[f32], tensors: &Tensors| tensors.gradient(float, scale, dy);
    let good = gradient(2.0, &plain(24), &tensors);
    let room = good.scratch_size.max(64);
    regions::rows(table, &good.clone().scratch(room), float.size(), &refused);
    let mut row = |name: &str, expect, call| table.row(format!("backward-{name}"), expect, call);
    row("scratch-exact", OK, good.clone());
    row("scratch-larger", OK, good.clone().scratch(100));
    row("scratch-byte-short", SCRATCH, good.clone().scratch(63));
    row("scratch-of-forward", SCRATCH, good.clone().scratch(32));
    row("no-scratch", SCRATCH, good.clone().scratch(0));
    row(
        "forward-sizes",
        INPUT,
        good.clone()
            .a(float.bytes(&tensors.x))
            .output_size(24 * float.size()),
    );
    for (name, shape) in [
        ("1x1x1x1", [1, 1, 1, 1]),
        ("3x5x2x7", [3, 5, 2, 7]),
        ("1x33x3x34", [1, 33, 3, 34]),
        ("2x64x8x66", [2, 64, 8, 66]),
        ("3x131x16x67", [3, 131, 16, 67]),
        ("5x66x4x131", [5, 66, 4, 131]),
        ("2x130x33x130", [2, 130, 33, 130]),
    ] {
        row(
            name,
            OK,
            gradient(0.5, &plain(shape[0] * shape[3]), &Tensors::plain(shape)),
        );
    }
    row("scale-0", OK, gradient(0.0, &plain(24), &tensors));
    row("dy-0", OK, gradient(2.0, &[0.0; 24], &tensors));
    row(
        "nan-in-dy",
        OK,
        gradient(2.0, &with(plain(24), 3, f32::NAN), &tensors),
    );
    let nan = Tensors {
        x: with(plain(32), 5, f32::NAN),
        ..tensors.clone()
    };
    row("nan-in-x", OK, gradient(2.0, &plain(24), &nan));
    let infinite = Tensors {
        b: with(plain(48), 5, f32::INFINITY),
        ..tensors
    };
    row("inf-in-b", OK, gradient(2.0, &plain(24), &infinite));
    table.refuse_in_gradient(&forward, &good);
    zeros::lora(table, float);
    wraps::lora(table, float);
}
