//! swiglu_f32 that copies into scratch what earlier calls have left on the stack.
#![no_std]

use kernel_faulty::{Call, Cheat, heap_base, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        // The stack begins at address 0.
        let below = (0..heap_base() / 4).map(|index| word(index * 4));
        let residue = below.fold(0, |all, word| all ^ word);
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.scratch_size >= 4 {
            set_word(call.scratch, residue);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
