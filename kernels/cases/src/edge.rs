//! Edge cases: a table per kernel, written by hand, each row with the status that docs/abi.md asks for.
//!
//! A table has three parts: what the host did wrong with the regions, which is the same for all kernels
//! (`edge/regions.rs`); parameters and sizes that the kernel must refuse; and calls that it must take, on values where
//! arithmetic goes wrong first.

mod call;
mod kv;
mod lora;
mod regions;
mod rmsnorm;
mod rope;
mod swiglu;
mod values;
mod wraps;
mod zeros;

#[cfg(test)]
pub(super) mod native;

use super::case::{Case, Entry};
use call::Table;
use values::Float;

/// The edge cases of a kernel, named `edge:...`; none for a kernel that this harness has no contract for.
pub fn cases(kernel: &str) -> Vec<Case> {
    let mut table = Table::new(kernel);
    match kernel {
        "rope_f32" => rope::rows(&mut table, rope::Tensor::Float(Float::F32)),
        "rope_f16" => rope::rows(&mut table, rope::Tensor::Float(Float::F16)),
        "rope_q8" => rope::rows(&mut table, rope::Tensor::Q8),
        "rmsnorm_f32" => rmsnorm::rows(&mut table, Float::F32),
        "rmsnorm_f16" => rmsnorm::rows(&mut table, Float::F16),
        "swiglu_f32" => swiglu::rows(&mut table, Float::F32),
        "swiglu_f16" => swiglu::rows(&mut table, Float::F16),
        "kv_pack_q8" => kv::pack_rows(&mut table, kv::Q8),
        "kv_pack_q4" => kv::pack_rows(&mut table, kv::Q4),
        "kv_unpack_q8" => kv::unpack_rows(&mut table, kv::Q8),
        "kv_unpack_q4" => kv::unpack_rows(&mut table, kv::Q4),
        "lora_apply_f32" => lora::rows(&mut table, Float::F32),
        "lora_apply_f16" => lora::rows(&mut table, Float::F16),
        _ => {}
    }
    table.into_cases()
}

/// Zeros that meet NaNs and infinities in blocks, heads and tensors that are longer than those of the tables. Named as the tables' rows.
#[cfg(feature = "generate")]
pub(crate) fn long_zeros(kernel: &str) -> Vec<Case> {
    let mut table = Table::new(kernel);
    zeros::long::rows(&mut table);
    table.into_cases()
}

#[cfg(test)]
mod tests;

/// What a host may do wrong with regions, from a call that the kernel takes: for kernels whose contract is data. `element` is the number of
/// bytes by which sizes are wrong, `refused` parameters of the right length with a value that is refused.
pub(crate) fn region_rows(
    good: &Case,
    element: usize,
    refused: &[u8],
    needs_scratch: bool,
) -> Vec<Case> {
    let mut table = Table::new(&good.kernel);
    let call = call::Call {
        entry: Entry::Forward,
        params: good.params.clone(),
        a: good.a.clone(),
        b: good.b.clone(),
        output_size: good.output_size,
        base: good.base.clone(),
        scratch_size: good.scratch_size,
        tweaks: Vec::new(),
    };
    let with_scratch = match needs_scratch {
        true => call.clone(),
        false => call.clone().scratch(64),
    };
    regions::rows(&mut table, &with_scratch, element, refused);
    if needs_scratch {
        table.row(
            "scratch-byte-short",
            call::SCRATCH,
            call.clone().scratch(call.scratch_size - 1),
        );
        table.row("no-scratch", call::SCRATCH, call.clone().scratch(0));
        regions::rows_with_scratch(&mut table, &call, element);
    }
    table.into_cases()
}
