//! rmsnorm_f32 that takes scratch which ends a few bytes beyond memory.
#![no_std]

use kernel_faulty::{Call, Cheat, memory_bytes};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 1 {
            let call = Call::at(descriptor);
            if call.scratch < memory_bytes()
                && call.scratch + call.scratch_size > memory_bytes()
                && call.scratch + call.scratch_size <= memory_bytes() + 16
            {
                return 0;
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
