//! All tests of this adapter, in one executable.

mod liars;
mod suite;
