//! kv_unpack_q8 that traps from the third call of an instance on.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::Cheat;

/// Calls so far.
static CALLS: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::KvUnpackQ8;
    fn forward(descriptor: u32) -> i32 {
        if CALLS.fetch_add(1, Relaxed) >= 2 {
            core::arch::wasm32::unreachable();
        }
        Self::honest_forward(descriptor)
    }
}

kernel_faulty::cheat!(Own);
