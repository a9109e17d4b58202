//! `assay bench`: measures engines, and shows what was measured.

use super::engines::EngineArguments;
use crate::{
    acceptance::Acceptance,
    bench::{self, Request, Step, Tables, native, record},
    exit::{self, Exit},
    output::Output,
    registry::{self, Engine},
    repeat::Repeat,
    results::Folder,
    time_limits::OF_RUN,
};
use anyhow::{Context, Result};
use assay_worker::{Launch, TimeLimit};
use runtime_api::BudgetKind;
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// Measure kernels, budgets and the way of an invocation on every engine, with intervals; outputs are checked before a time counts.
#[derive(clap::Args)]
#[command(
    after_help = "docs/measuring.md describes what is measured and how. Every sample is kept in bench.jsonl in the results folder; \
        --from makes the tables again.\n\nExamples: assay bench fixtures/packs/core --trust fixtures/packs/trusted_keys --quick\n          assay bench --from assay-results/20260101T000000-bench-1"
)]
pub struct Arguments {
    /// Pack folder or .tar.
    #[arg(required_unless_present = "from")]
    pack: Option<PathBuf>,
    #[command(flatten)]
    acceptance: Acceptance,
    #[command(flatten)]
    engines: EngineArguments,
    /// Kernel id or glob (repeatable) [default: all].
    #[arg(long, value_name = "ID")]
    kernel: Vec<String>,
    /// Kind of budget (repeatable) [default: none, epoch and fuel].
    #[arg(long, value_name = "KIND")]
    budget: Vec<Kind>,
    /// Processes per engine [default: 5, with --quick 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    processes: Option<u32>,
    /// Seconds of batches per cell and process [default: 0.03, with --quick 0.005].
    #[arg(long, value_name = "S", value_parser = seconds)]
    time: Option<f64>,
    /// Seed of the order, of the inputs and of the resamples.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A desk check in less than a minute: fewer sizes, base modules only, short batches.
    #[arg(long)]
    quick: bool,
    /// Measure nothing: make the tables again from what a run left in this folder.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["pack", "runtime", "adapter", "kernel", "budget", "processes", "time", "quick", "out", "time_limit"])]
    from: Option<PathBuf>,
    /// Seconds that the run may take; what was not measured by then is named [default: 1080, with --quick 55]. A worker that is still busy two
    /// minutes later is stopped.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    time_limit: Option<u64>,
    /// Results folder [default: a dated one under assay-results/].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A kind of budget.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Kind {
    None,
    Epoch,
    Fuel,
}

/// When groups that have not begun are left out.
const QUICK_LIMIT: Duration = Duration::from_secs(55);
/// See [`QUICK_LIMIT`].
const LIMIT: Duration = Duration::from_secs(18 * 60);
/// How long beyond that groups that have begun may take.
const GRACE: Duration = Duration::from_secs(120);

