//! swiglu_f32 that remembers the size of memory from the first call on: what the host adds later it refuses.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, memory_bytes};

/// Bytes of memory at the first call.
static SIZE: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let _ = SIZE.compare_exchange(0, memory_bytes(), Relaxed, Relaxed);
        let call = Call::at(descriptor);
        if Self::honest_forward(descriptor) == 0
            && call.ends().iter().any(|end| *end > SIZE.load(Relaxed))
        {
            return 1;
        }
        Self::honest_forward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
