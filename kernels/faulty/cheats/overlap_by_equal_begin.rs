//! swiglu_f32 that finds two regions over each other only where they begin at one address.
#![no_std]

use kernel_faulty::{Call, Cheat};

/// Whether one begins inside the other.
fn overlap(one: (u32, u32), other: (u32, u32)) -> bool {
    let inside = |from: u32, (at, size): (u32, u32)| from.wrapping_sub(at) < size;
    inside(one.0, other) || inside(other.0, one)
}

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status == 1 {
            let call = Call::at(descriptor);
            if call.output != call.b
                && overlap((call.output, call.output_size), (call.b, call.b_size))
            {
                return 0;
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
