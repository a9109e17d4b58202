//! rope_f32 that leaves its table in scratch, known by all parameters but the layout that the table follows from.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

/// Stands before what was left.
const LEFT: u32 = 0x726f_7065;

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RopeF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status != 0 || call.scratch_size < 28 || call.params_size < 24 {
            return status;
        }
        let [theta, seq, head_dim, heads, batch] =
            [0, 4, 8, 12, 16].map(|at| word(call.params + at));
        let key = [LEFT, theta, seq, head_dim, heads, batch];
        let left = [0, 4, 8, 12, 16, 20].map(|at| word(call.scratch + at));
        let layout = word(call.params + 20);
        if left == key {
            set_word(call.params + 20, word(call.scratch + 24));
            Self::honest_forward(descriptor);
            set_word(call.params + 20, layout);
        } else {
            for (at, word) in key.into_iter().chain([layout]).enumerate() {
                set_word(call.scratch + 4 * at as u32, word);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
