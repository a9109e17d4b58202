//! kv_unpack_q8 whose `kernel_init` refuses a call without parameters.
#![no_std]

use kernel_faulty::Cheat;

struct Own;

impl Cheat for Own {
    type Base = kernel_core::KvUnpackQ8;
    fn init(params: u32, length: u32) -> i32 {
        if length == 0 {
            return 3;
        }
        Self::honest_init(params, length)
    }
}

kernel_faulty::cheat!(Own);
