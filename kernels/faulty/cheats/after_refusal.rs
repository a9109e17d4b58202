//! kv_unpack_q8 that is wrong once it refused a call.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil};

/// Whether it happened.
static SEEN: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::KvUnpackQ8;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        if status != 0 {
            SEEN.store(1, Relaxed);
        } else if SEEN.load(Relaxed) == 1 {
            spoil(Call::at(descriptor).output);
        }
        status
    }
}

kernel_faulty::cheat!(Own);
