//! All tests of the oracles, in one executable.

#![allow(clippy::unwrap_used)] // tests say what they expect by unwrapping

mod properties;
mod vectors;
