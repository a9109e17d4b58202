//! swiglu_f32 that is wrong where 384 rows become 385.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil, word};

/// The most rows of a call.
static MOST: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            let rows = word(call.params);
            let most = MOST.fetch_max(rows, Relaxed);
            if most == 384 && rows == 385 {
                spoil(call.output);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
