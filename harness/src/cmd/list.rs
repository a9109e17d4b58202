//! `assay list`: the engines, or the kernels of a pack.

use super::engines::Adapters;
use crate::{
    acceptance::Acceptance,
    document::Table,
    engine::Status,
    exit::{self, Exit},
    output::Output,
    registry::{self, Availability},
    results::PackIdentity,
};
use anyhow::Result;
use assay_worker::Worker;
use kernel_pack::{Feature, PackKernel, PackVariant};
use runtime_api::{BudgetKind, Capabilities, Info, Kind};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Name every engine, ready or absent with the reason and the command that adds it; with PACK, its kernels.
#[derive(clap::Args)]
#[command(
    after_help = "Examples: assay list\n          assay list fixtures/packs/core --trust fixtures/packs/trusted_keys --json"
)]
pub struct Arguments {
    /// Pack folder or .tar: list its kernels instead.
    #[arg(conflicts_with = "adapter")]
    pack: Option<PathBuf>,
    #[command(flatten)]
    acceptance: Acceptance,
    #[command(flatten)]
    adapters: Adapters,
}

#[derive(Serialize)]
struct Engines {
    engines: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    id: String,
    status: Status,
    reason: Option<String>,
    command: Option<&'static str>,
    version: Option<String>,
    kind: Option<Kind>,
    default: bool,
    build: BTreeMap<String, String>,
    capabilities: Option<Capabilities>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    if let Some(pack) = &arguments.pack {
        return list_pack(pack, &arguments.acceptance, output);
    }
    if arguments.acceptance.is_asked_for() {
        return Err(exit::usage(
            "--trust, --seen and --allow-rollback are for the kernels of a PACK; name one",
        ));
    }
    let engines = arguments.adapters.engines()?;
    let engines: Vec<Row> = engines.into_iter().map(row).collect();
    let ready = engines.iter().filter(|row| row.status == Status::Ready);
    let ready = ready.count();
    output.text(&format!(
        "{}\n{ready} of {} engines are ready",
        table(&engines),
        engines.len()
    ))?;
    for row in &engines {
        if let Some(reason) = &row.reason {
            output.text(&format!("{}: {reason}", row.id))?;
        }
        if let Some(command) = row.command {
            output.text(&format!("  to add it: {command}"))?;
        }
    }
    output.document(&Engines { engines })?;
    Ok(if ready == 0 {
        Exit::EngineAbsent
    } else {
        Exit::Passed
    })
}

/// Starts the engine's worker and asks it; what does not answer has failed, whatever the build says.
fn row(engine: registry::Engine) -> Row {
    let row = |status, reason, command, info: Option<Info>| {
        let kind = info.as_ref().map(|info| info.kind).or(engine.kind);
        let (version, build, capabilities) = match info {
            Some(info) => (Some(info.version), info.build, Some(info.capabilities)),
            None => (None, BTreeMap::new(), None),
        };
        Row {
            id: engine.id.clone(),
            status,
            reason,
            command,
            version,
            kind,
            default: engine.default,
            build,
            capabilities,
        }
    };
    match &engine.availability {
        Availability::Absent { reason, command } => {
            row(Status::Absent, Some(reason.clone()), *command, None)
        }
        Availability::Ready(launch) => match Worker::start(launch) {
            Ok(worker) => row(Status::Ready, None, None, Some(worker.info().clone())),
            Err(error) => row(
                Status::Failed,
                Some(format!("failed to {error}")),
                None,
                None,
            ),
        },
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Jit => "jit",
        Kind::Aot => "aot",
        Kind::Interpreter => "interpreter",
    }
}

fn table(engines: &[Row]) -> Table {
    let mut table = Table::new(["engine", "status", "version", "kind", "budgets", "lacks"]);
    for row in engines {
        let (budgets, lacks) = match &row.capabilities {
            Some(can) => (
                can.budgets
                    .iter()
                    .map(BudgetKind::to_string)
                    .collect::<Vec<_>>()
                    .join(" "),
                Feature::ALL
                    .iter()
                    .map(|feature| feature.as_str())
                    .filter(|feature| !can.features.iter().any(|has| has == feature))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            None => Default::default(),
        };
        table.add([
            row.id.as_str(),
            row.status.name(),
            row.version.as_deref().unwrap_or("-"),
            row.kind.map_or("-", kind_name),
            &budgets,
            &lacks,
        ]);
    }
    table
}

#[derive(Serialize)]
struct Kernels {
    pack: PackIdentity,
    kernels: Vec<KernelRow>,
}

#[derive(Serialize)]
struct KernelRow {
    id: String,
    name: String,
    category: String,
    bytes: usize,
    sha256: String,
    backward: bool,
    max_memory_pages: u32,
    max_epoch_ticks: u64,
    variants: usize,
    /// State outside of memory of any of its modules.
    state: BTreeSet<&'static str>,
    vectors: usize,
}

fn state(kernel: &PackKernel) -> BTreeSet<&'static str> {
    let variants = kernel.variants().iter().map(PackVariant::facts);
    let all = [kernel.facts()].into_iter().chain(variants);
    all.flat_map(|facts| facts.state.iter().map(|state| state.as_str()))
        .collect()
}

fn list_pack(path: &Path, acceptance: &Acceptance, output: &Output) -> Result<Exit> {
    let pack = acceptance.load(path)?;
    let kernels: Vec<KernelRow> = pack
        .kernels()
        .iter()
        .map(|kernel| KernelRow {
            id: kernel.id().to_owned(),
            name: kernel.name().to_owned(),
            category: kernel.category().to_owned(),
            bytes: kernel.wasm().len(),
            sha256: hex::encode(kernel.sha256()),
            backward: kernel.facts().has_backward,
            max_memory_pages: kernel.limits().max_memory_pages,
            max_epoch_ticks: kernel.limits().max_epoch_ticks,
            variants: kernel.variants().len(),
            state: state(kernel),
            vectors: pack
                .vectors()
                .iter()
                .filter(|vector| vector.kernel() == kernel.id())
                .count(),
        })
        .collect();
    let mut table = Table::new([
        "kernel", "category", "bytes", "pages", "ticks", "variants", "vectors", "state", "sha256",
    ]);
    for kernel in &kernels {
        table.add([
            kernel.id.clone(),
            kernel.category.clone(),
            kernel.bytes.to_string(),
            kernel.max_memory_pages.to_string(),
            kernel.max_epoch_ticks.to_string(),
            kernel.variants.to_string(),
            kernel.vectors.to_string(),
            match kernel.state.is_empty() {
                true => "none".to_owned(),
                false => Vec::from_iter(kernel.state.iter().copied()).join(" "),
            },
            kernel.sha256.chars().take(16).collect(),
        ]);
    }
    output.text(&format!(
        "{} {}, {} kernels\n{table}",
        pack.name(),
        pack.version(),
        kernels.len()
    ))?;
    output.document(&Kernels {
        pack: PackIdentity::of(&pack),
        kernels,
    })?;
    Ok(Exit::Passed)
}
