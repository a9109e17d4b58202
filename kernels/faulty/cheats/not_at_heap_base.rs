//! kv_unpack_q8 that refuses a first input which begins at the heap base.
#![no_std]

use kernel_faulty::{Call, Cheat, heap_base};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::KvUnpackQ8;
    fn forward(descriptor: u32) -> i32 {
        let call = Call::at(descriptor);
        if call.a == heap_base().next_multiple_of(16) {
            return 1;
        }
        Self::honest_forward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
