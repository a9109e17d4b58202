//! `assay worker ENGINE`: serves an engine over stdin and stdout; started by the harness itself.

use crate::{bench::native, exit, exit::Exit, registry, worker};
use anyhow::Result;
use std::{io, process::ExitCode};

/// Serve an engine over stdin and stdout (started by the harness itself; docs/worker-protocol.md describes the wire).
#[derive(clap::Args)]
pub struct Arguments {
    /// Engine id.
    engine: String,
}

/// Serves until stdin ends.
///
/// # Errors
/// If the engine is absent or the conversation breaks.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    serve(&arguments.engine)?;
    Ok(Exit::Passed)
}

/// The main function of a worker executable that serves one engine.
pub fn main(engine: &str) -> ExitCode {
    match serve(engine) {
        Ok(()) => Exit::Passed.into(),
        Err(error) => {
            exit::complain(&format!("{engine}: {error:#}"));
            exit::of(&error).into()
        }
    }
}

fn serve(engine: &str) -> Result<()> {
    let runtime = match engine {
        native::BASELINE | native::TUNED => native::runtime(engine)?,
        _ => registry::open(engine)?,
    };
    worker::serve(runtime.as_ref(), io::stdin().lock(), io::stdout().lock())?;
    Ok(())
}
