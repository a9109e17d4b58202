//! `assay conform`: layers L1 to L7 on vectors, edge cases and generated cases, and the numeric instructions.

use super::{engines::EngineArguments, time::TimeArguments};
use crate::{
    acceptance::Acceptance,
    conform::{
        coverage,
        device::Profile,
        plan::{self, Plan},
        report,
        request::{CASES, Request, SEED, drawn_seed},
        search::{self, Extent, Searched},
        suite,
    },
    coverage::Coverage,
    exit::{self, Exit},
    judge, numerics,
    output::Output,
    registry::Engine,
    report::screen,
    results::Folder,
    time_limits::TimeLimits,
};
use anyhow::Result;
use kernel_pack::Pack;
use std::{path::PathBuf, time::Duration};

/// How many generated cases can be asked for: they are made, and kept, before the first of them is asked.
pub(super) fn cases() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(..=20_000)
}

/// Judge every kernel of a pack on every engine: status, agreement, same source, truth, external vectors, frame;
/// and every numeric instruction.
#[derive(clap::Args)]
#[command(
    after_help = "Example: assay conform fixtures/packs/core --trust fixtures/packs/trusted_keys --runtime 'wasmtime.*' --kernel rope_f32"
)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Run only the case of this name, as a failure names it.
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Run that case only on this module of its kernel: `base`, a variant's features, or a compiled form (beside its base module).
    #[arg(long, value_name = "NAME", requires = "case")]
    module: Option<String>,
    /// Say which code the cases ran, and fail where there is code that none ran.
    #[arg(long, conflicts_with = "case")]
    coverage: bool,
}

/// What `conform` and `qualify` run, and on what.
#[derive(clap::Args)]
pub struct Selection {
    /// Pack folder or .tar.
    pub pack: PathBuf,
    /// Whose packs are accepted.
    #[command(flatten)]
    pub acceptance: Acceptance,
    #[command(flatten)]
    pub(super) engines: EngineArguments,
    /// Kernel id or glob (repeatable) [default: all].
    #[arg(long, value_name = "ID")]
    pub kernel: Vec<String>,
    /// Folder of vector files besides those of the pack.
    #[arg(long, value_name = "DIR")]
    pub vectors: Option<PathBuf>,
    /// Program that says what a kernel's answers are, as 'KERNEL=COMMAND ...' (repeatable); docs/oracle-protocol.md.
    #[arg(long, value_name = "KERNEL=COMMAND")]
    pub oracle: Vec<String>,
    /// Generated cases per kernel.
    #[arg(long, value_name = "N", default_value_t = CASES, value_parser = cases())]
    pub cases: u32,
    /// Seed of all that is generated and drawn [default: 1 for the generated cases, and one of its own for the rest].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Seed of what a run draws for itself: places in memory, sequences of calls, more generated cases. A run prints it [default: --seed, else
    /// a new one for each run].
    #[arg(long, value_name = "N")]
    pub own_seed: Option<u64>,
    /// Ten times longer sequences of calls on one instance.
    #[arg(long)]
    pub deep: bool,
    /// So many seconds to look for cases that run code which no other case runs; docs/soundness.md [default: for `qualify` a number of draws,
    /// for `conform` and on a machine that is emulated none].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    search: Option<u64>,
    #[command(flatten)]
    time: TimeArguments,
    /// What the engines are asked for.
    #[arg(long, value_enum, default_value_t = Profile::Server)]
    pub profile: Profile,
    /// Keep compiled code in this folder and load it from there, where an engine can; docs/aot.md says whom that trusts.
    #[arg(long, value_name = "DIR")]
    pub code_cache: Option<PathBuf>,
    /// Results folder [default: a dated one under assay-results/].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let selection = &arguments.selection;
    let request = selection.request();
    let engines = selection.engines(&request.limits)?;
    let pack = request.acceptance.load(&request.pack)?;
    let (case, module) = (arguments.case.as_deref(), arguments.module.as_deref());
    let searched = case.filter(|name| name.starts_with(search::PREFIX));
    let listed = if searched.is_some() { None } else { case };
    let folder = Folder::beside(&request.pack, selection.out.as_deref(), "conform")?;
    let choose = || {
        let choice = request.choice(listed, module);
        let mut plan = plan::plan(&pack, &choice)?;
        if let Some(name) = searched {
            search::only(&mut plan, &pack, &choice, name)?;
        }
        anyhow::Ok(plan)
    };
    let mut plan = choose().inspect_err(|_| folder.abandon())?;
    let searched = match searched {
        None => selection.search(&mut plan, &pack, &request, None, output)?,
        Some(_) => None,
    };
    let covered = arguments
        .coverage
        .then(|| coverage::of_modules(&plan.work, &request.limits, output));
    let mut conform = suite::run(&pack, plan, &request, &engines, &folder, output)?;
    // A command that repeats one case of a kernel asks for nothing else.
    if arguments.case.is_none() {
        conform.add_numerics(numerics::on_all(&engines, &folder, output)?);
    }
    if let Some(covered) = covered {
        let gaps: Vec<String> = covered.iter().filter_map(Coverage::gap).collect();
        conform.reasons.extend(gaps);
        conform.add_coverage(covered);
    }
    conform.search = searched;
    conform.words = Some(judge::conformance_words(&conform));
    folder.document(report::FILE, &conform)?;
    output.document(&conform)?;
    output.parts(&screen::conformance(&conform))?;
    Ok(if conform.verdict.passed() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

impl Selection {
    /// The engines that are asked for, absent ones included, each ended when the time of the run is over.
    ///
    /// # Errors
    /// Usage for names that fit nothing; engine absent if what is asked for is not ready.
    pub fn engines(&self, limits: &TimeLimits) -> Result<Vec<Engine>> {
        let mut engines = self.engines.engines()?;
        for engine in &mut engines {
            engine.with_time_limit(limits.run);
        }
        if let Some(folder) = &self.code_cache {
            let folder = std::path::absolute(folder)
                .map_err(|error| exit::usage(format!("--code-cache: {error}")))?;
            for engine in &mut engines {
                engine.with_code_cache(&folder);
            }
        }
        Ok(engines)
    }

    /// Adds what a search finds to a plan, and says what it did; as far as `--search` says, else `usual`.
    ///
    /// # Errors
    /// As [`search::search`].
    pub(super) fn search(
        &self,
        plan: &mut Plan,
        pack: &Pack,
        request: &Request,
        usual: Option<Extent>,
        output: &Output,
    ) -> Result<Option<Searched>> {
        let extent = match self.search {
            Some(seconds) => (seconds > 0).then_some(Extent::Time(Duration::from_secs(seconds))),
            None => usual,
        };
        let choice = request.choice(None, None);
        extent
            .map(|extent| search::search(plan, pack, &choice, extent, output))
            .transpose()
    }

    /// What is asked for, without the command line around it; its time begins now.
    pub fn request(&self) -> Request {
        Request {
            pack: self.pack.clone(),
            acceptance: self.acceptance.clone(),
            runtimes: self.engines.runtime.clone(),
            adapters: self.engines.adapters.adapter.clone(),
            kernels: self.kernel.clone(),
            vectors: self.vectors.clone(),
            oracles: self.oracle.clone(),
            cases: self.cases,
            seed: self.seed.unwrap_or(SEED),
            own_seed: self.own_seed.or(self.seed).unwrap_or_else(drawn_seed),
            deep: self.deep,
            profile: self.profile,
            code_cache: self.code_cache.clone(),
            limits: self.time.begin(self.deep, self.search.unwrap_or(0)),
        }
    }
}
