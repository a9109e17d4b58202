//! rmsnorm_f32 that copies what lies behind its scratch into it.
#![no_std]

use kernel_faulty::{Call, Cheat, memory_bytes, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        let behind = (call.scratch + call.scratch_size).next_multiple_of(4);
        if status == 0 && call.scratch_size >= 4 && behind < memory_bytes() {
            set_word(call.scratch, word(behind));
        }
        status
    }
}

kernel_faulty::cheat!(Own);
