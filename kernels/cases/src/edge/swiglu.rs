//! swiglu_f32, swiglu_f16.

use super::{
    super::case::Word,
    call::{Call, INPUT, OK, PARAMS, Table},
    regions,
    values::{Float, mixed, plain, with},
    wraps, zeros,
};
use kernel_abi::params::Swiglu;

pub(super) fn rows(table: &mut Table, float: Float) {
    let params = |rows: u32, hidden: u32, beta: f32| Swiglu { rows, hidden, beta }.to_le_bytes();
    let call = |beta: f32, rows: usize, x: &[f32], gate: &[f32]| {
        let params = params(rows as u32, (x.len() / rows) as u32, beta);
        let x = float.bytes(x);
        let size = x.len();
        Call::new(params, x, size).b(float.bytes(gate))
    };
    let good = call(1.0, 2, &plain(64), &mixed(64));
    let refused = params(2, 32, f32::NAN);

    let forward = good.clone();
    regions::rows(table, &good.clone().scratch(64), float.size(), &refused);

    // Parameters.
    for (name, beta) in [
        ("beta-nan", f32::NAN),
        ("beta-inf", f32::INFINITY),
        ("beta-minus-inf", f32::NEG_INFINITY),
    ] {
        table.row(name, PARAMS, good.clone().params(params(2, 32, beta)));
    }
    table.row("rows-0", PARAMS, good.clone().params(params(0, 32, 1.0)));
    table.row("hidden-0", PARAMS, good.clone().params(params(2, 0, 1.0)));
    table.row(
        "rows-and-hidden-swapped",
        OK,
        good.clone().params(params(32, 2, 1.0)),
    );
    table.row(
        "one-row-more",
        INPUT,
        good.clone().params(params(3, 32, 1.0)),
    );
    table.row(
        "rows-2^32-1",
        INPUT,
        good.clone().params(params(u32::MAX, 32, 1.0)),
    );

    // Sizes that wrap around 2^32 to those of the regions.
    let bits = float.size().trailing_zeros();
    let wraps_to_0 = good
        .clone()
        .params(params(1 << 16, 1 << (16 - bits), 1.0))
        .set(Word::InputASize, 0)
        .set(Word::InputBSize, 0)
        .set(Word::OutputSize, 0);
    table.row("size-wraps-to-0", INPUT, wraps_to_0);
    let wraps_to_64 = good.clone().params(params((1 << (32 - bits)) + 64, 1, 1.0));
    table.row("size-wraps-to-that-of-a", INPUT, wraps_to_64);

    table.row("no-scratch", OK, good.clone());
    table.row("scratch-1-byte", OK, good.clone().scratch(1));
    table.row(
        "absent-scratch-anywhere",
        OK,
        good.clone().set(Word::ScratchOffset, 3),
    );

    // Shapes.
    for (name, rows, hidden) in [
        ("1x1", 1, 1),
        ("7x1", 7, 1),
        ("3x7", 3, 7),
        ("1x1000", 1, 1000),
    ] {
        let count = rows * hidden;
        table.row(name, OK, call(1.0, rows, &plain(count), &mixed(count)));
    }

    // Gates through the range of the exponential; x = 1 and x = -1.
    let sweep: Vec<f32> = [
        0.0, 1e-8, 1e-4, 0.5, 1.0, 8.0, 16.0, 17.0, 18.0, 20.0, 40.0, 79.9, 80.0, 80.1, 87.0, 88.0,
        88.73, 89.0, 100.0, 103.0, 104.0, 150.0, 708.0, 709.5, 720.0, 744.0, 746.0, 1e4, 6e4, 1e30,
    ]
    .into_iter()
    .map(|gate: f32| gate.min(float.max()))
    .flat_map(|gate| [gate, -gate])
    .collect();
    let ones: Vec<f32> = sweep
        .iter()
        .map(|gate| if *gate < 0.5 { 1.0 } else { -1.0 })
        .collect();
    for (name, beta) in [
        ("sweep", 1.0),
        ("sweep-beta-1.702", 1.702),
        ("sweep-beta-minus-1", -1.0),
        ("sweep-beta-0", 0.0),
        ("sweep-beta-minus-0", -0.0),
        ("sweep-beta-huge", f32::MAX),
        ("sweep-beta-denormal", f32::from_bits(1)),
    ] {
        table.row(name, OK, call(beta, 1, &ones, &sweep));
    }

    // Each of them in every lane of unrolled loops and behind them: 61 has no divisor in common with any width.
    let long: Vec<f32> = sweep
        .iter()
        .copied()
        .chain([3.0])
        .cycle()
        .take(61 * 17)
        .collect();
    let signs: Vec<f32> = long.iter().map(|gate| gate.signum()).collect();
    for (name, beta) in [
        ("sweep-in-every-lane", 1.0),
        ("sweep-in-every-lane-beta-huge", f32::MAX),
        ("sweep-in-every-lane-beta-minus-huge", f32::MIN),
    ] {
        table.row(name, OK, call(beta, 17, &signs, &long));
    }

    // Special gates between ordinary ones, with each number of elements behind the whole rounds of unrolled loops: nothing of one element may
    // reach another.
    let neighbours = [f32::NEG_INFINITY, 2.0, f32::INFINITY, -3.5, -0.0, 1.5, 88.0];
    for count in 41..=48 {
        let gates: Vec<f32> = neighbours.into_iter().cycle().take(count).collect();
        for (name, beta) in [("", 1.0), ("-beta-huge", f32::MAX), ("-beta-minus-1", -1.0)] {
            let name = format!("special-neighbours-{count}{name}");
            table.row(name, OK, call(beta, 1, &plain(count), &gates));
        }
    }

    // Values.
    let (max, tiny, inf) = (float.max(), float.tiny(), f32::INFINITY);
    for (name, x, gate) in [
        ("zeros", [0.0; 4], [0.0; 4]),
        (
            "signs-of-zero",
            [0.0, -0.0, 0.0, -0.0],
            [0.0, 0.0, -0.0, -0.0],
        ),
        (
            "large-negative-gates",
            [1.0, -1.0, 0.0, 2.0],
            [-100.0, -100.0, -100.0, -60_000.0],
        ),
        ("gate-minus-inf", [1.0, -1.0, 0.0, inf], [-inf; 4]),
        ("gate-inf", [1.0, -1.0, 0.0, inf], [inf; 4]),
        ("x-inf", [inf, -inf, inf, inf], [1.0, 1.0, 0.0, -1000.0]),
        ("subnormals", [tiny; 4], [tiny, -tiny, 1.0, -1.0]),
        (
            "subnormal-gates",
            [1.0, -1.0, 2.0, 3.0],
            [tiny, tiny, 3.0 * tiny, -tiny],
        ),
        (
            "smallest-normals",
            [1.0, 0.5, -1.0, 2.0],
            [float.min_positive(); 4],
        ),
        ("largest", [max, max, -max, 1.0], [1.0, max, max, max]),
        (
            "largest-x-negative-gates",
            [max; 4],
            [-1.0, -20.0, -80.0, -200.0],
        ),
    ] {
        table.row(name, OK, call(1.0, 1, &x, &gate));
    }
    // Half the product of x and 1.5 lies between two values of f16, at any place of an unrolled loop: the last bit of a conversion shows.
    let between: Vec<f32> = (0..67).map(|k| 1.0 + (2 * k + 1) as f32 / 1024.0).collect();
    table.row("ties-beta-0", OK, call(0.0, 1, &between, &[1.5; 67]));

    let base = call(1.0, 1, &plain(4), &plain(4));
    for (name, values) in float.special_in_every_lane() {
        let count = values.len() / float.size();
        let base = call(1.0, 1, &plain(count), &plain(count));
        table.row(format!("{name}-of-x"), OK, base.clone().a(values.clone()));
        table.row(format!("{name}-of-gate"), OK, base.b(values));
    }
    table.row("nans", OK, base.clone().a(float.nans()));
    table.row("nans-in-gate", OK, base.clone().b(float.nans()));
    table.row("nans-in-both", OK, base.a(float.nans()).b(float.nans()));

    // Gradient: dy then x, dx then dgate.
    let gradient = |beta: f32, rows: usize, dy: &[f32], x: &[f32], gate: &[f32]| {
        let params = params(rows as u32, (gate.len() / rows) as u32, beta);
        let a = float.bytes(&[dy, x].concat());
        let size = a.len();
        Call::new(params, a, size).b(float.bytes(gate)).backward()
    };
    let good = gradient(1.0, 2, &plain(64), &mixed(64), &plain(64));
    let room = good.scratch_size.max(64);
    regions::rows(table, &good.clone().scratch(room), float.size(), &refused);
    let mut row = |name: &str, expect, call| table.row(format!("backward-{name}"), expect, call);
    row("no-scratch", OK, good.clone());
    row("scratch-1-byte", OK, good.clone().scratch(1));
    row(
        "forward-sizes",
        INPUT,
        good.clone()
            .a(float.bytes(&plain(64)))
            .output_size(64 * float.size()),
    );
    row("1x1", OK, gradient(1.0, 1, &[1.5], &[-0.5], &[2.0]));
    row(
        "3x7",
        OK,
        gradient(0.5, 3, &plain(21), &mixed(21), &plain(21)),
    );
    row("sweep", OK, gradient(1.0, 1, &ones, &ones, &sweep));
    row("sweep-beta-0", OK, gradient(0.0, 1, &ones, &ones, &sweep));
    row(
        "zeros",
        OK,
        gradient(1.0, 1, &[0.0; 4], &[0.0; 4], &[0.0; 4]),
    );
    let nan = with(plain(8), 3, f32::NAN);
    row(
        "nan-in-dy",
        OK,
        gradient(1.0, 1, &nan, &plain(8), &plain(8)),
    );
    row(
        "nan-in-gate",
        OK,
        gradient(1.0, 1, &plain(8), &plain(8), &nan),
    );
    let infinite = with(with(plain(8), 3, f32::INFINITY), 5, f32::NEG_INFINITY);
    row(
        "inf-in-x",
        OK,
        gradient(1.0, 1, &plain(8), &infinite, &plain(8)),
    );
    row(
        "inf-in-gate",
        OK,
        gradient(1.0, 1, &plain(8), &plain(8), &infinite),
    );
    table.refuse_in_gradient(&forward, &good);
    zeros::swiglu(table, float);
    wraps::swiglu(table, float);
}
