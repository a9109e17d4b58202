//! Dimensions of lora_apply, and bytes of its tensors.

use crate::{
    check::{Sizes, bytes},
    element::{Element, F32},
};
use kernel_abi::params::Lora;

pub(super) fn accepts(params: &Lora) -> bool {
    params.rows != 0
        && params.in_features != 0
        && params.rank != 0
        && params.out_features != 0
        && params.scale.is_finite()
}

/// Bytes of A followed by B.
fn adapter_bytes<E: Element>(params: &Lora) -> u64 {
    bytes(&[params.in_features, params.rank], E::BYTES)
        + bytes(&[params.rank, params.out_features], E::BYTES)
}

pub(super) fn sizes<E: Element>(params: &Lora) -> Sizes {
    Sizes {
        input_a: bytes(&[params.rows, params.in_features], E::BYTES),
        input_b: adapter_bytes::<E>(params),
        output: bytes(&[params.rows, params.out_features], E::BYTES),
        scratch: bytes(&[params.rows, params.rank], F32::BYTES),
    }
}

pub(super) fn backward_sizes<E: Element>(params: &Lora) -> Sizes {
    let Sizes {
        input_a: x,
        input_b: adapter,
        output: y,
        scratch: intermediate,
    } = sizes::<E>(params);
    Sizes {
        input_a: y + x,
        input_b: adapter,
        output: x + adapter,
        scratch: intermediate + intermediate,
    }
}

/// The dimensions as lengths.
pub(super) struct Shape {
    pub(super) input: usize,
    pub(super) rank: usize,
    pub(super) output: usize,
    pub(super) rows: usize,
}

impl Shape {
    pub(super) fn new(params: &Lora) -> Self {
        Self {
            input: params.in_features as usize,
            rank: params.rank as usize,
            output: params.out_features as usize,
            rows: params.rows as usize,
        }
    }
}
