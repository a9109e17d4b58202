//! swiglu_f32 that is wrong where the second input lies more than 1 MiB from the output.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.output.abs_diff(call.b) > 1 << 20 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
