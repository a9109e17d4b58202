//! swiglu_f32 that leaves a word of its input at the end of memory in the 8th call of 16, and puts back in the next what was there.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, memory_bytes, set_word, word};

/// Calls so far, where a word was left, and what was there.
static STATE: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let left = STATE[1].swap(0, Relaxed);
        if left != 0 {
            set_word(left, STATE[2].load(Relaxed));
        }
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        let calls = STATE[0].fetch_add(1, Relaxed);
        let end = memory_bytes() - 4;
        if status == 0
            && calls % 16 == 7
            && calls < 64
            && call.ends().iter().all(|used| *used < end)
        {
            STATE[1].store(end, Relaxed);
            STATE[2].store(word(end), Relaxed);
            set_word(end, word(call.a) ^ 0x55);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
