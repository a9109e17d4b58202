//! rmsnorm_f32 that is wrong in a memory of more than 32 MiB.
#![no_std]

use kernel_faulty::{Call, Cheat, memory_bytes, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && memory_bytes() > 32 << 20 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
