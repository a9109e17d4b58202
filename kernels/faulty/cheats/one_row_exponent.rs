//! rmsnorm_f32 that is wrong where all elements of a row are from 2^41 to below 2^42, in rows of more than 8.
#![no_std]

use kernel_faulty::{Call, Cheat, set_word, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && call.b_size > 32 {
            for row in (0..call.a_size).step_by(call.b_size as usize) {
                let mut others = 0;
                for at in (row..row + call.b_size).step_by(4) {
                    others += u32::from(word(call.a + at) >> 23 & 0xff != 168);
                }
                // Without a block of its own.
                let wrong = u32::from(others == 0);
                let output = call.output + row;
                set_word(output, word(output) ^ wrong << 31);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
