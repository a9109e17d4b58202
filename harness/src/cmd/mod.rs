//! One subcommand, one file: parse, load, compute, print.

pub mod pack;
pub mod verify;
