//! swiglu_f32 whose first output byte is wrong from the 1000th call of an instance on that has 64 elements or more.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil, word};

/// Such calls so far.
static CALLS: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && word(call.params) * word(call.params + 4) >= 64 {
            let calls = CALLS.fetch_add(1, Relaxed);
            if calls >= 999 {
                spoil(call.output);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
