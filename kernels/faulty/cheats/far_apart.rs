//! swiglu_f32 that is wrong where small tensors lie more than 64 KiB from each other.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.a_size < 0x8000 && call.output.abs_diff(call.a) > 0x1_0000 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
