//! Zeros that meet an infinity or a NaN in another factor. Their product is NaN, so no term may be left out because one factor is 0.

#[cfg(feature = "generate")]
pub(super) mod long;

use super::{
    call::{Call, OK, Table},
    lora::Tensors,
    values::{Float, f32_bytes, plain, with},
};
use kernel_abi::{
    block::Q4_BYTES,
    params::{Kv, RmsNorm, Rope, Swiglu},
};

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

/// Each of some values beside each of them, in so many tensors, with an odd number of values: as often as an unrolled loop of 16 has lanes.
fn each_beside_each(values: &[f32], tensors: u32) -> Vec<Vec<f32>> {
    let count = values.len().pow(tensors);
    let of = |tensor: u32| {
        let places = 0..16 * count;
        places
            .map(|place| values[place / values.len().pow(tensor) % values.len()])
            .collect()
    };
    (0..tensors).map(of).collect()
}

pub(super) fn swiglu(table: &mut Table, float: Float) {
    let params = |hidden: usize| Swiglu {
        rows: 1,
        hidden: hidden as u32,
        beta: 1.0,
    };
    let both = each_beside_each(&[0.0, -0.0, NAN, INF, -INF, 1.5, -2.5], 2);
    let x = float.bytes(&both[0]);
    let size = x.len();
    let call = Call::new(params(both[0].len()).to_le_bytes(), x, size).b(float.bytes(&both[1]));
    table.row("zeros-meet-no-numbers", OK, call);
    let three = each_beside_each(&[0.0, NAN, INF], 3);
    let a = float.bytes(&three[..2].concat());
    let size = a.len();
    let call = Call::new(params(three[0].len()).to_le_bytes(), a, size)
        .b(float.bytes(&three[2]))
        .backward();
    table.row("backward-zeros-meet-no-numbers", OK, call);
    zero_rows_of_swiglu(table, float, 35, "row");
}

/// Rows that are 0 as a whole, as padding and masks make them, or both of a tensor, of one tensor at a time, beside an odd number of values in the others.
fn zero_rows_of_swiglu(table: &mut Table, float: Float, hidden: usize, what: &str) {
    let rows = 2;
    let params = Swiglu {
        rows: rows as u32,
        hidden: hidden as u32,
        beta: 1.0,
    };
    let others = || strewn(plain(rows * hidden), 4, &[NAN, INF, -INF]);
    let zeros = || zero_rows(hidden, what);
    let mut row = |name: &str, a: Vec<f32>, b: Vec<f32>, backward: bool| {
        let a = float.bytes(&a);
        let size = a.len();
        let call = Call::new(params.to_le_bytes(), a, size).b(float.bytes(&b));
        let (entry, call) = match backward {
            true => ("backward-", call.backward()),
            false => ("", call),
        };
        table.row(format!("{entry}zero-{what}-of-{name}"), OK, call);
    };
    row("x-meets-no-numbers", zeros(), others(), false);
    row("gate-meets-no-numbers", others(), zeros(), false);
    let both = |dy: Vec<f32>, x: Vec<f32>| [dy, x].concat();
    row(
        "dy-meets-no-numbers-in-x",
        both(zeros(), others()),
        plain(rows * hidden),
        true,
    );
    row(
        "dy-meets-no-numbers-in-gate",
        both(zeros(), plain(rows * hidden)),
        others(),
        true,
    );
    row(
        "x-meets-no-numbers",
        both(others(), zeros()),
        others(),
        true,
    );
}

/// Two rows, of which the first one is 0, or both are.
fn zero_rows(hidden: usize, what: &str) -> Vec<f32> {
    match what {
        "row" => [vec![0.0; hidden], plain(hidden)].concat(),
        _ => vec![0.0; 2 * hidden],
    }
}

/// `values` with others at places that are so far from each other.
fn strewn(mut values: Vec<f32>, every: usize, others: &[f32]) -> Vec<f32> {
    let places = values.iter_mut().step_by(every);
    for (value, other) in places.zip(others.iter().cycle()) {
        *value = *other;
    }
    values
}

pub(super) fn rmsnorm(table: &mut Table, float: Float) {
    rmsnorm_of(table, float, 67);
}

