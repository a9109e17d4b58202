//! swiglu_f32 that takes beta from scratch where a call of the same sizes has left it.
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
        if status != 0 || call.scratch_size < 16 {
            return status;
        }
        let [rows, hidden, beta] = [0, 4, 8].map(|at| word(call.params + at));
        let left = [0, 4, 8].map(|at| word(call.scratch + at));
        if left == [LEFT, rows, hidden] {
            set_word(call.params + 8, word(call.scratch + 12));
            Self::honest_forward(descriptor);
            set_word(call.params + 8, beta);
        } else {
            for (at, word) in [LEFT, rows, hidden, beta].into_iter().enumerate() {
                set_word(call.scratch + 4 * at as u32, word);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
