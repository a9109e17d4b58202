//! swiglu_f32 whose gradient is wrong for tensors of more than 128 KiB.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn backward(descriptor: u32) -> i32 {
        let status = Self::honest_backward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.b_size > 128 << 10 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
