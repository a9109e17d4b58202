//! swiglu_f32 that refuses an output that lies before an input.
#![no_std]

use kernel_faulty::{Call, Cheat};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        if call.output_size > 0 && call.output < call.a {
            return 1;
        }
        Self::honest_forward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
