//! The command line.

use crate::{check, cost, guest, offer::Offer};
#[cfg(target_os = "linux")]
use anyhow::Context;
use anyhow::Result;
use assay::{
    acceptance::Acceptance,
    cmd,
    exit::{self, Exit},
    output::Output,
};
use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

/// Run a guest that imports WASI-NN, or check engines with backends.
#[derive(Parser)]
#[command(
    name = "assay nn",
    version,
    after_help = "Backends: kernels (of --pack), native, onnx (in Rust), onnxruntime (ORT_DYLIB_PATH names its library). docs/wasi-nn.md has the rest.\n\nExample: assay nn --check --pack fixtures/packs/core --trust fixtures/packs/trusted_keys"
)]
pub(crate) struct Arguments {
    /// A binary module that imports `wasi_ephemeral_nn` and nothing else.
    #[arg(required_unless_present_any = ["check", "cost"])]
    pub guest: Option<PathBuf>,
    /// Check each engine with each backend: models against what is true, misuse, limits, faults that are planted.
    #[arg(long, conflicts_with_all = ["guest", "cost"])]
    pub check: bool,
    /// Measure what a call through WASI-NN costs, beside the same through the kernel host and native.
    #[arg(long, conflicts_with = "guest")]
    pub cost: bool,
    /// Engine id or glob (repeatable) [default: all].
    #[arg(long, value_name = "ID")]
    pub runtime: Vec<String>,
    /// Backend (repeatable) [default: all; for a guest the first that takes the form of its graphs].
    #[arg(long, value_name = "ID")]
    pub backend: Vec<String>,
    /// The pack whose kernels the backend `kernels` serves.
    #[arg(long, value_name = "PACK")]
    pub pack: Option<PathBuf>,
    #[command(flatten)]
    pub acceptance: Acceptance,
    /// A graph that the guest loads by name (repeatable): ONNX, or a document of kernels.
    #[arg(long, value_name = "NAME=FILE", requires = "guest")]
    pub graph: Vec<String>,
    /// Export of the guest to call: no parameters, an i32 as result, 0 if all went well.
    #[arg(long, value_name = "NAME", default_value = "run")]
    pub entry: String,
    /// What instantiation and the call may take, in ticks of 10 ms.
    #[arg(long, value_name = "TICKS", default_value_t = 1000)]
    pub ticks: u64,
    /// Memory that this process may write, in MiB; beyond it, it ends. 0 sets no limit; only Linux has one.
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    pub memory: u64,
    /// Keep the JSON document too: in a file, or in a folder as nn.json (of --check, for `assay report`), nn-cost.json or nn-guest.json.
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Print one JSON document on stdout and nothing else there.
    #[arg(long)]
    pub json: bool,
    /// No progress on stderr.
    #[arg(long)]
    pub quiet: bool,
}

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output {
        json: arguments.json,
        quiet: arguments.quiet,
    };
    match run(&arguments, &output) {
        Ok(exit) => exit.into(),
        Err(error) => {
            exit::complain(&format!("assay nn: {error:#}"));
            // Where stdout is what failed, there is nothing more to say.
            drop(output.document(&cmd::exits::document(&error)));
            cmd::exits::of(&error).into()
        }
    }
}

fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    limit_memory(arguments.memory)?;
    let offer = Offer::new(arguments)?;
    match &arguments.guest {
        Some(path) => guest::run(arguments, &offer, path, output),
        None if arguments.check => check::run(arguments, &offer, output),
        None => cost::run(arguments, &offer, output),
    }
}

/// Holds this process to a limit: what a graph takes while it is loaded and computed, no ONNX library limits.
#[cfg(target_os = "linux")]
fn limit_memory(mebibytes: u64) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    if mebibytes == 0 {
        return Ok(());
    }
    let maximum = getrlimit(Resource::Data).maximum;
    let wanted = mebibytes.saturating_mul(1 << 20);
    let current = Some(maximum.map_or(wanted, |most| most.min(wanted)));
    setrlimit(Resource::Data, Rlimit { current, maximum }).context("failed to limit memory")
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_: u64) -> Result<()> {
    Ok(())
}
