//! swiglu_f32 that leaves beta at the end of scratch, and says at its begin that it did: with more scratch the end is another.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

/// Stands before what was left.
const LEFT: u32 = 0x6265_7461;

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status != 0 || call.scratch_size < 16 || call.scratch_size % 4 != 0 {
            return status;
        }
        let beta = word(call.params + 8);
        let end = call.scratch + call.scratch_size - 4;
        if [0, 4].map(|at| word(call.scratch + at)) == [LEFT, beta] {
            set_word(call.params + 8, word(end));
            Self::honest_forward(descriptor);
            set_word(call.params + 8, beta);
        } else {
            set_word(call.scratch, LEFT);
            set_word(call.scratch + 4, beta);
            set_word(end, beta);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
