//! Worker for `native.cpu`: the kernels compiled for this very processor, which cannot share a build with the baseline.

use assay::bench::native;
use std::process::ExitCode;

fn main() -> ExitCode {
    assay_worker::main(|engine, arguments| match (engine, arguments) {
        (native::TUNED, []) => Some(native::runtime(native::TUNED)),
        _ => None,
    })
}
