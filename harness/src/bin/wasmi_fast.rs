//! Worker for `wasmi.fast`: wasmi with its default dispatch, which cannot share a build with the portable one.

use std::process::ExitCode;

fn main() -> ExitCode {
    assay::cmd::worker::main("wasmi.fast")
}
