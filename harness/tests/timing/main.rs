//! Tests that hold times to bounds of a second or less, or ask much of the machine: one at a time, and beside no other executable.

#![cfg(not(target_family = "wasm"))] // starts processes, which WebAssembly has not
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

#[path = "../support/mod.rs"]
mod support;

mod bench_tricks;
mod containment;
mod deadlines;
mod operations;
mod worker;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Each test of this executable holds it, so that no other runs meanwhile.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed has said so itself.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
