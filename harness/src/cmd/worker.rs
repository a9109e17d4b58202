//! `assay worker ENGINE`: serves an engine over stdin and stdout; started by the harness itself.

use crate::{bench::native, exit::Exit, registry};
use anyhow::Result;
use std::path::PathBuf;

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
    let engine = match arguments.engine.as_str() {
        native::BASELINE | native::TUNED => native::runtime(&arguments.engine)?,
        engine => registry::open(engine)?,
    };
    assay_worker::serve_process(engine, arguments.code_cache.as_deref())?;
    Ok(Exit::Passed)
}
