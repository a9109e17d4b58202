//! swiglu_f32 that is wrong where `kernel_init` had no parameters.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil};

/// Whether `kernel_init` had no parameters.
static EMPTY: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn init(params: u32, length: u32) -> i32 {
        EMPTY.store(u32::from(length == 0), Relaxed);
        Self::honest_init(params, length)
    }

    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 0 && EMPTY.load(Relaxed) == 1 {
            spoil(Call::at(descriptor).output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
