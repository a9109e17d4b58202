//! rope_f32 that keeps the theta of the first call.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, set_word, word};

/// Bits of the first theta.
static THETA: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RopeF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status != 0 {
            return status;
        }
        let params = Call::at(descriptor).params;
        let own = word(params);
        let _ = THETA.compare_exchange(0, own, Relaxed, Relaxed);
        set_word(params, THETA.load(Relaxed));
        Self::honest_forward(descriptor);
        set_word(params, own);
        status
    }
}

kernel_faulty::cheat!(Own);
