//! swiglu_f32 that is wrong once a gradient was asked for.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil};

/// Whether it happened.
static SEEN: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 0 && SEEN.load(Relaxed) == 1 {
            spoil(Call::at(descriptor).output);
        }
        status
    }

    fn backward(descriptor: u32) -> i32 {
        SEEN.store(1, Relaxed);
        Self::honest_backward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
