//! swiglu_f32 that is wrong for a beta between 0.25 and 0.5 that is neither.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil_if, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            let param = |index: u32| word(call.params + 4 * index);
            let beta = param(2);
            spoil_if(call.output, [beta >> 23 & 0xff == 0x7d, beta << 9 != 0]);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
