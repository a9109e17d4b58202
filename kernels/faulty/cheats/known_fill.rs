//! rmsnorm_f32 that is right only where the output holds one of two known bytes.
#![no_std]

use kernel_faulty::{Call, Cheat, byte, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        let odd = ![0xC7, 0x4D].contains(&byte(call.output));
        let status = Self::honest_forward(descriptor);
        if status == 0 && odd {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
