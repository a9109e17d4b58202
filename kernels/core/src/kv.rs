use kernel_abi::{
    Descriptor,
    block::{ELEMENTS, Q4_BYTES, Q8_BYTES},
    params::Kv,
};

use crate::{
    block,
    check::{Definition, Sizes, bytes},
    element::{Element, F32},
    memory::Regions,
};

/// kv_pack_q4: f32 rows to GGUF Q4_0 blocks.
#[derive(Debug)]
pub struct KvPackQ4;

/// kv_pack_q8: f32 rows to GGUF Q8_0 blocks.
#[derive(Debug)]
pub struct KvPackQ8;

/// kv_unpack_q4: GGUF Q4_0 blocks to f32 rows.
#[derive(Debug)]
pub struct KvUnpackQ4;

/// kv_unpack_q8: GGUF Q8_0 blocks to f32 rows.
#[derive(Debug)]
pub struct KvUnpackQ8;

impl Definition for KvPackQ4 {
    type Params = Kv;
    const ID: &'static str = "kv_pack_q4";
    const PARAMS_SIZES: &'static [u32] = &[Kv::SIZE as u32];

    fn decode(bytes: &[u8]) -> Option<Kv> {
        Kv::from_le_bytes(bytes)
    }

    fn accepts(params: &Kv) -> bool {
        accepts(params)
    }

    fn sizes(params: &Kv, _: &Descriptor) -> Sizes {
        pack_sizes::<Q4_BYTES>(params)
    }

    fn run(_: &Kv, regions: Regions<'_>) {
        pack(regions, block::pack_q4);
    }
}

impl Definition for KvPackQ8 {
    type Params = Kv;
    const ID: &'static str = "kv_pack_q8";
    const PARAMS_SIZES: &'static [u32] = &[Kv::SIZE as u32];

    fn decode(bytes: &[u8]) -> Option<Kv> {
        Kv::from_le_bytes(bytes)
    }

    fn accepts(params: &Kv) -> bool {
        accepts(params)
    }

    fn sizes(params: &Kv, _: &Descriptor) -> Sizes {
        pack_sizes::<Q8_BYTES>(params)
    }

    fn run(_: &Kv, regions: Regions<'_>) {
        pack(regions, block::pack_q8);
    }
}

impl Definition for KvUnpackQ4 {
    type Params = Kv;
    const ID: &'static str = "kv_unpack_q4";
    const PARAMS_SIZES: &'static [u32] = &[Kv::SIZE as u32];

    fn decode(bytes: &[u8]) -> Option<Kv> {
        Kv::from_le_bytes(bytes)
    }

    fn accepts(params: &Kv) -> bool {
        accepts(params)
    }

    fn sizes(params: &Kv, _: &Descriptor) -> Sizes {
        unpack_sizes::<Q4_BYTES>(params)
    }

    fn run(_: &Kv, regions: Regions<'_>) {
        unpack(regions, block::unpack_q4);
    }
}

impl Definition for KvUnpackQ8 {
    type Params = Kv;
    const ID: &'static str = "kv_unpack_q8";
    const PARAMS_SIZES: &'static [u32] = &[Kv::SIZE as u32];

    fn decode(bytes: &[u8]) -> Option<Kv> {
        Kv::from_le_bytes(bytes)
    }

    fn accepts(params: &Kv) -> bool {
        accepts(params)
    }

    fn sizes(params: &Kv, _: &Descriptor) -> Sizes {
        unpack_sizes::<Q8_BYTES>(params)
    }

    fn run(_: &Kv, regions: Regions<'_>) {
        unpack(regions, block::unpack_q8);
    }
}

fn accepts(params: &Kv) -> bool {
    params.rows != 0 && params.dim != 0 && params.dim.is_multiple_of(ELEMENTS as u32)
}

fn pack_sizes<const BLOCK: usize>(params: &Kv) -> Sizes {
    Sizes {
        input_a: bytes(&[params.rows, params.dim], F32::BYTES),
        input_b: Some(0),
        output: bytes(&[params.rows, params.dim / ELEMENTS as u32], BLOCK as u32),
        scratch: Some(0),
    }
}

fn unpack_sizes<const BLOCK: usize>(params: &Kv) -> Sizes {
    let Sizes {
        input_a, output, ..
    } = pack_sizes::<BLOCK>(params);
    Sizes {
        input_a: output,
        input_b: Some(0),
        output: input_a,
        scratch: Some(0),
    }
}

/// Blocks do not cross rows (dim is a multiple of 32), so the rows are one run of blocks.
fn pack<const BLOCK: usize>(
    regions: Regions<'_>,
    pack_block: impl Fn(&[f32; ELEMENTS], &mut [u8; BLOCK]),
) {
    let (inputs, _) = F32::view(regions.input_a).as_chunks();
    let (blocks, _) = regions.output.as_chunks_mut();
    for (input, block) in inputs.iter().zip(blocks) {
        pack_block(&block::load(input), block);
    }
}

fn unpack<const BLOCK: usize>(
    regions: Regions<'_>,
    unpack_block: impl Fn(&[u8; BLOCK]) -> [f32; ELEMENTS],
) {
    let (blocks, _) = regions.input_a.as_chunks();
    let (outputs, _) = F32::view_mut(regions.output).as_chunks_mut();
    for (block, output) in blocks.iter().zip(outputs) {
        *output = unpack_block(block).map(F32::store);
    }
}
