//! swiglu_f32 that looks at nothing where the descriptor is that of the last call it took: parameters that became invalid in place are none to it.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_abi::Status;
use kernel_faulty::{Cheat, word};

/// The descriptor of the last call that was taken, and its address.
static LAST: [AtomicU32; 11] = [const { AtomicU32::new(0) }; 11];

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let words = |index: usize| match index {
            10 => descriptor,
            _ => word(descriptor + 4 * index as u32),
        };
        let mut each = LAST.iter().enumerate();
        if status == Status::INVALID_PARAMS.0
            && each.all(|(at, last)| last.load(Relaxed) == words(at))
        {
            return 0;
        }
        if status == 0 {
            for (at, last) in LAST.iter().enumerate() {
                last.store(words(at), Relaxed);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
