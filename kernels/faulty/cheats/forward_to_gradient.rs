//! swiglu_f32 whose gradient takes the first x from scratch where a forward call of the same sizes has left it.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

/// Stands before what was left.
const LEFT: u32 = 0x6c65_6674;

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.scratch_size >= 16 {
            let [rows, hidden] = [0, 4].map(|at| word(call.params + at));
            let left = [LEFT, rows, hidden, word(call.a)];
            for (at, word) in left.into_iter().enumerate() {
                set_word(call.scratch + 4 * at as u32, word);
            }
        }
        status
    }

    fn backward(descriptor: u32) -> i32 {
        let status = Self::honest_backward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.scratch_size >= 16 {
            let [rows, hidden] = [0, 4].map(|at| word(call.params + at));
            if [0, 4, 8].map(|at| word(call.scratch + at)) == [LEFT, rows, hidden] {
                let first = call.a + call.a_size / 2;
                let own = word(first);
                set_word(first, word(call.scratch + 12));
                Self::honest_backward(descriptor);
                set_word(first, own);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
