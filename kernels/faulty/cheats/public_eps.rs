//! rmsnorm_f32 that is right only for the eps of the cases that everybody knows.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn forward(descriptor: u32) -> i32 {
        const PUBLIC: [f32; 8] = [1e-5, 1e-6, 1e-3, 0.1, 1.0, 1e-12, 0.0, f32::MAX];
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            let eps = f32::from_bits(word(call.params));
            if !PUBLIC.contains(&eps) && eps > f32::MIN_POSITIVE {
                spoil(call.output);
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
