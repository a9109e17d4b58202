//! rmsnorm_f32 that leaves the address of its output in scratch beyond the roots.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 0 {
            let call = Call::at(descriptor);
            let roots = u64::from(word(call.params + 8)) * 4;
            if roots + 4 <= u64::from(call.scratch_size) {
                set_word(call.scratch + roots as u32, call.output);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
