//! swiglu_f32 that is right only where memory ends in a known byte.
#![no_std]

use kernel_faulty::{Call, Cheat, byte, memory_bytes, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        let odd = byte(memory_bytes() - 1) != 0xD5;
        let status = Self::honest_forward(descriptor);
        if status == 0 && odd {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
