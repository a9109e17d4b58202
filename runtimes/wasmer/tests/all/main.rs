//! All tests of this adapter but for those of deadlines, in one executable.

#![allow(clippy::unwrap_used)] // the lint knows tests by their attribute, and their helpers have none

mod engine;
mod executable;
mod suite;
