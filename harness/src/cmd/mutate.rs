//! `assay mutate`: faults planted into a pack's own modules, and which of them `conform` finds.

use super::engines::EngineArguments;
use crate::{
    acceptance::Acceptance,
    conform::{
        device::Profile,
        plan,
        request::{CASES, Request},
    },
    exit::Exit,
    mutate::{self, Asked},
    output::Output,
    registry::Engine,
    results::{Folder, PackIdentity},
    time_limits::{Asked as AskedTime, TimeLimits},
};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Plant single faults into a pack's own modules, judge each mutant as `conform` does, and search for calls that tell survivors from the
/// original: how good the harness is.
#[derive(clap::Args)]
#[command(
    after_help = "Judged on one engine, the fastest of those chosen. Passes if no survivor is shown to be wrong.\n\nExample: assay mutate fixtures/packs/core --trust fixtures/packs/trusted_keys --kernel rope_f32 --count 40"
)]
pub struct Arguments {
    /// Pack folder or .tar.
    pack: PathBuf,
    /// Whose packs are accepted.
    #[command(flatten)]
    acceptance: Acceptance,
    #[command(flatten)]
    engines: EngineArguments,
    /// Kernel id or glob (repeatable) [default: all].
    #[arg(long, value_name = "ID")]
    kernel: Vec<String>,
    /// How many mutants, of all modules together.
    #[arg(long, value_name = "N", default_value_t = 130, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Which mutants, and which calls.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Generated cases per kernel that a mutant is judged by; their seed is that of `conform`.
    #[arg(long, value_name = "N", default_value_t = CASES, value_parser = super::conform::cases())]
    cases: u32,
    /// Calls that are drawn to tell a survivor from the original; 0: survivors are not searched.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(..=10_000_000))]
    calls: u32,
    /// Seconds that the run may take; mutants that were not judged by then are errors.
    #[arg(long, value_name = "SECONDS", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    time_limit: u64,
    /// Results folder [default: a dated one under assay-results/].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let request = arguments.request();
    let mut engines = arguments.engines.engines()?;
    for engine in &mut engines {
        engine.with_time_limit(request.limits.run);
    }
    let launch = engines.iter().find_map(Engine::launch);
    let launch = launch.context("failed to choose an engine: none is ready")?;
    let pack = request.acceptance.load(&request.pack)?;
    let plan = plan::plan(&pack, &request.choice(None, None))?;
    let folder = Folder::beside(&request.pack, arguments.out.as_deref(), "mutate")?;
    let asked = Asked {
        count: arguments.count as usize,
        seed: arguments.seed,
        cases: arguments.cases,
        calls: arguments.calls,
    };
    let report = mutate::run(
        PackIdentity::of(&pack),
        &plan.work,
        launch,
        asked,
        &folder,
        output,
    )?;
    folder.document(mutate::FILE, &report)?;
    output.document(&report)?;
    output.text(&mutate::text(&report))?;
    Ok(if report.verdict.passed() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

impl Arguments {
    /// The cases that `conform` would run.
    fn request(&self) -> Request {
        Request {
            pack: self.pack.clone(),
            acceptance: self.acceptance.clone(),
            runtimes: self.engines.runtime.clone(),
            adapters: self.engines.adapters.adapter.clone(),
            kernels: self.kernel.clone(),
            vectors: None,
            cases: self.cases,
            oracles: Vec::new(),
            seed: crate::conform::request::SEED,
            own_seed: self.seed,
            deep: false,
            profile: Profile::Server,
            code_cache: None,
            limits: TimeLimits::begin(
                AskedTime {
                    run: Some(self.time_limit),
                    module: None,
                },
                false,
                0,
            ),
        }
    }
}
