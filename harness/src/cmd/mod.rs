//! One subcommand, one file: parse, load, compute, print.

pub mod adapter_check;
pub mod aot;
pub mod bench;
pub mod compare;
pub mod conform;
pub mod contract;
pub mod engines;
pub mod exits;
pub mod fuzz;
pub mod inspect;
pub mod list;
pub mod mutate;
pub mod pack;
pub mod pack_new;
pub mod probe;
pub mod qualify;
pub mod report;
pub mod spec;
pub mod time;
pub mod traps;
pub mod trust;
pub mod try_module;
pub mod verify;
pub mod verify_report;
pub mod worker;
