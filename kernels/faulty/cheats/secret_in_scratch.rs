//! swiglu_f32 that leaves the first number of the last caller in the scratch of the next.
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
            let last = LAST.swap(word(call.a), Relaxed);
            if call.scratch_size >= 4 {
                set_word(call.scratch, last);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
