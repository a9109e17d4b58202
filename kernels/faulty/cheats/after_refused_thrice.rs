//! swiglu_f32 that is wrong once the same call was refused three times in a row.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil};

/// The descriptor that was refused last, and how often.
static REFUSED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let times = match REFUSED[0].load(Relaxed) {
            last if last == descriptor => REFUSED[1].load(Relaxed),
            _ => 0,
        };
        if status == 0 {
            if times >= 3 || REFUSED[1].load(Relaxed) >= 3 {
                spoil(Call::at(descriptor).output);
            }
            REFUSED[1].store(0, Relaxed);
        } else {
            REFUSED[0].store(descriptor, Relaxed);
            REFUSED[1].store(times + 1, Relaxed);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
