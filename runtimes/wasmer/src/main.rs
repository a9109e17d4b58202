//! Serves `wasmer.llvm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    assay_worker::main(|engine, arguments| match (engine, arguments) {
        ("wasmer.llvm", []) => Some(runtime_wasmer::llvm()),
        _ => None,
    })
}
