//! kv_pack_q8 whose code for a NaN depends on that NaN's sign and payload, which WebAssembly leaves open.
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
        // The sum of two NaNs is one of them; which one differs between engines.
        let sum = values.iter().fold(0f32, |sum, value| sum + value);
        let [_, _, codes @ ..] = block;
        for (code, value) in codes.iter_mut().zip(values) {
            if value.is_nan() {
                let bits = (sum + value).to_bits();
                *code = 1 + (bits >> 31) as u8 + (bits & 0x3f) as u8;
            }
        }
    }
});
