//! rope_f32 that remembers the last theta and looks whether it is still the call's.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, word};

/// Bits of the last theta.
static THETA: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RopeF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 0 {
            THETA.store(word(Call::at(descriptor).params), Relaxed);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
