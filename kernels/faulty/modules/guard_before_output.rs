//! swiglu_f32 that writes the byte before its output.
#![no_std]

use kernel_abi::params::Swiglu;
use kernel_core::{Regions, SwigluF32};

kernel_faulty::faulty!(SwigluF32, |params: &Swiglu, regions: Regions<'_>| {
    let start = regions.output.as_mut_ptr();
    <SwigluF32>::run(params, regions);
    let before = kernel_faulty::stray(start.expose_provenance() - 1);
    // SAFETY: none; writing outside the output is the fault.
    unsafe { before.write_volatile(before.read_volatile() ^ 0x80) };
});
