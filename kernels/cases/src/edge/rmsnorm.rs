//! rmsnorm_f32, rmsnorm_f16.

use super::{
    super::case::Word,
    call::{Call, INPUT, OK, PARAMS, SCRATCH, Table},
    regions,
    values::{Float, mixed, plain, with},
    wraps, zeros,
};
use kernel_abi::params::RmsNorm;

const EPS: f32 = 1e-5;

pub(super) fn rows(table: &mut Table, float: Float) {
    let params = |eps: f32, rows: u32, hidden: u32| RmsNorm { eps, hidden, rows }.to_le_bytes();
    let call = |eps: f32, rows: usize, x: &[f32], weight: &[f32]| {
        let params = params(eps, rows as u32, weight.len() as u32);
        let x = float.bytes(x);
        let size = x.len();
        Call::new(params, x, size).b(float.bytes(weight))
    };
    let good = call(EPS, 2, &plain(64), &plain(32));
    let refused = params(-1.0, 2, 32);

    let forward = good.clone();
    regions::rows(table, &good.clone().scratch(64), float.size(), &refused);

    // Parameters.
    for (name, eps) in [
        ("eps-negative", -1e-30),
        ("eps-nan", f32::NAN),
        ("eps-inf", f32::INFINITY),
        ("eps-minus-inf", f32::NEG_INFINITY),
    ] {
        table.row(name, PARAMS, good.clone().params(params(eps, 2, 32)));
    }
    table.row("rows-0", PARAMS, good.clone().params(params(EPS, 0, 32)));
    table.row("hidden-0", PARAMS, good.clone().params(params(EPS, 2, 0)));
    table.row(
        "rows-and-hidden-swapped",
        INPUT,
        good.clone().params(params(EPS, 32, 2)),
    );
    table.row(
        "rows-2^32-1",
        INPUT,
        good.clone().params(params(EPS, u32::MAX, 32)),
    );
    table.row(
        "hidden-2^32-1",
        INPUT,
        good.clone().params(params(EPS, 1, u32::MAX)),
    );

    // Sizes that wrap around 2^32 to those of the regions.
    let bits = float.size().trailing_zeros();
    let wraps_to_0 = good
        .clone()
        .params(params(EPS, 1 << 16, 1 << (16 - bits)))
        .set(Word::InputASize, 0)
        .set(Word::OutputSize, 0);
    table.row("size-wraps-to-0", INPUT, wraps_to_0);
    let wraps_to_64 = call(EPS, (1 << (32 - bits)) + 64, &plain(64), &[1.0]);
    table.row("size-wraps-to-that-of-a", INPUT, wraps_to_64);

    // Scratch takes the roots of the rows if it has room for all of them.
    for (name, size) in [("exact", 8), ("larger", 100), ("smaller", 7), ("1-byte", 1)] {
        table.row(format!("scratch-{name}"), OK, good.clone().scratch(size));
    }
    table.row("no-scratch", OK, good.clone());
    table.row(
        "absent-scratch-anywhere",
        OK,
        good.clone().set(Word::ScratchOffset, 3),
    );

    // Shapes.
    for (name, rows, hidden) in [
        ("1x1", 1, 1),
        ("7x1", 7, 1),
        ("1x7", 1, 7),
        ("5x33", 5, 33),
        ("4x3", 4, 3),
        ("1x1000", 1, 1000),
        // For all widths of unrolled loops, with rows enough for several at a time.
        ("4x64", 4, 64),
        ("9x131", 9, 131),
        ("4x111", 4, 111),
        ("5x23", 5, 23),
        ("5x257", 5, 257),
    ] {
        table.row(
            name,
            OK,
            call(EPS, rows, &plain(rows * hidden), &plain(hidden)),
        );
    }

    // Values.
    let max = float.max();
    for (name, eps, x) in [
        ("zeros", EPS, vec![0.0; 8]),
        ("zeros-eps-0", 0.0, vec![0.0; 8]),
        ("minus-zeros", EPS, vec![-0.0; 8]),
        (
            "one-zero-among-minus-zeros",
            EPS,
            with(vec![-0.0; 8], 3, 0.0),
        ),
        ("eps-0", 0.0, plain(8)),
        ("eps-minus-0", -0.0, plain(8)),
        ("eps-denormal", f32::from_bits(1), plain(8)),
        ("eps-huge", f32::MAX, plain(8)),
        ("subnormals", EPS, vec![float.tiny(); 8]),
        ("subnormals-eps-1e-12", 1e-12, vec![float.tiny() * 3.0; 8]),
        ("smallest-normals", 1e-12, vec![float.min_positive(); 8]),
        ("largest", EPS, vec![max; 8]),
        ("largest-of-both-signs", EPS, vec![max, -max, max, -max]),
        ("one-largest", EPS, with(plain(8), 5, max)),
        ("large-without-overflow", EPS, vec![max.min(1e18); 8]),
        ("mixed-magnitudes", EPS, mixed(31)),
        ("inf", EPS, with(plain(8), 2, f32::INFINITY)),
        ("minus-inf", EPS, with(plain(8), 7, f32::NEG_INFINITY)),
        ("all-equal", EPS, vec![0.1; 100]),
    ] {
        let weight = plain(x.len());
        table.row(name, OK, call(eps, 1, &x, &weight));
    }
    // The root is 1 exactly, and 1.5 times a weight lies between two values of f16: the last bit of a conversion shows.
    let root_1 = [1.5, 1.5, 1.5, 0.5, -0.5, 0.5, 0.5, 0.5].repeat(8);
    let between: Vec<f32> = (0..64).map(|k| 1.0 + (2 * k + 1) as f32 / 1024.0).collect();
    table.row("ties-root-1", OK, call(0.0, 1, &root_1, &between));

    let second_row = [plain(8), with(plain(8), 1, f32::NAN), plain(8)].concat();
    table.row(
        "nan-in-one-row-of-three",
        OK,
        call(EPS, 3, &second_row, &plain(8)),
    );
    let nans = |bytes: Vec<u8>| [float.nans(), bytes].concat();
    let rest = float.bytes(&plain(4));
    let base = call(EPS, 1, &plain(8), &plain(8));
    for (name, values) in float.special_in_every_lane() {
        let hidden = values.len() / float.size();
        let base = call(EPS, 1, &plain(hidden), &plain(hidden));
        table.row(format!("{name}-of-x"), OK, base.clone().a(values.clone()));
        table.row(format!("{name}-of-weight"), OK, base.b(values));
    }
    table.row("nans", OK, base.clone().a(nans(rest.clone())));
    table.row("nans-in-weight", OK, base.clone().b(nans(rest)));
    for (name, weight) in [
        ("weight-0", vec![0.0; 8]),
        ("weight-minus-0", vec![-0.0; 8]),
        ("weight-inf", with(plain(8), 0, f32::INFINITY)),
        ("weight-largest", vec![max; 8]),
        ("weight-subnormal", vec![float.tiny(); 8]),
    ] {
        table.row(name, OK, call(EPS, 1, &plain(8), &weight));
    }
    let zero_times_inf = call(EPS, 1, &[0.0, 1.0], &[f32::INFINITY, 1.0]);
    table.row("zero-times-inf-weight", OK, zero_times_inf);

    // Gradient: dy then x, dx then dw, scratch for the sums of dw.
    let gradient = |eps: f32, rows: usize, dy: &[f32], x: &[f32], weight: &[f32]| {
        let params = params(eps, rows as u32, weight.len() as u32);
        let output = (x.len() + weight.len()) * float.size();
        Call::new(params, float.bytes(&[dy, x].concat()), output)
            .b(float.bytes(weight))
            .scratch(weight.len() as u32 * 4)
            .backward()
    };
    let (dy, x, weight) = (mixed(64), plain(64), plain(32));
    let good = gradient(EPS, 2, &dy, &x, &weight);
    let room = good.scratch_size.max(64);
    regions::rows(table, &good.clone().scratch(room), float.size(), &refused);
    let mut row = |name: &str, expect, call| table.row(format!("backward-{name}"), expect, call);
    row("scratch-exact", OK, good.clone());
    row("scratch-larger", OK, good.clone().scratch(500));
    row("scratch-byte-short", SCRATCH, good.clone().scratch(127));
    row("no-scratch", SCRATCH, good.clone().scratch(0));
    row(
        "forward-sizes",
        INPUT,
        good.clone()
            .a(float.bytes(&x))
            .output_size(64 * float.size()),
    );
    row("1x1", OK, gradient(EPS, 1, &[1.5], &[-0.5], &[2.0]));
    row(
        "5x3",
        OK,
        gradient(EPS, 5, &plain(15), &mixed(15), &plain(3)),
    );
    row(
        "ties-root-1",
        OK,
        gradient(0.0, 1, &between, &root_1, &[1.0; 64]),
    );
    for (name, rows, hidden) in [("4x64", 4, 64), ("9x131", 9, 131), ("2x23", 2, 23)] {
        let (dy, x) = (mixed(rows * hidden), plain(rows * hidden));
        row(name, OK, gradient(EPS, rows, &dy, &x, &plain(hidden)));
    }
    row(
        "zeros",
        OK,
        gradient(EPS, 1, &plain(8), &[0.0; 8], &plain(8)),
    );
    row(
        "zeros-eps-0",
        OK,
        gradient(0.0, 1, &plain(8), &[0.0; 8], &plain(8)),
    );
    row(
        "dy-0",
        OK,
        gradient(EPS, 2, &[0.0; 16], &plain(16), &plain(8)),
    );
    let nan = with(plain(8), 3, f32::NAN);
    row(
        "nan-in-dy",
        OK,
        gradient(EPS, 1, &nan, &plain(8), &plain(8)),
    );
    row("nan-in-x", OK, gradient(EPS, 1, &plain(8), &nan, &plain(8)));
    let infinite = with(plain(8), 3, f32::INFINITY);
    row(
        "inf-in-x",
        OK,
        gradient(EPS, 1, &plain(8), &infinite, &plain(8)),
    );
    table.refuse_in_gradient(&forward, &good);
    zeros::rmsnorm(table, float);
    wraps::rmsnorm(table, float);
}
