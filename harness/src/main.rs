//! The `assay` binary: one subcommand, one file in `cmd/`.

use anyhow::Context;
use assay::{cmd, exit, output::Output};
use assay_worker::WorkerLimits;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Decides whether a WebAssembly runtime may run a signed pack of ML compute kernels, and whether a pack may run on a runtime.
#[derive(Parser)]
#[command(
    name = "assay",
    version,
    after_help = "Exit codes: 0 passed, 1 a check failed, 2 usage, 3 pack rejected, 4 engine absent, 5 the harness failed.\n\nExample: assay qualify fixtures/packs/core --trust fixtures/packs/trusted_keys"
)]
struct CommandLine {
    /// Print one JSON document on stdout and nothing else there.
    #[arg(long, global = true)]
    json: bool,
    /// No progress on stderr.
    #[arg(long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(cmd::list::Arguments),
    Verify(cmd::verify::Arguments),
    Conform(cmd::conform::Arguments),
    Probe(cmd::probe::Arguments),
    Spec(cmd::spec::Arguments),
    Traps(cmd::traps::Arguments),
    Fuzz(cmd::fuzz::Arguments),
    Bench(cmd::bench::Arguments),
    Compare(cmd::compare::Arguments),
    Mutate(cmd::mutate::Arguments),
    Qualify(cmd::qualify::Arguments),
    AdapterCheck(cmd::adapter_check::Arguments),
    #[cfg(not(target_family = "wasm"))]
    HostCheck(cmd::host_check::Arguments),
    #[cfg(not(target_family = "wasm"))]
    Nn(cmd::nn::Arguments),
    Inspect(cmd::inspect::Arguments),
    Aot(cmd::aot::Arguments),
    Report(cmd::report::Arguments),
    VerifyReport(cmd::verify_report::Arguments),
    Try(cmd::try_module::Arguments),
    Contract(cmd::contract::Arguments),
    Pack(cmd::pack::Arguments),
    Trust(cmd::trust::Arguments),
    #[command(hide = true)]
    Worker(cmd::worker::Arguments),
}

fn main() -> ExitCode {
    assay_worker::outlive_large_files();
    let line = CommandLine::parse();
    let output = Output {
        json: line.json,
        quiet: line.quiet,
    };
    let result = WorkerLimits::from_environment()
        .map_err(|error| exit::usage(error.to_string()))
        .and_then(|_| alone(&line.command))
        .and_then(|()| run(&line.command, &output));
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            exit::complain(&format!("assay: {error:#}"));
            // Where stdout is what failed, there is nothing more to say.
            drop(output.document(&cmd::exits::document(&error)));
            cmd::exits::of(&error).into()
        }
    }
}

/// What is right is in this process's memory, and no worker may look it up there. A worker has nothing to hide, and is looked at itself.
fn alone(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Worker(_) => Ok(()),
        _ => assay_worker::keep_to_oneself().context("failed to keep workers from this process"),
    }
}

fn run(command: &Command, output: &Output) -> anyhow::Result<exit::Exit> {
    match command {
        Command::List(arguments) => cmd::list::run(arguments, output),
        Command::Verify(arguments) => cmd::verify::run(arguments, output),
        Command::Conform(arguments) => cmd::conform::run(arguments, output),
        Command::Probe(arguments) => cmd::probe::run(arguments, output),
        Command::Spec(arguments) => cmd::spec::run(arguments, output),
        Command::Traps(arguments) => cmd::traps::run(arguments, output),
        Command::Fuzz(arguments) => cmd::fuzz::run(arguments, output),
        Command::Bench(arguments) => cmd::bench::run(arguments, output),
        Command::Compare(arguments) => cmd::compare::run(arguments, output),
        Command::Mutate(arguments) => cmd::mutate::run(arguments, output),
        Command::Qualify(arguments) => cmd::qualify::run(arguments, output),
        Command::AdapterCheck(arguments) => cmd::adapter_check::run(arguments, output),
        #[cfg(not(target_family = "wasm"))]
        Command::HostCheck(arguments) => cmd::host_check::run(arguments, output),
        #[cfg(not(target_family = "wasm"))]
        Command::Nn(arguments) => cmd::nn::run(arguments, output),
        Command::Inspect(arguments) => cmd::inspect::run(arguments, output),
        Command::Aot(arguments) => cmd::aot::run(arguments, output),
        Command::Report(arguments) => cmd::report::run(arguments, output),
        Command::VerifyReport(arguments) => cmd::verify_report::run(arguments, output),
        Command::Try(arguments) => cmd::try_module::run(arguments, output),
        Command::Contract(arguments) => cmd::contract::run(arguments, output),
        Command::Pack(arguments) => cmd::pack::run(arguments, output),
        Command::Trust(arguments) => cmd::trust::run(arguments, output),
        Command::Worker(arguments) => cmd::worker::run(arguments),
    }
}
