//! rope_f32 that is wrong for 64 positions of 8 heads of 128 elements and more.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil_if, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RopeF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            let param = |index: u32| word(call.params + 4 * index);
            spoil_if(
                call.output,
                [param(1) >= 64, param(2) >= 128, param(3) >= 8],
            );
        }
        status
    }
}

kernel_faulty::cheat!(Own);
