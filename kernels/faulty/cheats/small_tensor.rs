//! rope_f32 that is wrong where all elements of the first input, of more than 64, are below 2^-60 and not 0.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RopeF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.a_size > 256 {
            let mut others = 0;
            for at in (0..call.a_size).step_by(4) {
                let exponent = word(call.a + at) >> 23 & 0xff;
                others += u32::from(exponent == 0 || exponent >= 67);
            }
            // Without a block of its own.
            let wrong = u32::from(others == 0);
            set_word(call.output, word(call.output) ^ wrong << 31);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
