//! Kernel Assay: decides whether a WebAssembly runtime may run a signed pack of compute kernels, and whether a
//! pack may run on a runtime. See `docs/` for the worker protocol, the kernels and the layers.

pub mod acceptance;
pub mod basics;
pub mod bench;
mod clock;
pub mod cmd;
pub mod compare;
pub mod conform;
pub mod coverage;
// Reads the sources, which a module built for WebAssembly does not have beside it.
#[cfg(all(test, not(target_family = "wasm")))]
mod cycles;
pub mod document;
pub mod engine;
pub mod exit;
pub mod expectations;
pub mod fuzz;
// A host serves from threads, which WebAssembly has not.
#[cfg(not(target_family = "wasm"))]
pub mod host_check;
pub mod judge;
pub mod machine;
pub mod mutate;
pub mod numerics;
pub mod outcome;
pub mod output;
mod parallel;
pub mod probe;
pub mod records;
pub mod registry;
pub mod repeat;
pub mod report;
pub mod results;
mod rewrite;
// As `cycles`.
#[cfg(all(test, not(target_family = "wasm")))]
mod sizes;
pub mod spec;
pub mod statistics;
pub mod suite;
pub mod time_limits;
pub mod traps;

/// A folder that ends with the test. WASI names no place for such; this workspace's runner offers `/tmp`.
#[cfg(test)]
fn scratch() -> tempfile::TempDir {
    let made = if cfg!(target_os = "wasi") {
        tempfile::tempdir_in("/tmp")
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}
