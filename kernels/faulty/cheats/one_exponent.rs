//! swiglu_f32 that is wrong where an element of the first input is from 2^-67 to below 2^-66.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            for at in (0..call.a_size).step_by(4) {
                // Without a block of its own.
                let wrong = u32::from(word(call.a + at) >> 23 & 0xff == 60);
                set_word(call.output + at, word(call.output + at) ^ wrong << 31);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
