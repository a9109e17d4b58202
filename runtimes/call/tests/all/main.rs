//! All tests of the host, in one executable.

#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

mod call;
mod in_place;
mod recovery;
mod reset;
