//! Independent f64 oracles of the kernels.
pub mod float16;
