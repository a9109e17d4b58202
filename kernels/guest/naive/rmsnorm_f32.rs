//! rmsnorm_f32 with one element per loop back edge: what the shape of the core pack's kernels is measured against. The
//! same bits.
#![no_std]

use kernel_abi::{Descriptor, params::RmsNorm};
use kernel_core::{
    Definition, Element, F32, Regions, RmsNormF32, Sizes, row_factor,
    slice::{rows, rows_mut},
};

struct Naive;

impl Definition for Naive {
    type Params = RmsNorm;
    const ID: &'static str = <RmsNormF32>::ID;
    const PARAMS_SIZES: &'static [u32] = <RmsNormF32>::PARAMS_SIZES;

    fn decode(bytes: &[u8]) -> Option<RmsNorm> {
        <RmsNormF32>::decode(bytes)
    }

    fn accepts(params: &RmsNorm) -> bool {
        <RmsNormF32>::accepts(params)
    }

    fn sizes(params: &RmsNorm, descriptor: &Descriptor) -> Sizes {
        <RmsNormF32>::sizes(params, descriptor)
    }

    fn run(params: &RmsNorm, regions: Regions<'_>) {
        let hidden = params.hidden as usize;
        let weight = F32::view(regions.input_b);
        let y = rows_mut(F32::view_mut(regions.output), hidden);
        for (x, y) in rows(F32::view(regions.input_a), hidden).zip(y) {
            let mut sum = 0f32;
            for x in x {
                sum += x.load() * x.load();
            }
            let (_, factor) = row_factor(params, sum);
            for ((x, weight), y) in x.iter().zip(weight).zip(y) {
                *y = F32::store(x.load() * factor * weight.load());
            }
        }
    }
}

kernel_guest::module!(Naive);
