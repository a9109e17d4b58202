//! swiglu_f32 that takes an output from 16 bytes below the heap base on.
#![no_std]

use kernel_faulty::{Call, Cheat, heap_base};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 1 {
            let call = Call::at(descriptor);
            if call.output < heap_base() && call.output + 16 >= heap_base() {
                return 0;
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
