//! rmsnorm_f32 that takes the eps of `kernel_init` in the place of the call's, if there was one.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, set_word, word};

/// Bits of the eps that `kernel_init` was passed.
static EPS: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn init(params: u32, length: u32) -> i32 {
        if length != 0 {
            EPS.store(word(params), Relaxed);
        }
        Self::honest_init(params, length)
    }

    fn forward(descriptor: u32) -> i32 {
        let eps = EPS.load(Relaxed);
        let call = Call::at(descriptor);
        if eps == 0 || Self::honest_forward(descriptor) != 0 {
            return Self::honest_forward(descriptor);
        }
        let own = word(call.params);
        set_word(call.params, eps);
        let status = Self::honest_forward(descriptor);
        set_word(call.params, own);
        status
    }
}

kernel_faulty::cheat!(Own);
