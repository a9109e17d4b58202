//! swiglu_f32 that is right only behind the guard bytes of ordinary calls.
#![no_std]

use kernel_faulty::{Call, Cheat, byte, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        let odd = byte(call.output - 1) != ((call.output - 1) as u8).wrapping_mul(29) ^ 0xA6;
        let status = Self::honest_forward(descriptor);
        if status == 0 && odd {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
