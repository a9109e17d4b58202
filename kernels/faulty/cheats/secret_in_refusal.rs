//! swiglu_f32 that leaves the first number of the last caller in the scratch of a call that it refuses.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, set_word, word};

/// The first number of the last caller.
static LAST: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            LAST.store(word(call.a), Relaxed);
        } else if status == 2 && call.scratch_size >= 4 {
            set_word(call.scratch, LAST.load(Relaxed));
        }
        status
    }
}

kernel_faulty::cheat!(Own);
