//! `assay conform`: layers L1 to L6 on vectors, edge cases and generated cases, and the numeric instructions.

use crate::{
    acceptance::Acceptance,
    conform::{
        answers::{self, Answers},
        device::Device,
        forms::{self, Fate, NativeCode},
        judge::Layer,
        plan::{self, Choice, Plan},
        record::{Entry, Recorder},
        run::{self, EngineRun, Session, Work},
        shrink,
    },
    exit::{self, Exit},
    matrix,
    numerics::{self, Summary},
    outcome::{Counts, Outcome},
    output::Output,
    parallel,
    registry::{self, Availability, Engine},
    results::{Folder, PackIdentity},
};
use anyhow::Result;
use assay_worker::Launch;
use kernel_pack::Pack;
use runtime_api::COMPILED_ELSEWHERE;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Generated cases per kernel and engine, unless asked otherwise.
pub(super) const CASES: u32 = 64;
/// The seed, unless asked otherwise: fixed, so that two runs of the same version do the same.
pub(super) const SEED: u64 = 1;
/// Failures printed on screen; all are in the results folder.
const MAX_SHOWN: usize = 8;

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
}

/// What `conform` and `qualify` run, and on what.
#[derive(clap::Args)]
pub struct Selection {
    /// Pack folder or .tar.
    pub pack: PathBuf,
    /// Whose packs are accepted.
    #[command(flatten)]
    pub acceptance: Acceptance,
    /// Engine id or glob (repeatable) [default: all that are ready].
    #[arg(long, value_name = "ID")]
    pub runtime: Vec<String>,
    /// An engine from outside: an executable that speaks docs/worker-protocol.md (repeatable).
    #[arg(long, value_name = "NAME=COMMAND")]
    pub adapter: Vec<String>,
    /// Kernel id or glob (repeatable) [default: all].
    #[arg(long, value_name = "ID")]
    pub kernel: Vec<String>,
    /// Folder of vector files besides those of the pack.
    #[arg(long, value_name = "DIR")]
    pub vectors: Option<PathBuf>,
    /// Generated cases per kernel.
    #[arg(long, value_name = "N", default_value_t = CASES)]
    pub cases: u32,
    /// Seed of the generated cases.
    #[arg(long, value_name = "N", default_value_t = SEED)]
    pub seed: u64,
    /// Keep compiled code in this folder and load it from there, where an engine can; docs/aot.md says whom that trusts.
    #[arg(long, value_name = "DIR")]
    pub code_cache: Option<PathBuf>,
    /// Results folder [default: a dated one under assay-results/].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What conformance found: the JSON document.
#[derive(Serialize)]
pub struct Report {
    /// `pass` or `fail`.
    pub verdict: &'static str,
    /// Why it failed as a whole, besides the entries of `results`.
    pub reasons: Vec<String>,
    /// Seed of the generated cases.
    pub seed: u64,
    /// Generated cases per kernel.
    pub cases: u32,
    /// Outcomes of all (case, layer) pairs on all engines; `absent` counts (engine, kernel) cells.
    pub counts: Counts,
    /// The engines, ready or absent.
    pub engines: Vec<EngineReport>,
    /// Vector files that were passed over, compiled forms and caches that were used or not.
    pub notes: Vec<String>,
    /// Sums, then failing cases.
    pub results: Vec<Entry>,
    /// The numeric instructions, one summary per engine that is ready; empty where one case alone was asked for.
    pub numerics: Vec<Summary>,
    /// Engines that were not run because they do not hold the limits of a device, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held_back: BTreeMap<String, String>,
    /// The results folder.
    pub evidence: String,
}

/// An engine of a report.
#[derive(Serialize)]
pub struct EngineReport {
    /// Engine id.
    pub id: String,
    /// `ready`, `absent` or `failed`.
    pub status: &'static str,
    /// Version, where it is ready.
    pub version: Option<String>,
    /// Why it is absent or failed.
    pub reason: Option<String>,
    /// What there is to run, where the engine has no compiler on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiled_elsewhere: Option<String>,
    /// Native code that it ran and that is not known to be what it makes of the modules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub native_code_not_compared: Vec<NativeCode>,
}

impl EngineReport {
    /// An engine that did not run.
    pub fn without(id: &str, status: &'static str, reason: String) -> Self {
        Self {
            id: id.to_owned(),
            status,
            version: None,
            reason: Some(reason),
            compiled_elsewhere: None,
            native_code_not_compared: Vec::new(),
        }
    }

