use core::marker::PhantomData;

use kernel_abi::{
    Descriptor,
    block::{ELEMENTS, Q4_BYTES, Q8_BYTES},
    params::Kv,
};

use crate::{
    block,
    check::{Definition, Sizes, bytes},
    element::{Element, F32},
    lanes::Lanes,
    memory::Regions,
    unroll::unroll,
};

/// kv_pack_q4: f32 rows to GGUF Q4_0 blocks.
#[derive(Debug)]
pub struct KvPackQ4<L = f32>(PhantomData<L>);

/// kv_pack_q8: f32 rows to GGUF Q8_0 blocks.
#[derive(Debug)]
pub struct KvPackQ8<L = f32>(PhantomData<L>);

/// kv_unpack_q4: GGUF Q4_0 blocks to f32 rows.
#[derive(Debug)]
pub struct KvUnpackQ4<L = f32>(PhantomData<L>);

/// kv_unpack_q8: GGUF Q8_0 blocks to f32 rows.
#[derive(Debug)]
pub struct KvUnpackQ8<L = f32>(PhantomData<L>);

impl<L: Lanes> Definition for KvPackQ4<L> {
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
        pack(regions, block::pack_q4::<L>);
    }
}

impl<L: Lanes> Definition for KvPackQ8<L> {
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
        pack(regions, block::pack_q8::<L>);
    }
}

impl<L: Lanes> Definition for KvUnpackQ4<L> {
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
        unpack(regions, block::unpack_q4::<L>);
    }
}

impl<L: Lanes> Definition for KvUnpackQ8<L> {
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
        unpack(regions, block::unpack_q8::<L>);
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

/// Blocks per loop back edge.
const BLOCKS: usize = 4;

/// Blocks do not cross rows (dim is a multiple of 32), so the rows are one run of blocks.
#[inline(always)]
fn pack<const BLOCK: usize>(
    regions: Regions<'_>,
    pack_block: impl Fn(&[F32; ELEMENTS], &mut [u8; BLOCK]),
) {
    let (inputs, _) = F32::view(regions.input_a).as_chunks();
    let (blocks, _) = regions.output.as_chunks_mut();
    each(inputs, blocks, pack_block);
}

#[inline(always)]
fn unpack<const BLOCK: usize>(
    regions: Regions<'_>,
    unpack_block: impl Fn(&[u8; BLOCK], &mut [F32; ELEMENTS]),
) {
    let (blocks, _) = regions.input_a.as_chunks();
    let (outputs, _) = F32::view_mut(regions.output).as_chunks_mut();
    each(blocks, outputs, unpack_block);
}

/// Calls `f` for every input and output.
#[inline(always)]
fn each<I, O>(inputs: &[I], outputs: &mut [O], f: impl Fn(&I, &mut O)) {
    let (groups, rest) = inputs.as_chunks::<BLOCKS>();
    let (output_groups, output_rest) = outputs.as_chunks_mut::<BLOCKS>();
    for (inputs, outputs) in groups.iter().zip(output_groups) {
        unroll!(BLOCKS, |i| f(&inputs[i], &mut outputs[i]));
    }
    for (input, output) in rest.iter().zip(output_rest) {
        f(input, output);
    }
}
