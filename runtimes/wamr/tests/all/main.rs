//! All tests of this adapter, in one executable, but for those that look at the memory of their process.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

#[path = "../common/mod.rs"]
mod common;

mod elsewhere;
mod engines;
mod executable;
mod simd;
mod suite;
