//! rmsnorm_f32 whose `kernel_info` takes an address that is no multiple of 4.
#![no_std]

use kernel_faulty::Cheat;

struct Own;

impl Cheat for Own {
    type Base = kernel_core::RmsNormF32;
    fn info(out: u32) -> i32 {
        let status = Self::honest_info(out);
        if status == 2 && !out.is_multiple_of(4) && out.is_multiple_of(2) {
            0
        } else {
            status
        }
    }
}

kernel_faulty::cheat!(Own);
