//! swiglu_f32 whose `kernel_info` states another version once the kernel ran.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Cheat, spoil};

/// Whether it did.
static RAN: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        RAN.store(1, Relaxed);
        Self::honest_forward(descriptor)
    }

    fn info(out: u32) -> i32 {
        let status = Self::honest_info(out);
        if status == 0 && RAN.load(Relaxed) == 1 {
            // The patch of its version.
            spoil(out + 14);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
