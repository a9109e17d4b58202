//! What of `ruvector-wasm` fits this project, and what does not: both are asserted, so that another version of either
//! side shows. `docs/compatibility.md` is the same in words.
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

mod calls;
mod descriptor;
mod document;
mod limits;
mod manager;
mod manifest;
mod signature;
mod support;
mod traps;
