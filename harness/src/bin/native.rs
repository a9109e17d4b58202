//! Worker for `native.cpu`: the kernels compiled for this very processor, which cannot share a build with the baseline.

use std::process::ExitCode;

fn main() -> ExitCode {
    assay::cmd::worker::main("native.cpu")
}
