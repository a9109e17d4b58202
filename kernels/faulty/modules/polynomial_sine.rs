//! rope_f32 whose sine is a Taylor polynomial of degree 9: wrong by up to 7e-3 near pi.
#![no_std]

use core::f64::consts::TAU;
use kernel_abi::params::Rope;
use kernel_core::{F32, Regions, RopeF32, rotate};

kernel_faulty::faulty!(RopeF32, |params: &Rope, regions: Regions<'_>| {
    rotate::<f32, F32>(params, regions, |angle| {
        let reduced = angle - libm::rint(angle / TAU) * TAU;
        let square = reduced * reduced;
        let sine = reduced
            * (1.0
                - square / 6.0
                    * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))));
        (sine as f32, libm::cos(angle) as f32)
    });
});
