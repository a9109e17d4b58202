//! `assay traps`: every class of trap, budget and limit on every engine, and the engine's state afterwards.

use super::engines::EngineArguments;
use crate::{
    engine::EngineReport,
    exit::Exit,
    output::Output,
    registry::Engine,
    report::screen,
    results::Folder,
    traps::{
        self, TrapReport,
        survey::{self, survey},
    },
};
use anyhow::Result;
use assay_worker::{Launch, Worker};
use std::path::PathBuf;

/// Make every engine trap in every way, exhaust every budget and meet every limit, and look at its state afterwards.
#[derive(clap::Args)]
#[command(
    after_help = "The modules are those of fixtures/traps; the binary holds them.\n\nExample: assay traps --runtime 'wasmtime.*' --latency --interruptions 200"
)]
pub struct Arguments {
    #[command(flatten)]
    engines: EngineArguments,
    /// Also measure how late engines are in interrupting a tight loop, straight-line code, bulk memory and recursion.
    #[arg(long)]
    latency: bool,
    /// Interruptions of each kind of code.
    #[arg(long, value_name = "N", default_value_t = 20, requires = "latency", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    interruptions: u32,
    /// Results folder [default: a dated one under assay-results/].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let engines = arguments.engines.engines()?;
    let cases = traps::cases()?;
    let folder = Folder::create(arguments.out.as_deref(), "traps")?;
    let launches: Vec<Launch> = engines.iter().filter_map(Engine::launch).cloned().collect();
    let mut hellos = launches.iter().map(|launch| {
        Worker::start(launch)
            .map(|worker| worker.info().clone())
            .map_err(|error| format!("failed to {error}"))
    });
    let not_started = || Err("it was not started".to_owned());
    let reports = engines
        .iter()
        .map(|engine| EngineReport::of(engine, || hellos.next().unwrap_or_else(not_started)))
        .collect();
    let interruptions = arguments.latency.then_some(arguments.interruptions);
    let found = survey(&launches, &cases, interruptions, &folder, output)?;
    let report = TrapReport::of(reports, found, folder.path().display().to_string());
    folder.document(survey::FILE, &report)?;
    output.document(&report)?;
    output.parts(&screen::traps(&report))?;
    let bad = report.verdict.is_none_or(|verdict| !verdict.passed());
    Ok(if bad { Exit::Failed } else { Exit::Passed })
}
