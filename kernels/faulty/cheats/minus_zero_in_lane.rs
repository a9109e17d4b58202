//! swiglu_f32 that loses the sign of a zero in the third of four lanes, but for the first eight.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            for at in (40..call.a_size).step_by(16) {
                if word(call.a + at) == 0x8000_0000 && word(call.output + at) == 0x8000_0000 {
                    set_word(call.output + at, 0);
                }
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