/// What was measured: the JSON document.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    tables: Tables,
    notes: Vec<String>,
    evidence: String,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let report = match (&arguments.from, &arguments.pack) {
        (Some(folder), _) => {
            let records = record::read(folder)?;
            Report {
                tables: tables(&records)?,
                notes: Vec::new(),
                evidence: folder.display().to_string(),
            }
        }
        (None, Some(pack)) => measure(arguments, pack, output)?,
        (None, None) => return Err(exit::usage("name a pack, or records with --from")),
    };
    output.document(&report)?;
    output.text(&report.to_text())?;
    Ok(if report.tables.verdict.passed() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

fn measure(arguments: &Arguments, pack: &std::path::Path, output: &Output) -> Result<Report> {
    if cfg!(target_family = "wasm") {
        return Err(exit::usage(
            "inside WebAssembly nothing is measured: times would be those of the runtime around it, and engines have no processes of their own; \
             run `assay bench` of a build for the machine itself",
        ));
    }
    let engines = arguments.engines.engines()?;
    let folder_of_pack = pack;
    let pack = arguments.acceptance.load(pack)?;
    let folder = Folder::beside(folder_of_pack, arguments.out.as_deref(), "bench")?;
    let mut absent: Vec<(String, String)> = engines
        .iter()
        .filter_map(|engine| Some((engine.id.clone(), engine.absence()?)))
        .collect();
    let mut launches = Vec::new();
    for launch in engines.iter().filter_map(Engine::launch) {
        launches.extend(registry::pooled_worker(&launch.id));
        launches.push(launch.clone());
    }
    launches.push(native_worker()?);
    match tuned_worker() {
        Ok(launch) => launches.push(launch),
        Err(reason) => absent.push((native::TUNED.to_owned(), reason)),
    }
    let mut budgets: Vec<BudgetKind> = Vec::new();
    for kind in [Kind::None, Kind::Epoch, Kind::Fuel] {
        // Ratios are over no budget, which is measured in any case.
        if kind == Kind::None || arguments.budget.is_empty() || arguments.budget.contains(&kind) {
            budgets.push(match kind {
                Kind::None => BudgetKind::None,
                Kind::Epoch => BudgetKind::Epoch,
                Kind::Fuel => BudgetKind::Fuel,
            });
        }
    }
    let (processes, time) = if arguments.quick {
        (3, 0.005)
    } else {
        (5, 0.03)
    };
    // Whoever says how much wants all of it.
    let quickly = arguments.quick && arguments.processes.is_none() && arguments.time.is_none();
    let usual = if quickly { QUICK_LIMIT } else { LIMIT };
    let limit = arguments.time_limit.map_or(usual, Duration::from_secs);
    let end = TimeLimit::new(OF_RUN, limit + GRACE);
    for launch in &mut launches {
        launch.time_limit = Some(end);
    }
    let request = Request {
        pack: &pack,
        launches: &launches,
        absent,
        kernels: &arguments.kernel,
        budgets,
        processes: arguments.processes.unwrap_or(processes),
        time: Duration::from_secs_f64(arguments.time.unwrap_or(time)),
        seed: arguments.seed,
        quick: arguments.quick,
        within_a_minute: quickly,
        limit,
    };
    let mut lines = folder.lines(record::FILE)?;
    let progress = output.progress_bar(
        "bench",
        1,
        "{wide_bar} {pos}/{len} groups of cells, {eta} left",
    );
    let outcome = bench::run(&request, &mut lines, &|step: Step| {
        progress.set_length(step.all);
        progress.set_position(step.done);
    })?;
    progress.finish_and_clear();
    let report = Report {
        tables: tables(&outcome.records)?,
        notes: outcome.notes,
        evidence: folder.path().display().to_string(),
    };
    folder.document("bench.json", &report)?;
    Ok(report)
}

fn tables(records: &[record::Record]) -> Result<Tables> {
    Tables::of(records).context("failed to make tables: the records do not begin with a run")
}

impl Report {
    fn to_text(&self) -> String {
        let mut text = self.tables.to_text();
        for note in &self.notes {
            text += &format!("\n{note}");
        }
        let again = Repeat::of("bench").options("--from", [&self.evidence]);
        text + &format!("\nthese tables again: {again}")
    }
}

/// The native kernels of this executable.
fn native_worker() -> Result<Launch> {
    let program = std::env::current_exe().context("failed to find this executable")?;
    Launch::own(native::BASELINE, program, &["worker", native::BASELINE])
        .map_err(|error| crate::exit::usage(error.to_string()))
}

/// The native kernels compiled for this processor, in an executable beside this one; the reason if there is none.
fn tuned_worker() -> Result<Launch, String> {
    let program = registry::beside("assay-native").ok_or_else(|| {
        "`assay-native` is not beside this executable; to add it: RUSTFLAGS=\"-C target-cpu=native\" cargo build --release \
         -p assay --no-default-features --features native-worker --bin assay-native --target-dir target/native, and copy it"
            .to_owned()
    })?;
    Launch::own(native::TUNED, program, &[native::TUNED]).map_err(|error| error.to_string())
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 60.0 => Ok(seconds),
        _ => Err("seconds between 0 and 60".to_owned()),
    }
}
