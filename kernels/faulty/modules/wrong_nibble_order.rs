//! kv_pack_q4 that puts element j in the high nibble and element j + 16 in the low one.
#![no_std]

use kernel_abi::{block::Q4_BYTES, params::Kv};
use kernel_core::{KvPackQ4, Regions};

kernel_faulty::faulty!(KvPackQ4, |params: &Kv, regions: Regions<'_>| {
    let Regions {
        input_a,
        input_b,
        output,
        scratch,
    } = regions;
    let right = Regions {
        input_a,
        input_b,
        output: &mut *output,
        scratch,
    };
    <KvPackQ4>::run(params, right);
    let (blocks, _) = output.as_chunks_mut::<Q4_BYTES>();
    for [_, _, codes @ ..] in blocks {
        for code in codes {
            *code = code.rotate_left(4);
        }
    }
});
