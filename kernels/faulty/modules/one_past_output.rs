//! swiglu_f32 that writes one element more than the output has.
#![no_std]

use kernel_abi::params::Swiglu;
use kernel_core::{Regions, SwigluF32};

kernel_faulty::faulty!(SwigluF32, |params: &Swiglu, regions: Regions<'_>| {
    let end = regions.output.as_mut_ptr_range().end;
    <SwigluF32>::run(params, regions);
    let past = kernel_faulty::stray(end.expose_provenance()).cast::<[u8; 4]>();
    // SAFETY: none; writing outside the output is the fault.
    unsafe { past.write_volatile(1.5f32.to_le_bytes()) };
});
