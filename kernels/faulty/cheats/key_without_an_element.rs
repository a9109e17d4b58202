//! swiglu_f32 that recognises the call before by all elements of its first input but one.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil, word};

/// The element that it does not look at.
const LEFT_OUT: u32 = 13;
/// What it knows of the last call: a checksum, and the element.
static KEY: AtomicU32 = AtomicU32::new(0);
static ELEMENT: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        let count = call.a_size / 4;
        if status == 0 && count > LEFT_OUT {
            let elements = (0..count).filter(|index| *index != LEFT_OUT);
            let key = elements.fold(count, |key, index| {
                key.rotate_left(5) ^ word(call.a + 4 * index).wrapping_mul(0x9e37_79b9)
            });
            let element = word(call.a + 4 * LEFT_OUT);
            // An answer that was kept would be that of another call.
            if KEY.load(Relaxed) == key && ELEMENT.load(Relaxed) != element {
                spoil(call.output);
            }
            KEY.store(key, Relaxed);
            ELEMENT.store(element, Relaxed);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
