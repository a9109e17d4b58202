//! lora_apply_f32 that is wrong for ranks over 100.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::LoraApplyF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && word(call.params + 8) > 100 {
            spoil(call.output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
