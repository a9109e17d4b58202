//! Integration tests: a file each.

#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

mod every_target;
mod needs_onnx;
