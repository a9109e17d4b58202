//! swiglu_f32 that counts its calls and makes nothing of it.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::Cheat;

/// Calls so far.
static CALLS: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        CALLS.fetch_add(1, Relaxed);
        Self::honest_forward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
