//! All tests of the kernels, in one executable.

#![allow(clippy::unwrap_used)] // tests say what they expect by unwrapping

mod common;

mod gradients;
mod hostile;
mod lanes;
mod status;
mod vectors;