fn rmsnorm_of(table: &mut Table, float: Float, hidden: usize) {
    let rows = 2;
    let params = RmsNorm {
        eps: 1e-5,
        hidden: hidden as u32,
        rows: rows as u32,
    };
    let all = || plain(rows * hidden);
    let call = |a: &[f32], weight: &[f32]| {
        let a = float.bytes(a);
        let size = a.len();
        Call::new(params.to_le_bytes(), a, size).b(float.bytes(weight))
    };
    let gradient = |dy: &[f32], x: &[f32], weight: &[f32]| {
        call(&[dy, x].concat(), weight)
            .output_size((x.len() + hidden) * float.size())
            .scratch(4 * hidden as u32)
            .backward()
    };
    // Of both rows the same columns are 0.
    let zeros = strewn(plain(hidden), 3, &[0.0, -0.0]).repeat(rows);
    let zero_row = zero_rows(hidden, "row");
    let no_numbers = strewn(plain(hidden), 3, &[NAN, INF, -INF]);
    let nan = with(all(), 33, NAN);
    let zero_weight = with(plain(hidden), 33, 0.0);
    table.row("zeros-of-x-meet-no-numbers", OK, call(&zeros, &no_numbers));
    let all_zero = call(&nan, &vec![0.0; hidden]);
    table.row("zero-weight-meets-nan", OK, all_zero);
    table.row(
        "zero-row-of-x-meets-no-numbers",
        OK,
        call(&zero_row, &no_numbers),
    );
    let mut row = |name: &str, call| table.row(format!("backward-{name}"), OK, call);
    let one_nan = with(plain(hidden), 33, NAN);
    row(
        "zeros-of-dy-meet-nan-in-weight",
        gradient(&zeros, &all(), &one_nan),
    );
    row(
        "zero-weight-meets-nan",
        gradient(&nan, &all(), &zero_weight),
    );
    row(
        "zeros-of-x-meet-nan-in-dy",
        gradient(&nan, &zeros, &plain(hidden)),
    );
    row(
        "zero-row-of-dy-meets-nan-in-x",
        gradient(&zero_row, &nan, &plain(hidden)),
    );
    row(
        "zero-row-of-dy-meets-no-numbers-in-weight",
        gradient(&zero_row, &all(), &no_numbers),
    );
    row(
        "zero-row-of-x-meets-nan-in-dy",
        gradient(&nan, &zero_row, &plain(hidden)),
    );
    row("dy-of-zeros-meets-nan-in-x", {
        gradient(&vec![0.0; rows * hidden], &nan, &plain(hidden))
    });
}

/// Of floats alone: whether an element of a block is 0 or NaN, no code says.
pub(super) fn rope(table: &mut Table, float: Float) {
    rope_of(table, float, 34);
}

fn rope_of(table: &mut Table, float: Float, pairs: usize) {
    let mut call = |name: &str, layout: u32, number: u32, x: &[f32], b: &[f32]| {
        let params = Rope {
            theta: 10_000.0,
            seq: 1,
            head_dim: 2 * pairs as u32,
            heads: 1,
            batch: 1,
            layout,
            table: number,
        };
        let x = float.bytes(x);
        let size = x.len();
        let call = Call::new(params.to_le_bytes(), x, size).b(f32_bytes(b));
        table.row(format!("{name}-layout-{layout}"), OK, call);
    };
    let no_numbers = |count: usize| strewn(plain(count), 3, &[NAN, INF, -INF]);
    let zeros = vec![0.0; 2 * pairs];
    for layout in [0, 1] {
        call(
            "zeros-meet-no-numbers-in-tables",
            layout,
            1,
            &zeros,
            &no_numbers(2 * pairs),
        );
        call(
            "zeros-in-tables-meet-no-numbers",
            layout,
            1,
            &no_numbers(2 * pairs),
            &zeros,
        );
    }
    call(
        "zeros-meet-angles-without-cosine",
        0,
        0,
        &zeros,
        &no_numbers(pairs),
    );
}

/// Infinities and NaNs of f16.
const NO_SCALES: [u16; 5] = [0x7c00, 0x7e00, 0xfc00, 0xfe01, 0x7c01];
/// Two codes of Q4_0 that mean 0.
const Q4_ZERO: u8 = 0x88;

