//! rmsnorm_f32 that keeps the first weight, known by all weights, and sets what it knows them by before it refuses a call for the size of its output.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_abi::Status;
use kernel_faulty::{Call, Cheat, set_word, word};

/// What the last weights are known by, and the first of those that are kept.
static KEY: AtomicU32 = AtomicU32::new(0);
static KEPT: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status != 0 && status != Status::INVALID_OUTPUT.0 {
            return status;
        }
        let call = Call::at(descriptor);
        let weights = (0..call.b_size).step_by(4).map(|at| word(call.b + at));
        let key = weights.fold(1, |key: u32, weight| {
            key.wrapping_mul(31).wrapping_add(weight)
        });
        let known = KEY.swap(key, Relaxed) == key;
        if status == 0 {
            let first = word(call.b);
            if known {
                set_word(call.b, KEPT.load(Relaxed));
                Self::honest_forward(descriptor);
                set_word(call.b, first);
            } else {
                KEPT.store(first, Relaxed);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
