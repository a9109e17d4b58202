//! swiglu_f32 that is wrong where the second input is as far from the first as the output from it, and the descriptor lies behind them.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0
            && call.b.wrapping_sub(call.a) == call.output.wrapping_sub(call.b)
            && descriptor > call.b
        {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
