//! swiglu_f32 whose name is another one in a memory that has grown.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Cheat, memory_bytes, set_word, word};

/// Bytes of memory when it was initialised.
static SIZE: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn init(params: u32, length: u32) -> i32 {
        SIZE.store(memory_bytes(), Relaxed);
        Self::honest_init(params, length)
    }

    fn info(out: u32) -> i32 {
        let status = Self::honest_info(out);
        let size = SIZE.load(Relaxed);
        if status == 0 && size != 0 && memory_bytes() > size {
            set_word(word(out), u32::from_le_bytes(*b"SWIG"));
        }
        status
    }
}

kernel_faulty::cheat!(Own);
