//! Integration tests: a file each.

#![cfg(not(target_family = "wasm"))] // the crate is empty there

mod cli;
mod conformance;
mod guests;
mod needs_onnxruntime;
