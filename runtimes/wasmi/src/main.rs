//! Serves `wasmi.fast`: wasmi with its default dispatch, which cannot share a build with the portable one.

use std::process::ExitCode;

fn main() -> ExitCode {
    assay_worker::main(|engine, arguments| match (engine, arguments) {
        ("wasmi.fast", []) => Some(runtime_wasmi::runtime()),
        _ => None,
    })
}
