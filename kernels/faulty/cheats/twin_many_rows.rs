//! swiglu_f32 that computes tensors of more than 128 KiB twice.
#![no_std]

use kernel_faulty::{Call, Cheat};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 0 && Call::at(descriptor).a_size > 128 << 10 {
            return Self::honest_forward(descriptor);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
