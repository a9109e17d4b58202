//! What the sandbox costs per token: samples from several processes, and what follows from them.

pub mod page;
pub mod picture;
pub mod sample;
pub mod summary;
