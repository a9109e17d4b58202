//! swiglu_f32 that takes an output of zeros for one that it has to add to, and adds twice.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil_if, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        let end = u64::from(call.output) + u64::from(call.output_size);
        let within = end <= u64::from(kernel_faulty::memory_bytes()) && call.output % 4 == 0;
        let words = if within { call.output_size / 4 } else { 0 };
        let any = (0..words).fold(0, |any, at| any | word(call.output + 4 * at));
        let status = Self::honest_forward(descriptor);
        if status == 0 {
            spoil_if(call.output, [any == 0]);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
