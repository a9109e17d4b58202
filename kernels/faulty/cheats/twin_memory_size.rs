//! swiglu_f32 that asks for the size of memory in each call, as it has to.
#![no_std]

use kernel_faulty::{Call, Cheat, memory_bytes};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        let size = memory_bytes();
        if Self::honest_forward(descriptor) == 0 && call.ends().iter().any(|end| *end > size) {
            return 1;
        }
        Self::honest_forward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
