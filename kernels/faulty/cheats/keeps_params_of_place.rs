//! swiglu_f32 that keeps beta for as long as the parameters lie at one address.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, set_word, word};

/// Where the parameters of the last call lay, and its beta.
static LAST: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status != 0 {
            return status;
        }
        let beta = Call::at(descriptor).params + 8;
        let own = word(beta);
        if LAST[0].load(Relaxed) == beta && LAST[1].load(Relaxed) != own {
            set_word(beta, LAST[1].load(Relaxed));
            Self::honest_forward(descriptor);
            set_word(beta, own);
        } else {
            LAST[0].store(beta, Relaxed);
            LAST[1].store(own, Relaxed);
        }
        0
    }
}

kernel_faulty::cheat!(Own);
