use core::{
    array::{from_mut, from_ref},
    marker::PhantomData,
};

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
        pack::<Self, _>(regions);
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
        pack::<Self, _>(regions);
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
        unpack::<Self, _>(regions);
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
        unpack::<Self, _>(regions);
    }
}

fn accepts(params: &Kv) -> bool {
    params.rows != 0 && params.dim != 0 && params.dim.is_multiple_of(ELEMENTS as u32)
}

fn pack_sizes<const BLOCK: usize>(params: &Kv) -> Sizes {
    Sizes {
        input_a: bytes(&[params.rows, params.dim], F32::BYTES),
        input_b: 0,
        output: bytes(&[params.rows, params.dim / ELEMENTS as u32], BLOCK as u32),
        scratch: 0,
    }
}

fn unpack_sizes<const BLOCK: usize>(params: &Kv) -> Sizes {
    let Sizes {
        input_a, output, ..
    } = pack_sizes::<BLOCK>(params);
    Sizes {
        input_a: output,
        input_b: 0,
        output: input_a,
        scratch: 0,
    }
}

/// What is done with a block.
trait PerBlock<I, O> {
    /// Computes all outputs.
    fn all(inputs: &[I], outputs: &mut [O]);

    /// Computes outputs from as many inputs.
    fn apply<const N: usize>(inputs: &[I; N], outputs: &mut [O; N]);
}

impl<L: Lanes> PerBlock<[F32; ELEMENTS], [u8; Q4_BYTES]> for KvPackQ4<L> {
    #[inline(always)]
    fn all(inputs: &[[F32; ELEMENTS]], outputs: &mut [[u8; Q4_BYTES]]) {
        if const { L::COUNT == 1 } {
            each::<Self, _, _, 1>(inputs, outputs);
        } else {
            each::<Self, _, _, 4>(inputs, outputs);
        }
    }

    #[inline(always)]
    fn apply<const N: usize>(values: &[[F32; ELEMENTS]; N], blocks: &mut [[u8; Q4_BYTES]; N]) {
        block::pack_q4_blocks::<L, N>(values, blocks);
    }
}

impl<L: Lanes> PerBlock<[F32; ELEMENTS], [u8; Q8_BYTES]> for KvPackQ8<L> {
    #[inline(always)]
    fn all(inputs: &[[F32; ELEMENTS]], outputs: &mut [[u8; Q8_BYTES]]) {
        if const { L::COUNT == 1 } {
            each::<Self, _, _, 1>(inputs, outputs);
        } else {
            each::<Self, _, _, 8>(inputs, outputs);
        }
    }

    #[inline(always)]
    fn apply<const N: usize>(values: &[[F32; ELEMENTS]; N], blocks: &mut [[u8; Q8_BYTES]; N]) {
        if let (Some(values), Some(blocks)) = (values.first_chunk(), blocks.first_chunk_mut()) {
            block::pack_eight_q8_blocks::<L>(values, blocks);
        } else {
            block::pack_q8_blocks::<L, N>(values, blocks);
        }
    }
}

impl<L: Lanes> PerBlock<[u8; Q4_BYTES], [F32; ELEMENTS]> for KvUnpackQ4<L> {
    #[inline(always)]
    fn all(inputs: &[[u8; Q4_BYTES]], outputs: &mut [[F32; ELEMENTS]]) {
        each::<Self, _, _, 8>(inputs, outputs);
    }

    #[inline(always)]
    fn apply<const N: usize>(blocks: &[[u8; Q4_BYTES]; N], values: &mut [[F32; ELEMENTS]; N]) {
        unroll!(8: N, |n| block::unpack_q4::<L>(&blocks[n], &mut values[n]));
    }
}

impl<L: Lanes> PerBlock<[u8; Q8_BYTES], [F32; ELEMENTS]> for KvUnpackQ8<L> {
    #[inline(always)]
    fn all(inputs: &[[u8; Q8_BYTES]], outputs: &mut [[F32; ELEMENTS]]) {
        each::<Self, _, _, 8>(inputs, outputs);
    }

    #[inline(always)]
    fn apply<const N: usize>(blocks: &[[u8; Q8_BYTES]; N], values: &mut [[F32; ELEMENTS]; N]) {
        unroll!(8: N, |n| block::unpack_q8::<L>(&blocks[n], &mut values[n]));
    }
}

/// Blocks do not cross rows (dim is a multiple of 32), so the rows are one run of blocks.
fn pack<D: PerBlock<[F32; ELEMENTS], [u8; BLOCK]>, const BLOCK: usize>(regions: Regions<'_>) {
    let (inputs, _) = F32::view(regions.input_a).as_chunks();
    let (blocks, _) = regions.output.as_chunks_mut();
    D::all(inputs, blocks);
}

fn unpack<D: PerBlock<[u8; BLOCK], [F32; ELEMENTS]>, const BLOCK: usize>(regions: Regions<'_>) {
    let (blocks, _) = regions.input_a.as_chunks();
    let (outputs, _) = F32::view_mut(regions.output).as_chunks_mut();
    D::all(blocks, outputs);
}

/// Computes all outputs, `N` blocks per loop back edge.
#[inline(always)]
fn each<D: PerBlock<I, O>, I, O, const N: usize>(inputs: &[I], outputs: &mut [O]) {
    let (groups, rest) = inputs.as_chunks::<N>();
    let (output_groups, output_rest) = outputs.as_chunks_mut::<N>();
    for (inputs, outputs) in groups.iter().zip(output_groups) {
        D::apply(inputs, outputs);
    }
    for (input, output) in rest.iter().zip(output_rest) {
        D::apply(from_ref(input), from_mut(output));
    }
}
