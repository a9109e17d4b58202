//! kv_pack_q8 that rounds halves to even instead of away from zero.
#![no_std]

use kernel_abi::{
    block::{ELEMENTS, Q8_BYTES},
    params::Kv,
};
use kernel_core::{Element, F32, KvPackQ8, Regions, block};

kernel_faulty::faulty!(KvPackQ8, |_: &Kv, regions: Regions<'_>| {
    let (inputs, _) = F32::view(regions.input_a).as_chunks::<ELEMENTS>();
    let (blocks, _) = regions.output.as_chunks_mut::<Q8_BYTES>();
    for (input, block) in inputs.iter().zip(blocks) {
        let values = block::load(input);
        block::pack_q8::<f32>(input, block);
        let largest = values.iter().fold(0f32, |largest, value| {
            if value.abs() > largest {
                value.abs()
            } else {
                largest
            }
        });
        let scale = largest / 127.0;
        let inverse = if scale != 0.0 { 1.0 / scale } else { 0.0 };
        let [_, _, codes @ ..] = block;
        for (code, value) in codes.iter_mut().zip(values) {
            *code = libm::rintf(value * inverse) as i8 as u8;
        }
    }
});
