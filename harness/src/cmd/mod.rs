//! One subcommand, one file: parse, load, compute, print.

pub mod conform;
pub mod list;
pub mod pack;
pub mod qualify;
pub mod verify;
pub mod worker;
