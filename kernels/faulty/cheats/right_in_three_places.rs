//! swiglu_f32 that does nothing where three elements of the output are right already.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, memory_bytes, set_word, word};

/// Elements of the outputs that it looks at, at most.
const ROOM: usize = 1024;
static BEFORE: [AtomicU32; ROOM] = [const { AtomicU32::new(0) }; ROOM];

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        let elements = word(call.params).wrapping_mul(word(call.params + 4)) as usize;
        let end = u64::from(call.output) + 4 * elements as u64;
        if elements == 0 || elements > ROOM || end > u64::from(memory_bytes()) {
            return Self::honest_forward(descriptor);
        }
        let at = |index: usize| call.output + 4 * index as u32;
        for (index, before) in BEFORE[..elements].iter().enumerate() {
            before.store(word(at(index)), Relaxed);
        }
        let status = Self::honest_forward(descriptor);
        let right = |index: usize| BEFORE[index].load(Relaxed) == word(at(index));
        if status == 0 && [0, elements / 2, elements - 1].into_iter().all(right) {
            for (index, before) in BEFORE[..elements].iter().enumerate() {
                set_word(at(index), before.load(Relaxed));
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
