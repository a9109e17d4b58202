//! swiglu_f32 that grows memory by a page in each call.
#![no_std]

use kernel_faulty::Cheat;

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        core::arch::wasm32::memory_grow(0, 1);
        Self::honest_forward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
