//! swiglu_f32 that is wrong where absent scratch has an offset.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.scratch_size == 0 && call.scratch != 0 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
