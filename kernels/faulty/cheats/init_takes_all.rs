//! swiglu_f32 whose `kernel_init` takes any parameters.
#![no_std]

use kernel_faulty::Cheat;

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn init(_params: u32, _length: u32) -> i32 {
        0
    }
}

kernel_faulty::cheat!(Own);
