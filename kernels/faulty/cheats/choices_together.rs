//! rope_f32 that is wrong where all of these meet: 8 positions, 2 heads, a batch of 2, layout 1, tables.
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
            let meet = [
                param(1) >= 8,
                param(3) >= 2,
                param(4) >= 2,
                call.params_size > 20 && param(5) == 1,
                call.params_size > 24 && param(6) == 1,
            ];
            spoil_if(call.output, meet);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
