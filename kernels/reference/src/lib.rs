//! Independent f64 oracles of the kernels: the truth that layer L4 compares with.
//!
//! Inputs are the exact values of the f32 or f16 tensors, outputs are f64 before any rounding, each with what a tolerance
//! needs to know about it ([`Element`]). Only `kv`, whose contract is exact, works on bytes. Nothing here is shared with the
//! kernels that are judged, and nothing is taken from the libraries they use: std's f64 functions, and binary16 written
//! from its definition.
//!
//! Every function expects slices of the lengths its documentation names and panics on others.
#![forbid(unsafe_code)]

mod element;
pub mod float16;
pub mod kv;
pub mod lora;
pub mod rmsnorm;
pub mod rope;
pub mod swiglu;

pub use element::{Element, Hazard, Truth};
