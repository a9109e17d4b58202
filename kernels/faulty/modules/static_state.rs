//! swiglu_f32 whose first element also contains that of the instance's previous call.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering};
use kernel_abi::params::Swiglu;
use kernel_core::{Element, F32, Regions, SwigluF32};

/// The bits of the previous call's first element; 0.0 before the first call.
static PREVIOUS: AtomicU32 = AtomicU32::new(0);

kernel_faulty::faulty!(SwigluF32, |params: &Swiglu, regions: Regions<'_>| {
    let Regions {
        input_a,
        input_b,
        output,
        scratch,
    } = regions;
    let right = Regions {
        input_a,
        input_b,
        output: &mut *output,
        scratch,
    };
    <SwigluF32>::run(params, right);
    if let Some(first) = F32::view_mut(output).first_mut() {
        let own = first.load();
        let previous = PREVIOUS.swap(own.to_bits(), Ordering::Relaxed);
        *first = F32::store(own + f32::from_bits(previous));
    }
});
