//! swiglu_f32 that writes into memory far from its regions from the third call of an instance on.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Cheat, memory_bytes, spoil};

/// Calls so far.
static CALLS: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if CALLS.fetch_add(1, Relaxed) >= 2 {
            spoil(memory_bytes() - 8);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
