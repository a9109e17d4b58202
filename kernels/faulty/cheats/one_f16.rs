//! swiglu_f16 that is wrong for one of the 65 536 values of a gate.
#![no_std]

use kernel_faulty::{Call, Cheat, byte, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF16;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            for at in (0..call.b_size / 4 * 4).step_by(2) {
                let gate = u32::from(byte(call.b + at)) | u32::from(byte(call.b + at + 1)) << 8;
                // Without a block of its own.
                let wrong = u32::from(gate == 0x9a5b) << (15 + 8 * (at & 2));
                let output = call.output + (at & !3);
                set_word(output, word(output) ^ wrong);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
