//! swiglu_f32 that leaves the product in x as well as in the output.
#![no_std]

use kernel_abi::params::Swiglu;
use kernel_core::{Regions, SwigluF32};

kernel_faulty::faulty!(SwigluF32, |params: &Swiglu, regions: Regions<'_>| {
    let x = regions.input_a.as_ptr().expose_provenance();
    let y = regions.output.as_ptr().expose_provenance();
    let bytes = regions.output.len();
    <SwigluF32>::run(params, regions);
    for index in 0..bytes {
        // SAFETY: none; writing an input is the fault.
        unsafe {
            let product = kernel_faulty::stray(y + index).read_volatile();
            kernel_faulty::stray(x + index).write_volatile(product);
        }
    }
});
