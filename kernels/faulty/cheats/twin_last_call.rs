//! swiglu_f32 that looks whether the call is the last one, and computes again all the same.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, word};

/// Where the output of the last call lay, and how its first input began.
static LAST: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 0 {
            let call = Call::at(descriptor);
            let again = LAST[0].swap(call.output, Relaxed) == call.output
                && LAST[1].swap(word(call.a), Relaxed) == word(call.a);
            if again {
                return Self::honest_forward(descriptor);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
