//! rmsnorm_f32 that is wrong where the first input begins with one value.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && word(call.a) == 0x4049_0fdb {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
