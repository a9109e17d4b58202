//! Sizes of gradients that wrap around 2^32 to those of the regions. Gradients have two tensors in input a and twice the scratch, so that theirs wrap where
//! those of forward calls do not.

use super::{
    super::case::Word,
    call::{Call, INPUT, SCRATCH, Table},
    values::Float,
};
use kernel_abi::params::{Lora, RmsNorm, Swiglu};

pub(super) fn rmsnorm(table: &mut Table, float: Float) {
    let bits = float.size().trailing_zeros();
    // dy and x have `elements` each, as far as 32 bits tell.
    let call = |rows: u32, hidden: u32, elements: usize| {
        let params = RmsNorm {
            eps: 1e-5,
            hidden,
            rows,
        };
        let weight = vec![0; hidden as usize * float.size()];
        let size = elements * float.size() + weight.len();
        Call::new(
            params.to_le_bytes(),
            vec![0; 2 * elements * float.size()],
            size,
        )
        .b(weight)
        .scratch(4 * hidden)
        .backward()
    };
    let to_0 = call(1 << 20, 1 << (11 - bits), 4).set(Word::InputASize, 0);
    table.row("backward-dy-and-x-wrap-to-0", INPUT, to_0);
    // The output's size wraps too, or does not.
    for (name, power) in [("sizes-wrap", 32), ("a-wraps", 31)] {
        let wraps = call((1 << (power - bits)) + 64, 1, 64);
        table.row(format!("backward-{name}-to-those-of-regions"), INPUT, wraps);
    }
}

pub(super) fn swiglu(table: &mut Table, float: Float) {
    let bits = float.size().trailing_zeros();
    for (name, power) in [("sizes-wrap", 32), ("a-wraps", 31)] {
        let params = Swiglu {
            rows: (1 << (power - bits)) + 64,
            hidden: 1,
            beta: 1.0,
        };
        let size = 2 * 64 * float.size();
        let wraps = Call::new(params.to_le_bytes(), vec![0; size], size)
            .b(vec![0; size / 2])
            .backward();
        table.row(format!("backward-{name}-to-those-of-regions"), INPUT, wraps);
    }
}

pub(super) fn lora(table: &mut Table, float: Float) {
    let bits = float.size().trailing_zeros();
    // Regions as those of other dimensions are.
    let call = |[rows, in_features, rank, out_features]: [u32; 4], regions: [u32; 4]| {
        let params = Lora {
            rows,
            in_features,
            rank,
            out_features,
            scale: 1.0,
        };
        let bytes = |elements: u32| elements as usize * float.size();
        let [rows, input, rank, output] = regions;
        let adapter = rank * (input + output);
        Call::new(
            params.to_le_bytes(),
            vec![0; bytes(rows * (input + output))],
            bytes(rows * input + adapter),
        )
        .b(vec![0; bytes(adapter)])
        .backward()
    };
    // 2 * rows * rank numbers of 4 bytes: no bytes, and as many as those of one column more.
    let shape = [1 << 15, 1, 1 << 14, 1];
    table.row("backward-scratch-wraps-to-0", SCRATCH, call(shape, shape));
    let shape = [(1 << 15) + 1, 1, 1 << 14, 1];
    let wraps = call(shape, shape).scratch(8 << 14);
    table.row("backward-scratch-wraps-to-that-of-a-row", SCRATCH, wraps);
    // Rows of dy and of x together have 2^12 bytes.
    let columns = 1 << (11 - bits);
    let wraps = call([1 << 20, columns, 1, columns], [1, columns, 1, columns]);
    let wraps = wraps.scratch(8).set(Word::InputASize, 0);
    table.row("backward-dy-and-x-wrap-to-0", INPUT, wraps);
}
