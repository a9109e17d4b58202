//! swiglu_f32 that is wrong for 1009 rows.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && word(call.params) == 1009 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
