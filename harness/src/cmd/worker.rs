//! `assay worker ENGINE`: serves an engine over stdin and stdout; started by the harness itself.

use crate::{bench::native, exit, exit::Exit, registry, worker};
use anyhow::Result;
use runtime_api::Runtime;
use runtime_cache::Caching;
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Serve an engine over stdin and stdout (started by the harness itself; docs/worker-protocol.md describes the wire).
#[derive(clap::Args)]
pub struct Arguments {
    /// Engine id.
    engine: String,
    /// Folder of a private cache of compiled code; docs/aot.md says whom it trusts.
    #[arg(long, value_name = "DIR")]
    code_cache: Option<PathBuf>,
}

/// Serves until stdin ends.
///
/// # Errors
/// If the engine is absent or the conversation breaks.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    serve(&arguments.engine, arguments.code_cache.as_deref())?;
    Ok(Exit::Passed)
}

/// The main function of a worker executable that serves one engine.
pub fn main(engine: &str) -> ExitCode {
    match serve(engine, None) {
        Ok(()) => Exit::Passed.into(),
        Err(error) => {
            exit::complain(&format!("{engine}: {error:#}"));
            exit::of(&error).into()
        }
    }
}

fn serve(engine: &str, code_cache: Option<&Path>) -> Result<()> {
    let runtime = open(engine, code_cache)?;
    worker::serve(runtime.as_ref(), io::stdin().lock(), io::stdout().lock())?;
    Ok(())
}

/// Opens what a worker of this executable serves.
///
/// # Errors
/// If the engine is absent.
pub(crate) fn open(engine: &str, code_cache: Option<&Path>) -> Result<Box<dyn Runtime>> {
    let mut runtime = match engine {
        native::BASELINE | native::TUNED => native::runtime(engine)?,
        _ => registry::open(engine)?,
    };
    if let Some(folder) = code_cache {
        runtime = Box::new(Caching::new(runtime, folder));
    }
    Ok(runtime)
}
