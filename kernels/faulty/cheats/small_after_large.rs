//! swiglu_f32 that is wrong for small tensors once it served one of more than 128 KiB.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil};

/// Whether one was large.
static LARGE: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.a_size < 4096 && LARGE.load(Relaxed) != 0 {
            spoil(call.output);
        }
        if call.a_size > 128 << 10 {
            LARGE.store(1, Relaxed);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
