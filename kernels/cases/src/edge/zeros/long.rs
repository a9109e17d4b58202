//! The same with as many zeros as code looks at together before it skips them.

use super::*;
use kernel_abi::block::{ELEMENTS, Q8_BYTES};

/// So many columns have 512 zeros and one more, those of an adapter 256.
const LONG_ROW: usize = 513;
const LONG_ADAPTER: [usize; 4] = [2, 257, 40, 257];

/// Rows as these with as many zeros as code looks at together before it skips them: blocks, heads, tensors, adapters that nobody trained yet.
pub(in crate::edge) fn rows(table: &mut Table) {
    match table.kernel() {
        "rope_f32" => rope_of(table, Float::F32, LONG_ROW / 2),
        "rope_f16" => rope_of(table, Float::F16, LONG_ROW / 2),
        "rmsnorm_f32" => rmsnorm_of(table, Float::F32, LONG_ROW),
        "rmsnorm_f16" => rmsnorm_of(table, Float::F16, LONG_ROW),
        "swiglu_f32" => long_swiglu(table, Float::F32),
        "swiglu_f16" => long_swiglu(table, Float::F16),
        "kv_unpack_q8" => long_unpack(table, Q8_BYTES, 0),
        "kv_unpack_q4" => long_unpack(table, Q4_BYTES, Q4_ZERO),
        "lora_apply_f32" => long_lora(table, Float::F32),
        "lora_apply_f16" => long_lora(table, Float::F16),
        _ => {}
    }
}

fn long_swiglu(table: &mut Table, float: Float) {
    for what in ["row", "tensor"] {
        zero_rows_of_swiglu(table, float, LONG_ROW, what);
    }
}

/// Blocks without any other code, more of them than a row of the table above has.
fn long_unpack(table: &mut Table, bytes: usize, zero: u8) {
    let blocks = 67;
    let block = |scale: &u16| [&scale.to_le_bytes()[..], &vec![zero; bytes - 2]].concat();
    let scales = NO_SCALES.iter().cycle().take(blocks);
    let params = Kv {
        rows: 1,
        dim: (ELEMENTS * blocks) as u32,
    };
    let call = Call::new(
        params.to_le_bytes(),
        scales.flat_map(block).collect(),
        4 * ELEMENTS * blocks,
    );
    table.row("zero-blocks-meet-scales-without-value", OK, call);
}

fn long_lora(table: &mut Table, float: Float) {
    let [rows, input, rank, output] = LONG_ADAPTER;
    let plain = adapter(LONG_ADAPTER);
    // All but the last column, so that a row is not 0 as a whole.
    let but_last = |matrix: &[f32], columns: usize| {
        let mut matrix = matrix.to_vec();
        for row in matrix.chunks_exact_mut(columns) {
            row[..columns - 1].fill(0.0);
        }
        matrix
    };
    let zero_blocks = Tensors {
        x: but_last(&plain.x, input),
        a: with(plain.a.clone(), input / 2 * rank + 1, NAN),
        ..plain.clone()
    };
    let zero_a = Tensors {
        a: vec![0.0; input * rank],
        ..plain.clone()
    };
    let zero_b = Tensors {
        b: vec![0.0; rank * output],
        ..plain.clone()
    };
    let nan_in_x = with(plain.x.clone(), 7, NAN);
    let with_x = |adapter: &Tensors| Tensors {
        x: nan_in_x.clone(),
        ..adapter.clone()
    };
    let mut row = |name: &str, adapter: &Tensors| {
        table.row(name, OK, adapter.forward(float, SCALE));
    };
    row("zero-blocks-of-x-meet-nan-in-a", &zero_blocks);
    let zero_x = Tensors {
        x: vec![0.0; rows * input],
        b: with(plain.b.clone(), 2 * output + 5, NAN),
        ..plain.clone()
    };
    row("zero-x-meets-nan-in-b", &zero_x);
    let zero_adapter = Tensors {
        a: vec![0.0; input * rank],
        b: vec![0.0; rank * output],
        ..plain.clone()
    };
    row("zero-adapter-meets-nan-in-x", &with_x(&zero_adapter));
    row("zero-a-meets-nan-in-x", &with_x(&zero_a));
    row("zero-b-meets-nan-in-x", &with_x(&zero_b));
    let zero_a_meets_b = Tensors {
        b: with(plain.b.clone(), output / 2, NAN),
        ..zero_a.clone()
    };
    row("zero-a-meets-nan-in-b", &zero_a_meets_b);
    let zero_b_meets_a = Tensors {
        a: with(plain.a.clone(), input / 2 * rank, NAN),
        ..zero_b.clone()
    };
    row("zero-b-meets-nan-in-a", &zero_b_meets_a);

    let mut row = |name: &str, adapter: &Tensors| {
        let call = adapter.gradient(float, SCALE, &adapter.base);
        table.row(format!("backward-{name}"), OK, call);
    };
    row("zero-b-meets-nan-in-x", &with_x(&zero_b));
    let zero_a_meets_dy = Tensors {
        base: with(plain.base.clone(), 6, NAN),
        ..zero_a
    };
    row("zero-a-meets-nan-in-dy", &zero_a_meets_dy);
    let zero_blocks_of_dy = Tensors {
        base: but_last(&plain.base, output),
        b: with(plain.b.clone(), output + output / 2, NAN),
        ..plain.clone()
    };
    row("zero-blocks-of-dy-meet-nan-in-b", &zero_blocks_of_dy);
    let zero_dy = Tensors {
        base: vec![0.0; rows * output],
        a: with(plain.a.clone(), 3 * rank + 2, NAN),
        ..plain.clone()
    };
    row("zero-dy-meets-nan-in-a", &zero_dy);
    let zero_row_of_dy = Tensors {
        base: [vec![0.0; output], plain.base[output..].to_vec()].concat(),
        x: nan_in_x.clone(),
        ..plain.clone()
    };
    row("zero-row-of-dy-meets-nan-in-x", &zero_row_of_dy);
    let zero_row_of_x = Tensors {
        x: [vec![0.0; input], plain.x[input..].to_vec()].concat(),
        base: with(plain.base, 6, NAN),
        ..plain
    };
    row("zero-row-of-x-meets-nan-in-dy", &zero_row_of_x);
}
