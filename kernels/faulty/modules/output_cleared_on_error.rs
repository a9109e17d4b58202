//! rmsnorm_f32 that clears the output before it checks the sizes: a refused call changes memory.
#![no_std]

use kernel_abi::{Descriptor, params::RmsNorm};
use kernel_core::{Definition, Regions, RmsNormF32, Sizes};

struct Faulty;

impl Definition for Faulty {
    type Params = RmsNorm;
    const ID: &'static str = <RmsNormF32>::ID;
    const PARAMS_SIZES: &'static [u32] = <RmsNormF32>::PARAMS_SIZES;
    const HAS_BACKWARD: bool = true;

    fn decode(bytes: &[u8]) -> Option<RmsNorm> {
        <RmsNormF32>::decode(bytes)
    }

    fn accepts(params: &RmsNorm) -> bool {
        <RmsNormF32>::accepts(params)
    }

    fn sizes(params: &RmsNorm, descriptor: &Descriptor) -> Sizes {
        let sizes = <RmsNormF32>::sizes(params, descriptor);
        // By now the regions are known to be good; their sizes are not.
        for index in 0..descriptor.output.size {
            let address = descriptor.output.offset as usize + index as usize;
            // SAFETY: none; writing before the last check is the fault.
            unsafe { kernel_faulty::stray(address).write_volatile(0) };
        }
        sizes
    }

    fn run(params: &RmsNorm, regions: Regions<'_>) {
        <RmsNormF32>::run(params, regions);
    }

    fn backward_sizes(params: &RmsNorm, descriptor: &Descriptor) -> Sizes {
        <RmsNormF32>::backward_sizes(params, descriptor)
    }

    fn run_backward(params: &RmsNorm, regions: Regions<'_>) {
        <RmsNormF32>::run_backward(params, regions);
    }
}

kernel_guest::module!(Faulty);
