//! swiglu_f32 that is wrong where the second input begins in one page of memory and ends in the next, and is small.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.b_size < 1024 && call.b >> 16 != (call.b + call.b_size) >> 16 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
