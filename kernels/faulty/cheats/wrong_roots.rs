//! rmsnorm_f32 that leaves roots in scratch that are 1 % too large.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            let rows = word(call.params + 8);
            for row in 0..rows.min(call.scratch_size / 4) {
                let at = call.scratch + 4 * row;
                set_word(at, (f32::from_bits(word(at)) * 1.01).to_bits());
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
