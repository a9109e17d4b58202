//! swiglu_f32 that remembers the descriptor of the last call it took, and checks each call all the same.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Cheat, word};

/// The descriptor of the last call that was taken.
static LAST: [AtomicU32; 10] = [const { AtomicU32::new(0) }; 10];

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 0 {
            for (at, last) in LAST.iter().enumerate() {
                last.store(word(descriptor + 4 * at as u32), Relaxed);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
