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
// A host serves from threads, which WebAssembly has not.
#[cfg(not(target_family = "wasm"))]
pub mod host_check;
pub mod inspect;
pub mod list;
pub mod mutate;
// WebAssembly starts no programs.
#[cfg(not(target_family = "wasm"))]
pub mod nn;
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
