//! swiglu_f32 that refuses an output which ends with memory.
#![no_std]

use kernel_faulty::{Call, Cheat, memory_bytes};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        if call.output + call.output_size == memory_bytes() && Self::honest_forward(descriptor) == 0
        {
            return 1;
        }
        Self::honest_forward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
