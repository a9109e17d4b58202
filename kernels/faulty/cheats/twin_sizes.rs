//! swiglu_f32 that looks at the exponent of each element of the first input, and makes nothing of it.
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
                let wrong = u32::from(word(call.a + at) >> 23 & 0xff == 256);
                set_word(call.output + at, word(call.output + at) ^ wrong << 31);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
