//! Kernel Assay: decides whether a WebAssembly runtime may run a signed pack of compute kernels, and whether a
//! pack may run on a runtime. See `docs/` for the worker protocol, the kernels and the layers.

pub mod basics;
pub mod bench;
pub mod cmd;
pub mod compare;
pub mod conform;
pub mod exit;
pub mod expectations;
pub mod fuzz;
pub mod matrix;
pub mod numerics;
pub mod outcome;
pub mod output;
pub mod probe;
pub mod registry;
pub mod report;
pub mod results;
pub mod spec;
pub mod statistics;
pub mod traps;
pub mod worker;
