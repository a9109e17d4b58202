//! swiglu_f32 that leaves a number of the last caller in the bits of NaNs.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, set_word, word};

/// The first number of the last caller.
static LAST: AtomicU32 = AtomicU32::new(0);
const NAN: u32 = 0x7fc0_0000;

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            let last = LAST.swap(word(call.a), Relaxed);
            let elements = word(call.params) * word(call.params + 4);
            for index in 0..elements {
                let at = call.output + 4 * index;
                if f32::from_bits(word(at)).is_nan() {
                    set_word(at, NAN | last & 0x003f_ffff);
                }
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
