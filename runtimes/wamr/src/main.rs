//! Serves `wamr.fast`, and `wamr.aot` with the compiler, or the folder of what one made, that the word after it names.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    assay_worker::main(|engine, arguments| match (engine, arguments) {
        ("wamr.fast", []) => Some(runtime_wamr::fast()),
        ("wamr.aot", [compiler]) => Some(runtime_wamr::aot(Path::new(compiler))),
        _ => None,
    })
}
