//! swiglu_f32 whose first output byte is wrong from the 1000th call of an instance on.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil};

/// Calls so far.
static CALLS: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let calls = CALLS.fetch_add(1, Relaxed);
        let call = Call::at(descriptor);
        if status == 0 && calls >= 999 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
