//! All tests of the harness that do not depend on how fast the machine is: one executable, because each one that links the engines
//! costs half a minute and 165 MB. Those that do are in `timing`.

#![cfg(not(target_family = "wasm"))] // starts processes, which WebAssembly has not
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

#[path = "../support/mod.rs"]
mod support;

mod adapters;
mod aot_cli;
mod bench_cli;
mod cheats;
mod compare_cli;
mod compare_packs;
mod conform_cli;
mod coverage_cli;
mod denial_cli;
mod engines_cli;
mod faulty_kernels;
mod foreign_adapters;
mod foreign_cli;
mod forms_cli;
mod fuzz_cli;
mod gaps;
mod host_check_cli;
mod hostile_cli;
mod inspect_cli;
mod lying_adapters;
mod mutate_cli;
mod nn_cli;
mod no_parameters;
mod numerics;
mod pack_cli;
mod pack_new_cli;
mod profile_cli;
mod report_cli;
mod results_cli;
mod shrink_cli;
mod spec_cli;
mod targets;
mod traps_cli;
mod trust_cli;
mod verify_cli;
mod verify_report_cli;
