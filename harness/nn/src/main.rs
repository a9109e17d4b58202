//! `assay-nn`: guests of WASI-NN. `assay nn` starts it; it is a program of its own because of what ONNX brings along.
//!
//! Engines run in this process, not in workers: their guests call backends, and the worker protocol has no such calls.

#[cfg(not(target_family = "wasm"))]
mod check;
#[cfg(not(target_family = "wasm"))]
mod cost;
#[cfg(not(target_family = "wasm"))]
mod guest;
#[cfg(not(target_family = "wasm"))]
mod offer;
#[cfg(not(target_family = "wasm"))]
mod program;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    program::main()
}

/// WebAssembly starts no programs beside `assay`.
#[cfg(target_family = "wasm")]
fn main() {}
