//! swiglu_f32 whose gradient takes an output over the end of an input.
#![no_std]

use kernel_faulty::{Call, Cheat};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn backward(descriptor: u32) -> i32 {
        let status = Self::honest_backward(descriptor);
        if status == 1 {
            let call = Call::at(descriptor);
            if call.output > call.a && call.output < call.a + call.a_size {
                return 0;
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
