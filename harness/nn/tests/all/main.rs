//! Integration tests: a file each.

#![cfg(not(target_family = "wasm"))] // the crate is empty there
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

mod cli;
mod conformance;
mod guests;
mod needs_onnxruntime;
