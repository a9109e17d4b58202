//! swiglu_f32 that keeps 300 different values of beta, and is wrong for those that come after them.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use kernel_faulty::{Call, Cheat, spoil, word};

const ROOM: usize = 300;
/// Bits of what was kept, and how many.
static KEPT: [AtomicU32; ROOM] = [const { AtomicU32::new(0) }; ROOM];
static COUNT: AtomicU32 = AtomicU32::new(0);

struct Own;

impl Cheat for Own {
    type Base = kernel_core::SwigluF32;
    fn forward(descriptor: u32) -> i32 {
        let status = Self::honest_forward(descriptor);
        let call = Call::at(descriptor);
        if status == 0 {
            let beta = word(call.params + 8);
            let count = COUNT.load(Relaxed);
            let is_kept = KEPT
                .iter()
                .take(count as usize)
                .any(|kept| kept.load(Relaxed) == beta);
            match KEPT.get(count as usize) {
                _ if is_kept => {}
                Some(free) => {
                    free.store(beta, Relaxed);
                    COUNT.store(count + 1, Relaxed);
                }
                None => spoil(call.output),
            }
        }
        status
    }
}

kernel_faulty::cheat!(Own);
