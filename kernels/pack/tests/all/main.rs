//! All tests of packs, in one executable.

#![allow(missing_docs, clippy::unwrap_used)] // tests say what they expect by unwrapping

#[path = "../support/mod.rs"]
mod support;

mod broken_packs;
mod core_pack;
mod modules;
mod properties;
mod runtime_files;
mod signature_vectors;
