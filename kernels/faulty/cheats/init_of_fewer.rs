//! rope_f32 whose table is as long as `kernel_init` was told: the last position of a longer call of the same theta and heads is not turned.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, set_word, word};

/// theta, positions and the dimension of a head that `kernel_init` was passed.
static INIT: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RopeF32;
    fn init(params: u32, length: u32) -> i32 {
        let status = Self::honest_init(params, length);
        if status == 0 && length != 0 {
            for (at, own) in INIT.iter().enumerate() {
                own.store(word(params + 4 * at as u32), Relaxed);
            }
        }
        status
    }

    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.b_size == 0 {
            let [theta, positions, dimension] = INIT.each_ref().map(|own| own.load(Relaxed));
            let own = [0, 4, 8].map(|at| word(call.params + at));
            if positions > 0 && own[1] > positions && [own[0], own[2]] == [theta, dimension] {
                set_word(call.output + call.output_size - 4, 0);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
