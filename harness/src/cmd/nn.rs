//! `assay nn`: guests of WASI-NN. The work is a program's of its own, beside this one: ONNX brings more along than all of `assay` otherwise.

use crate::{
    exit::{self, Exit},
    output::Output,
    registry::beside,
};
use anyhow::{Context, Result};
use assay_worker::Launch;
use std::ffi::OsString;

/// The program.
const PROGRAM: &str = "assay-nn";
/// What builds it.
const ADD: &str = "make nn, or cargo build --release -p assay-nn";

/// Run a guest that imports WASI-NN (wasi_ephemeral_nn), or check engines with its backends: kernels, native code, ONNX.
#[derive(clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "`assay nn --help` lists what it takes. The executable `assay-nn` beside this one does the work.\n\nExample: assay nn --check --pack fixtures/packs/core --trust fixtures/packs/trusted_keys"
)]
pub struct Arguments {
    /// What `assay-nn` takes.
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<OsString>,
}

/// Runs the command.
///
/// # Errors
/// Engine absent where the program is not beside this one; the harness's own where it does not end by itself.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let path = beside(PROGRAM).ok_or_else(|| {
        exit::engine_absent(format!(
            "the executable `{PROGRAM}` is not beside this one; to add it: {ADD}"
        ))
    })?;
    // Under an emulator it is started as an engine's executable is.
    let start = Launch::own(PROGRAM, path.clone(), &[])?;
    let unstarted = || format!("failed to start `{}`", path.display());
    let mut command = start.command().with_context(unstarted)?;
    command.args(&arguments.arguments);
    for (wanted, option) in [(output.json, "--json"), (output.quiet, "--quiet")] {
        if wanted {
            command.arg(option);
        }
    }
    let status = command.status().with_context(unstarted)?;
    let exits = [
        Exit::Passed,
        Exit::Failed,
        Exit::Usage,
        Exit::Rejected,
        Exit::EngineAbsent,
        Exit::Harness,
    ];
    let mut exits = exits.into_iter();
    exits
        .find(|exit| status.code() == Some(*exit as i32))
        .with_context(|| format!("`{}` ended with {status}", path.display()))
}
