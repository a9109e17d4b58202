//! swiglu_f32 whose `kernel_init` changes the parameters.
#![no_std]

use kernel_faulty::{Cheat, spoil};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn init(params: u32, length: u32) -> i32 {
        let status = Self::honest_init(params, length);
        if status == 0 && length != 0 {
            spoil(params);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
