//! swiglu_f32 that gives 0 for a NaN with a payload in the last of four lanes, but for the first four.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            for at in (28..call.a_size).step_by(16) {
                let bits = word(call.a + at);
                if bits & 0x7f80_0000 == 0x7f80_0000 && bits & 0x003f_ffff != 0 && bits >> 31 == 0 {
                    set_word(call.output + at, 0);
                }
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