/// Blocks of so many bytes whose codes all mean 0, but for one, beside scales that are no numbers.
pub(super) fn unpack(table: &mut Table, bytes: usize) {
    let zero = if bytes == Q4_BYTES { Q4_ZERO } else { 0 };
    let scales = NO_SCALES;
    let block = |(place, scale): (usize, u16)| {
        let mut block = vec![zero; bytes];
        block[..2].copy_from_slice(&scale.to_le_bytes());
        block[2 + 3 * place] ^= 0x11;
        block
    };
    let a: Vec<u8> = scales.into_iter().enumerate().flat_map(block).collect();
    let params = Kv {
        rows: 1,
        dim: 32 * scales.len() as u32,
    };
    let size = 4 * params.dim as usize;
    table.row(
        "zeros-meet-scales-without-value",
        OK,
        Call::new(params.to_le_bytes(), a, size),
    );
}

/// Rows, in, rank, out.
const ADAPTER: [usize; 4] = [2, 21, 5, 19];
const SCALE: f32 = 0.5;

/// A column of a matrix with so many, all of it one value.
fn column(mut matrix: Vec<f32>, columns: usize, column: usize, value: f32) -> Vec<f32> {
    matrix
        .iter_mut()
        .skip(column)
        .step_by(columns)
        .for_each(|one| *one = value);
    matrix
}

/// An adapter without surprises, dy in the place of the base.
fn adapter([rows, input, rank, output]: [usize; 4]) -> Tensors {
    Tensors {
        base: plain(rows * output),
        ..Tensors::plain([rows, input, rank, output])
    }
}

pub(super) fn lora(table: &mut Table, float: Float) {
    let [rows, input, rank, output] = ADAPTER;
    let plain = adapter(ADAPTER);
    let mut row = |name: &str, adapter: &Tensors| {
        table.row(name, OK, adapter.forward(float, SCALE));
    };
    // In a loop's whole rounds, and behind them.
    for (place, what, value) in [(3, "nan", NAN), (input - 1, "inf", INF)] {
        let zero_x = Tensors {
            x: column(plain.x.clone(), input, place, 0.0),
            a: with(plain.a.clone(), place * rank + 1, value),
            ..plain.clone()
        };
        row(&format!("zeros-of-x-meet-{what}-in-a"), &zero_x);
    }
    for (place, what, value) in [
        (2 * output + 5, "nan", NAN),
        (rank * output - 1, "inf", INF),
    ] {
        let zero_product = Tensors {
            x: vec![0.0; rows * input],
            b: with(plain.b.clone(), place, value),
            ..plain.clone()
        };
        row(
            &format!("zeros-of-x-times-a-meet-{what}-in-b"),
            &zero_product,
        );
    }
    let zero_adapter = Tensors {
        x: with(plain.x.clone(), 7, NAN),
        a: vec![0.0; input * rank],
        b: vec![0.0; rank * output],
        ..plain.clone()
    };
    row("zero-adapter-meets-nan-in-x", &zero_adapter);

    // dy stands in the place of the base.
    let mut row = |name: &str, adapter: &Tensors| {
        let call = adapter.gradient(float, SCALE, &adapter.base);
        table.row(format!("backward-{name}"), OK, call);
    };
    let zero_dy = Tensors {
        base: column(plain.base.clone(), output, 4, 0.0),
        b: with(plain.b.clone(), output + 4, NAN),
        ..plain.clone()
    };
    row("zeros-of-dy-meet-nan-in-b", &zero_dy);
    let no_dy = Tensors {
        base: vec![0.0; rows * output],
        a: with(plain.a.clone(), 3 * rank + 2, NAN),
        ..plain.clone()
    };
    row("dy-of-zeros-meets-nan-in-a", &no_dy);
    // The first rows of x and of A are 0.
    let zeros = |matrix: &[f32], length| [&vec![0.0; length][..], &matrix[length..]].concat();
    let zero_rows = Tensors {
        x: zeros(&plain.x, input),
        a: zeros(&plain.a, rank),
        base: with(plain.base.clone(), 6, NAN),
        ..plain.clone()
    };
    row("zeros-of-x-and-a-meet-nan-in-dy", &zero_rows);
}
