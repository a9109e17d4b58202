//! lora_apply_f32 that counts by 8 bits how often what it needs fits scratch, and adds nothing where that gives none.
#![no_std]

use kernel_faulty::{Call, Cheat, spoil_if, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::LoraApplyF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            let [rows, rank] = [0, 8].map(|at| word(call.params + at));
            let parts = call.scratch_size / (4 * rows * rank);
            spoil_if(call.output, [parts & 0xff == 0]);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
