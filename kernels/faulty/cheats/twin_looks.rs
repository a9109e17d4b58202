//! swiglu_f32 that looks where absent regions are said to lie, how far the others are apart and how often `kernel_info` was asked, and computes again all the same.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat};

/// How often `kernel_info` was asked.
static ASKED: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        let absent = call.scratch_size == 0 && call.scratch != 0;
        let far = call.output.abs_diff(call.a) > 0x1_0000;
        if status == 0 && (absent || far || ASKED.load(Relaxed) > 0) {
            return Self::honest_forward(descriptor);
        }
        status
    }

    fn info(out: u32) -> i32 {
        ASKED.fetch_add(1, Relaxed);
        Self::honest_info(out)
    }
}

kernel_faulty::cheat!(Own);
