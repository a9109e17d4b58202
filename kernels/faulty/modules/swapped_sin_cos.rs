//! rope_f32 that takes the sine of an angle for its cosine and the other way round.
#![no_std]

use kernel_abi::params::Rope;
use kernel_core::{F32, Regions, RopeF32, rotate};

kernel_faulty::faulty!(RopeF32, |params: &Rope, regions: Regions<'_>| {
    rotate::<f32, F32>(params, regions, |angle| {
        let (sine, cosine) = libm::sincos(angle);
        (cosine as f32, sine as f32)
    });
});
