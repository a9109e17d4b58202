//! swiglu_f32 that refuses an output which ends where another region begins.
#![no_std]

use kernel_faulty::{Call, Cheat};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        if call.starts().contains(&(call.output + call.output_size)) {
            return 1;
        }
        Self::honest_forward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