    fn of(id: &str, run: EngineRun) -> Self {
        let info = match run.info {
            Ok(info) => info,
            Err(reason) => return Self::without(id, "failed", reason),
        };
        let believed = run.forms.into_iter().filter_map(|form| match form.fate {
            Fate::Believed(code) => Some(code),
            Fate::NotLoaded(_) | Fate::Same => None,
        });
        Self {
            id: id.to_owned(),
            status: "ready",
            compiled_elsewhere: info.build.get(COMPILED_ELSEWHERE).cloned(),
            native_code_not_compared: believed.chain(forms::of_engine(&info)).collect(),
            version: Some(info.version),
            reason: None,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let selection = &arguments.selection;
    let engines = selection.engines()?;
    let pack = selection.acceptance.load(&selection.pack)?;
    let only = (arguments.case.as_deref(), arguments.module.as_deref());
    let plan = selection.plan(&pack, only, None)?;
    let folder = Folder::create(selection.out.as_deref(), "conform")?;
    let mut report = conform(&pack, plan, selection, &engines, &folder, output)?;
    // A command that repeats one case of a kernel asks for nothing else.
    if arguments.case.is_none() {
        report.run_numerics(&engines, &folder, output)?;
    }
    folder.document("conform.json", &report)?;
    output.document(&report)?;
    output.text(&report.to_text(output.colour()))?;
    Ok(if report.passed() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

impl Selection {
    /// The engines that are asked for, absent ones included.
    ///
    /// # Errors
    /// Usage for names that fit nothing; engine absent if what is asked for is not ready.
    pub fn engines(&self) -> Result<Vec<Engine>> {
        let mut known = registry::engines();
        if let Some(folder) = &self.code_cache {
            let folder = std::path::absolute(folder)
                .map_err(|error| exit::usage(format!("--code-cache: {error}")))?;
            for engine in &mut known {
                engine.with_code_cache(&folder);
            }
        }
        let all = registry::with_adapters(known, &self.adapter)?;
        registry::select(all, &self.runtime)
    }

    /// The work that is asked for; of all, only a case and a module, if their names are given.
    ///
    /// # Errors
    /// Usage, for names that fit nothing.
    pub fn plan(
        &self,
        pack: &Pack,
        (case, module): (Option<&str>, Option<&str>),
        device: Option<&'static Device>,
    ) -> Result<Plan> {
        plan::plan(
            pack,
            &Choice {
                kernels: &self.kernel,
                vectors: self.vectors.as_deref(),
                cases: self.cases,
                seed: self.seed,
                case,
                module,
                device,
            },
        )
    }

    fn repeat(
        &self,
        runtime: &str,
        kernel: &str,
        variant: &str,
        case: &str,
        layer: Layer,
    ) -> String {
        let quoted =
            |text: &str| shlex::try_quote(text).map_or_else(|_| text.to_owned(), Into::into);
        let path = |path: &Path| quoted(&path.display().to_string());
        let mut command = format!(
            "assay conform {}{}",
            path(&self.pack),
            self.acceptance.words()
        );
        for adapter in &self.adapter {
            command += &format!(" --adapter {}", quoted(adapter));
        }
        // Agreement needs the others.
        if layer != Layer::L2 {
            command += &format!(" --runtime {}", quoted(runtime));
        }
        command += &format!(" --kernel {}", quoted(kernel));
        if let Some(vectors) = &self.vectors {
            command += &format!(" --vectors {}", path(vectors));
        }
        if self.cases != CASES {
            command += &format!(" --cases {}", self.cases);
        }
        command += &format!(" --seed {} --case {}", self.seed, quoted(case));
        if forms::is_form(variant) {
            command += &format!(" --module {}", quoted(variant));
        }
        command
    }
}

/// Runs a plan on the engines that are ready.
///
/// # Errors
/// If the results folder cannot be written.
pub fn conform(
    pack: &Pack,
    plan: Plan,
    selection: &Selection,
    engines: &[Engine],
    folder: &Folder,
    output: &Output,
) -> Result<Report> {
    let launches: Vec<Launch> = engines.iter().filter_map(Engine::launch).cloned().collect();
    let runtimes: Vec<String> = launches.iter().map(|launch| launch.id.clone()).collect();
    let device = plan.device;
    let repeat = |runtime: &str, kernel: &str, variant: &str, case: &str, layer: Layer| {
        selection.repeat(runtime, kernel, variant, case, layer)
    };
    let mut recorder = Recorder::new(folder, runtimes.clone(), &repeat)?;
    let per_engine: usize = plan.work.iter().map(|work| work.cases.len()).sum();
    let progress = output.progress_bar(
        "conform",
        (per_engine * launches.len()) as u64,
        "{wide_bar} {pos}/{len} cases, {per_sec}, {eta} left",
    );

    let mut all_answers = Answers::default();
    // (engine, kernel, variant) -> cases judged, to notice what was silently not run.
    let mut judged_cases: BTreeMap<(usize, String, String), (usize, bool)> = BTreeMap::new();
    let runs = run::run(
        &launches,
        &plan.work,
        &|info, subject| {
            device.map_or(Ok(()), |device| device.gate(info))?;
            plan::gate(pack, info, subject)
        },
        &|| progress.inc(1),
        |judged| {
            let cell = judged_cases
                .entry((
                    judged.engine,
                    judged.subject.kernel.clone(),
                    judged.subject.variant.clone(),
                ))
                .or_default();
            if judged.case.is_some() {
                cell.0 += 1;
            } else if judged
                .layers
                .values()
                .any(|judgement| judgement.outcome == Outcome::Unsupported)
            {
                cell.1 = true;
            }
            // What a pack brings for one kind of machine has nothing to be compared with on others.
            if !forms::is_form(&judged.subject.variant) {
                all_answers.push(&runtimes[judged.engine], &judged);
            }
            recorder.push(&judged)
        },
    )?;
    progress.finish_and_clear();
    let versions = runtimes.iter().zip(&runs).filter_map(|(id, run)| {
        let info = run.info.as_ref().ok()?;
        Some((id.clone(), info.version.clone()))
    });
    let of_run = answers::Run::new(
        PackIdentity::of(pack),
        (selection.seed, selection.cases),
        answers::digest(&plan.work),
        versions.collect(),
    );
    all_answers.write(folder, &of_run)?;

    let held_back: BTreeMap<String, String> = runs
        .iter()
        .flat_map(|run| &run.info)
        .filter_map(|info| {
            let reason = device?.gate(info).err()?;
            Some((info.id.clone(), reason))
        })
        .collect();
    let mut reasons = Vec::new();
    for (engine, id) in runtimes.iter().enumerate() {
        let mut ran = 0;
        for work in &plan.work {
            let subject = &work.subject;
            let key = (engine, subject.kernel.clone(), subject.variant.clone());
            let (cases, unsupported) = judged_cases.get(&key).copied().unwrap_or_default();
            ran += cases;
            if cases != work.cases.len() && !unsupported {
                reasons.push(format!(
                    "{id} ran {cases} of {} cases of {} ({})",
                    work.cases.len(),
                    subject.kernel,
                    subject.variant
                ));
            }
        }
        for form in &runs[engine].forms {
            let beside = match &form.fate {
                Fate::NotLoaded(_) => false,
                Fate::Same => true,
                Fate::Believed(code) => code.judged == forms::BESIDE,
            };
            let key = (engine, form.kernel.clone(), form.name.clone());
            let cases = judged_cases.get(&key).map_or(0, |(cases, _)| *cases);
            let due = plan
                .work
                .iter()
                .find(|work| work.subject.kernel == form.kernel && !work.forms.is_empty());
            if beside && due.is_none_or(|work| work.cases.len() != cases) {
                reasons.push(format!(
                    "{id} ran {cases} cases of {} ({})",
                    form.kernel, form.name
                ));
            }
        }
        if ran == 0 && !held_back.contains_key(id) {
            reasons.push(format!("{id} ran no case at all"));
        }
    }

    for failed in std::mem::take(&mut recorder.to_shrink) {
        let of_kernel = |work: &&Work| work.subject.kernel == failed.kernel;
        let subject = plan
            .work
            .iter()
            .filter(of_kernel)
            .find_map(|work| Some((work.subject(&failed.variant)?, work.kernel?)));
        let index = failed
            .case
            .strip_prefix("generated:")
            .and_then(|index| index.parse().ok());
        if let (Some((subject, kernel)), Some(index)) = (subject, index) {
            let bare = registry::without_code_cache(&launches[failed.engine]);
            let mut session = match subject.code {
                Some(_) => Session::confined(&bare),
                None => Session::new(&launches[failed.engine]),
            };
            let seed = (selection.seed, index);
            let smallest = shrink::shrink(&mut session, &subject, kernel, failed.layer, seed);
            let what = match &smallest {
                Some(smallest) => shrink::describe(smallest),
                None => {
                    "the failure did not repeat alone: it depends on what ran before".to_owned()
                }
            };
            if let Some((case, _)) = &smallest {
                recorder.write_shrunk(&failed, case)?;
            }
            recorder.shrunk(&failed, what);
        }
    }

    let mut notes = plan.notes;
    let claimed: Vec<_> = runs.iter().flat_map(|run| run.forms.clone()).collect();
    let brought = plan.work.iter().flat_map(|work| {
        let forms = work.forms.iter();
        forms.map(|form| (work.subject.kernel.as_str(), form))
    });
    notes.extend(forms::unclaimed(brought, &claimed));
    for (id, run) in runtimes.iter().zip(&runs) {
        notes.extend(forms::notes(id, &run.forms));
        let Ok(info) = &run.info else { continue };
        if let Some(cache) = info.build.get(runtime_cache::Caching::OPTION) {
            notes.push(format!("{} code cache: {cache}", info.id));
        }
    }
    let mut counts = recorder.counts;
    let kernels = plan.work.len() as u64;
    let mut ready = runs.into_iter();
    let engines = engines
        .iter()
        .map(|engine| match &engine.availability {
            Availability::Absent { reason, command } => {
                counts.absent += kernels;
                let reason = registry::absence(reason, *command);
                EngineReport::without(&engine.id, "absent", reason)
            }
            Availability::Ready(_) => match ready.next() {
                Some(run) => EngineReport::of(&engine.id, run),
                None => {
                    EngineReport::without(&engine.id, "failed", "it was not started".to_owned())
                }
            },
        })
        .collect();
    if counts.pass == 0 {
        reasons.push("nothing passed".to_owned());
    }
    let bad = counts.fail + counts.error > 0 || !reasons.is_empty();
    Ok(Report {
        verdict: if bad { "fail" } else { "pass" },
        reasons,
        seed: selection.seed,
        cases: selection.cases,
        counts,
        engines,
        notes,
        results: recorder.finish(),
        numerics: Vec::new(),
        held_back,
        evidence: folder.path().display().to_string(),
    })
}

impl Report {
    /// Whether everything that ran holds.
    pub fn passed(&self) -> bool {
        self.verdict == "pass"
    }

    /// Runs the numeric instructions on the engines that are ready, side by side, and lets what does not hold count.
    ///
    /// # Errors
    /// If the results folder cannot be written.
    pub fn run_numerics(
        &mut self,
        engines: &[Engine],
        folder: &Folder,
        output: &Output,
    ) -> Result<()> {
        let plan = numerics::Plan::new()?;
        let launches: Vec<&Launch> = engines.iter().filter_map(Engine::launch).collect();
        let progress = output.progress_bar(
            "numerics",
            (launches.len() * plan.operations()) as u64,
            "{wide_bar} {pos}/{len} instructions",
        );
        let found = parallel::each(&launches, launches.len(), |launch| {
            numerics::run(launch, &plan, &|more| progress.inc(more))
        });
        progress.finish_and_clear();
        self.numerics = launches
            .iter()
            .zip(&found)
            .map(|(launch, findings)| Summary::of(&plan, &launch.id, findings))
            .collect();
        for summary in &self.numerics {
            let id = &summary.runtime;
            let reasons = summary.reasons().into_iter();
            self.reasons
                .extend(reasons.map(|reason| format!("{id}, {reason}")));
        }
        if !self.reasons.is_empty() {
            self.verdict = "fail";
        }
        let all: Vec<_> = found.into_iter().flatten().collect();
        folder.document("numerics.json", &all)
    }

    /// Ids of the engines that ran.
    pub fn runtimes(&self) -> Vec<String> {
        self.engines
            .iter()
            .filter(|engine| engine.status != "absent")
            .map(|engine| engine.id.clone())
            .collect()
    }

    /// The report for people.
    pub fn to_text(&self, colour: bool) -> String {
        let mut text = matrix::render(&self.results, &self.runtimes(), colour);
        text += "\nok N: N checks hold (a check is a layer of a case). \
                 L1 status, L2 agreement, L3 same source, L4 truth, L5 external, L6 frame.\n";
        for engine in &self.engines {
            if let Some(reason) = &engine.reason {
                text += &format!("{} {}: {reason}\n", engine.id, engine.status);
            }
        }
        for summary in &self.numerics {
            text += &format!("{} numerics: {}\n", summary.runtime, summary.line());
        }
        for note in self.notes.iter().chain(self.reasons.iter().take(MAX_SHOWN)) {
            text += &format!("{note}\n");
        }
        if self.reasons.len() > MAX_SHOWN {
            text += &format!(
                "... and {} more reasons in {}/conform.json\n",
                self.reasons.len() - MAX_SHOWN,
                self.evidence
            );
        }
        let failures: Vec<_> = self
            .results
            .iter()
            .filter(|entry| entry.outcome.is_bad() && entry.case.is_some())
            .collect();
        for failure in failures.iter().take(MAX_SHOWN) {
            text += &format!(
                "\n{} {} on {}, {:?} {}: {}\n",
                failure.outcome,
                failure.kernel,
                failure.runtime,
                failure.layer,
                failure.layer.title(),
                failure.detail
            );
            if let Some(shrunk) = &failure.shrunk {
                text += &format!("  smallest: {shrunk}\n");
            }
            if let Some(bytes) = &failure.bytes {
                text += &format!("  bytes:    {}/{bytes}\n", self.evidence);
            }
            if let Some(repeat) = &failure.repeat {
                text += &format!("  repeat:   {repeat}\n");
            }
        }
        if failures.len() > MAX_SHOWN {
            text += &format!(
                "\n... and {} more failing cases in {}/conform.json\n",
                failures.len() - MAX_SHOWN,
                self.evidence
            );
        }
        let counts = &self.counts;
        text += &format!(
            "\nconformance: {} - {} of {} checks pass, {} fail, {} unsupported, {} error; {} absent (engine, kernel) cells; seed {}; results in {}",
            self.verdict,
            counts.pass,
            counts.total() - counts.absent,
            counts.fail,
            counts.unsupported,
            counts.error,
            counts.absent,
            self.seed,
            self.evidence
        );
        if let Some(words) = self.native_code() {
            text += &format!("; {words}");
        }
        text
    }

    /// What the verdict says of native code that it rests on, if there is any.
    pub fn native_code(&self) -> Option<String> {
        let engines = self.engines.iter();
        forms::words(engines.map(|engine| {
            let codes = engine.native_code_not_compared.as_slice();
            (engine.id.as_str(), codes)
        }))
    }
}
