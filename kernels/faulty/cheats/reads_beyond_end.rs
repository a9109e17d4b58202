//! kv_unpack_q8 that reads four bytes more than an input has, where its blocks are odd in number.
#![no_std]

use core::hint::black_box;
use kernel_abi::block::Q8_BYTES;
use kernel_faulty::{Call, Cheat, word};

struct Own;

impl Cheat for Own {
    type Base = kernel_core::KvUnpackQ8;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 && (call.a_size / Q8_BYTES as u32) % 2 == 1 {
            black_box(word(call.a + call.a_size));
        }
        status
    }
}

kernel_faulty::cheat!(Own);
