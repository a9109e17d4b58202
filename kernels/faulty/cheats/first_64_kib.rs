//! rmsnorm_f32 that refuses a descriptor beyond 64 KiB.
#![no_std]

use kernel_faulty::Cheat;

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 0 && descriptor >= 0x1_0000 {
            return 1;
        }
        status
    }
}

kernel_faulty::cheat!(Own);
