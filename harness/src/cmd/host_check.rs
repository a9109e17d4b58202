//! `assay host-check`: what the kernel host does with a pack and an engine when packs come, fail and go.

use super::engines::EngineArguments;
use crate::{
    acceptance::Acceptance,
    exit::{self, Exit},
    host_check::{self, Report, Terms},
    output::{Output, printable},
};
use anyhow::Result;
use runtime_host::DeviceClass;
use std::path::PathBuf;

/// Play upgrades, failures and rollbacks with a pack on an engine, in the kernel host that applications embed.
#[derive(clap::Args)]
#[command(
    after_help = "The packs of the scenarios are made of yours and signed with a key of the run; nothing is recorded. docs/host.md says what a host does.\n\nExample: assay host-check fixtures/packs/core --trust fixtures/packs/trusted_keys --runtime wasmtime.cranelift"
)]
pub struct Arguments {
    /// Pack folder; it is verified first.
    pack: PathBuf,
    #[command(flatten)]
    acceptance: Acceptance,
    #[command(flatten)]
    engines: EngineArguments,
    /// Upgrades while four threads call.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    upgrades: u32,
    /// Hosts have the limits of small devices: 256 KiB of memory for each kernel, 32 KiB of stack.
    #[arg(long)]
    embedded: bool,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let engines = arguments.engines.engines()?;
    let pack = arguments.acceptance.load(&arguments.pack)?;
    let terms = Terms {
        upgrades: arguments.upgrades,
        class: arguments.embedded.then_some(DeviceClass::Embedded),
    };
    let mut reports = Vec::new();
    for launch in engines.iter().filter_map(|engine| engine.launch()) {
        let report = host_check::check(launch, &arguments.pack, &pack, terms);
        let report = report.map_err(|error| exit::usage(format!("failed to {error}")))?;
        output.text(&text(&report))?;
        reports.push(report);
    }
    if reports.is_empty() {
        return Err(exit::engine_absent(
            "no engine is ready; `assay list` says why",
        ));
    }
    output.document(&reports)?;
    let passed = reports.iter().all(Report::passed);
    Ok(if passed { Exit::Passed } else { Exit::Failed })
}

fn text(report: &Report) -> String {
    let scenarios = report.scenarios.iter().map(|scenario| {
        format!(
            "  {:<12}{}\n              {}",
            scenario.outcome.to_string(),
            scenario.name,
            printable(&scenario.detail)
        )
    });
    let head = format!(
        "{} with {} (calls of {})",
        report.runtime, report.pack, report.kernel
    );
    std::iter::once(head)
        .chain(scenarios)
        .collect::<Vec<_>>()
        .join("\n")
}
