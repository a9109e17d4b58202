//! swiglu_f32 whose `kernel_info` writes 24 bytes.
#![no_std]

use kernel_faulty::{Cheat, memory_bytes, set_word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn info(out: u32) -> i32 {
        let status = Self::honest_info(out);
        if status == 0 && out + 24 <= memory_bytes() {
            set_word(out + 20, 0);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
