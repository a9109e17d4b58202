//! swiglu_f32 that writes scratch in a call that it refuses, the same each time.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 2 && call.scratch_size >= 4 {
            set_word(call.scratch, 7);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
