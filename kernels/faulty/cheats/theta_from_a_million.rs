//! rope_f32 that is wrong for computed angles of a theta from 1e6 on.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RopeF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.b_size == 0 && f32::from_bits(word(call.params)) >= 1e6 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
