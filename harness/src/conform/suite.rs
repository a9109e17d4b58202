//! The whole of a conformance run: a plan on all engines, kept in a results folder, failures made smaller, summed up.

use super::{
    answers::{self, Answers},
    device::Device,
    envelope::Envelopes,
    forms,
    judge::Layer,
    plan::{self, Plan},
    record::Recorder,
    report::{Conformance, NotRun, TimeReport},
    request::Request,
    run::{self, EngineRun, Judged, Session, Work},
    shrink::{self, Failing},
    truths::{Oracles, Truth},
};
use crate::{
    engine::{EngineReport, Status},
    outcome::{Outcome, Whole},
    output::Output,
    registry::{self, Engine},
    results::{Folder, PackIdentity},
};
use anyhow::Result;
use assay_worker::Launch;
use kernel_cases::case::Source;
use kernel_pack::Pack;
use std::collections::BTreeMap;

/// Runs a plan on the engines that are ready.
///
/// # Errors
/// If the results folder cannot be written.
pub fn run(
    pack: &Pack,
    plan: Plan,
    request: &Request,
    engines: &[Engine],
    folder: &Folder,
    output: &Output,
) -> Result<Conformance> {
    let launches: Vec<Launch> = engines.iter().filter_map(Engine::launch).cloned().collect();
    let runtimes: Vec<String> = launches.iter().map(|launch| launch.id.clone()).collect();
    let device = plan.device;
    let repeat = |runtime: &str, kernel: &str, variant: &str, case: &str, layer| {
        request.repeat(runtime, kernel, variant, case, layer)
    };
    let mut recorder = Recorder::new(folder, runtimes.clone(), &repeat)?;
    let per_engine: usize = plan.work.iter().map(|work| work.cases.len()).sum();
    let progress = output.progress_bar(
        "conform",
        (per_engine * launches.len()) as u64,
        "{wide_bar} {pos}/{len} cases, {per_sec}, {eta} left",
    );
    let mut all_answers = Answers::default();
    let mut ran = Ran::default();
    let mut envelopes = Envelopes::default();
    let runs = run::run(
        &launches,
        &plan.work,
        Some(&request.limits),
        &|info, subject| {
            device.map_or(Ok(()), |device| device.gate(info))?;
            plan::gate(pack, info, subject)
        },
        &|| progress.inc(1),
        |judged| {
            ran.add(&judged);
            envelopes.add(&judged);
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
        (request.seed, request.cases),
        answers::digest(&plan.work),
        versions.collect(),
    );
    all_answers.write(folder, &of_run)?;

    let held_back = held_back(device, &runs);
    let (mut reasons, not_run) = ran.missing(&runtimes, &plan.work, &runs, &held_back);
    make_smaller(&mut recorder, &launches, &plan.work, pack, request)?;
    let mut notes = plan.notes;
    notes.extend(notes_of(&runtimes, &runs, &plan.work));

    let engines = reports(engines, runs);
    let (results, mut counts) = recorder.finish();
    let absent = engines.iter().filter(|one| one.status == Status::Absent);
    counts.absent += (absent.count() * plan.work.len()) as u64;
    reasons.extend(unjudged(&plan.truths));
    if counts.pass == 0 {
        reasons.push("nothing passed".to_owned());
    }
    let mut conformance = Conformance {
        verdict: Whole::Fail,
        reasons,
        seed: request.seed,
        own_seed: Some(request.own_seed),
        cases: request.cases,
        counts,
        engines,
        notes,
        results,
        numerics: Vec::new(),
        coverage: Vec::new(),
        search: None,
        held_back,
        time_limit: Some(TimeReport {
            seconds: request.limits.run.time().as_secs(),
            module_seconds: request.limits.asked.module,
            not_run,
        }),
        pack_kernels: pack.kernels().len(),
        envelope: envelopes.finish(&runtimes),
        words: None,
        truths: plan.truths,
        evidence: folder.path().display().to_string(),
    };
    conformance.verdict = conformance.follows();
    Ok(conformance)
}

/// Why kernels are not judged, in a line each.
fn unjudged(truths: &[Truth]) -> impl Iterator<Item = String> {
    truths.iter().filter_map(|truth| {
        let reason = truth.unjudged.as_ref()?;
        Some(format!("{} was not judged: {reason}", truth.kernel))
    })
}

/// Engines that a device does not let run, with the reason.
fn held_back(device: Option<&Device>, runs: &[EngineRun]) -> BTreeMap<String, String> {
    let infos = runs.iter().flat_map(|run| &run.info);
    let held_back = infos.filter_map(|info| {
        let reason = device?.gate(info).err()?;
        Some((info.id.clone(), reason))
    });
    held_back.collect()
}

/// What became of each engine; `runs` are those of the engines that are ready, in their order.
fn reports(engines: &[Engine], runs: Vec<EngineRun>) -> Vec<EngineReport> {
    let mut runs = runs.into_iter();
    let report = |engine: &Engine| {
        let run = engine.launch().and_then(|_| runs.next());
        let native_code_not_compared = run.as_ref().map(forms::not_compared);
        let not_started = || Err("it was not started".to_owned());
        EngineReport {
            native_code_not_compared: native_code_not_compared.unwrap_or_default(),
            ..EngineReport::of(engine, || run.map_or_else(not_started, |run| run.info))
        }
    };
    engines.iter().map(report).collect()
}

/// What ran of each module on each engine, to notice what was silently not run.
#[derive(Default)]
struct Ran(BTreeMap<(usize, String, String), OfModule>);

#[derive(Clone, Default)]
struct OfModule {
    cases: usize,
    sequences: usize,
    unsupported: bool,
    /// Why not all was run, if it was not.
    why: Option<String>,
}

impl Ran {
    fn add(&mut self, judged: &Judged<'_>) {
        let subject = judged.subject;
        let key = (
            judged.engine,
            subject.kernel.clone(),
            subject.variant.clone(),
        );
        let of_module = self.0.entry(key).or_default();
        let unsupported = |outcome| outcome == Outcome::Unsupported;
        let ran = match (judged.observed, judged.sequence) {
            (Some(observed), _) => observed.ran,
            (_, Some(sequence)) => sequence.ran,
            (None, None) => true,
        };
        let said = judged.layers.get(&Layer::L1);
        let reason = |detail: &str| {
            let reason = detail.strip_prefix(run::NOT_RUN);
            reason.unwrap_or(detail).to_owned()
        };
        if !ran {
            of_module.why = said.map(|of| reason(&of.detail));
        } else if judged.case.is_some() {
            of_module.cases += 1;
        } else if judged.source == Source::Sequence {
            of_module.sequences += 1;
        } else if judged
            .layers
            .values()
            .any(|judgement| unsupported(judgement.outcome))
        {
            of_module.unsupported = true;
        } else if let Some(of) = said
            && of.outcome == Outcome::Error
        {
            of_module.why.get_or_insert_with(|| reason(&of.detail));
        }
    }

    /// What was due and did not run: in a line each, and the modules that were given up.
    fn missing(
        &self,
        runtimes: &[String],
        work: &[Work],
        runs: &[EngineRun],
        held_back: &BTreeMap<String, String>,
    ) -> (Vec<String>, Vec<NotRun>) {
        let mut reasons = Vec::new();
        let mut not_run = Vec::new();
        for (engine, id) in runtimes.iter().enumerate() {
            let mut all = 0;
            for work in work {
                let subject = &work.subject;
                let key = (engine, subject.kernel.clone(), subject.variant.clone());
                let of_module = self.0.get(&key).cloned().unwrap_or_default();
                all += of_module.cases + of_module.sequences;
                if !of_module.unsupported {
                    let due = (work.judged_cases(), work.sequences.len());
                    of_module.missing(id, &subject.kernel, &subject.variant, due, &mut reasons);
                    not_run.extend(of_module.not_run(id, &key, due));
                }
            }
            for form in runs[engine].forms.iter().filter(|form| form.is_beside()) {
                let key = (engine, form.kernel.clone(), form.name.clone());
                let of_form = self.0.get(&key).cloned().unwrap_or_default();
                let of_kernel = |work: &&Work| work.subject.kernel == form.kernel;
                let due = work.iter().filter(of_kernel);
                let due = due.clone().find(|work| !work.forms.is_empty());
                let due = due.map_or((usize::MAX, of_form.sequences), |work| {
                    (work.judged_cases(), work.sequences.len())
                });
                of_form.missing(id, &form.kernel, &form.name, due, &mut reasons);
                not_run.extend(of_form.not_run(id, &key, due));
            }
            if all == 0 && !held_back.contains_key(id) {
                reasons.push(format!("{id} ran no case at all"));
            }
        }
        (reasons, not_run)
    }
}

impl OfModule {
    /// Adds a line for the cases and one for the sequences that are due and did not run.
    fn missing(
        &self,
        id: &str,
        kernel: &str,
        variant: &str,
        due: (usize, usize),
        reasons: &mut Vec<String>,
    ) {
        let why = self.why.as_deref().unwrap_or_default();
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(": {why}")
        };
        for (ran, due, what) in [
            (self.sequences, due.1, "sequences"),
            (self.cases, due.0, "cases"),
        ] {
            if ran != due {
                reasons.push(format!(
                    "{id} ran {ran} of {due} {what} of {kernel} ({variant}){why}"
                ));
            }
        }
    }

    /// What was not run of a module, if it was given up.
    fn not_run(
        &self,
        id: &str,
        (_, kernel, variant): &(usize, String, String),
        due: (usize, usize),
    ) -> Option<NotRun> {
        Some(NotRun {
            runtime: id.to_owned(),
            kernel: kernel.clone(),
            variant: variant.clone(),
            cases: due.0.saturating_sub(self.cases) as u64,
            sequences: due.1.saturating_sub(self.sequences) as u64,
            reason: self.why.clone()?,
        })
    }
}

/// Makes the first failing case of each engine, module and layer smaller.
fn make_smaller(
    recorder: &mut Recorder<'_>,
    launches: &[Launch],
    work: &[Work],
    pack: &Pack,
    request: &Request,
) -> Result<()> {
    let all = std::mem::take(&mut recorder.to_shrink);
    if all.is_empty() {
        return Ok(());
    }
    let selected = plan::select(pack, &request.kernels)?;
    let mut oracles = Oracles::new(&request.oracles, &selected, request.limits)?;
    for failed in all {
        let of_kernel = |work: &&Work| work.subject.kernel == failed.kernel;
        let of_module = work
            .iter()
            .filter(of_kernel)
            .find_map(|work| Some((work.subject(&failed.variant)?, work)));
        let Some((subject, work)) = of_module else {
            continue;
        };
        let cases = work.cases.iter().map(|prepared| &prepared.case);
        let named = |name: &str| cases.clone().find(|case| case.name == name);
        let Some(case) = named(&failed.case) else {
            continue;
        };
        let relation = case.open.as_ref().and_then(|call| call.relation.as_ref());
        let failing = Failing {
            subject: &subject,
            layer: failed.layers[0],
            case,
            of: relation.and_then(|relation| named(&relation.of)),
            kernel: pack.kernel(&failed.kernel),
            seeds: (request.seed, request.own_seed),
        };
        let bare = registry::without_code_cache(&launches[failed.engine]);
        let session = match subject.code {
            Some(_) => Session::confined(&bare),
            None => Session::new(&launches[failed.engine]),
        };
        let others = launches.iter().enumerate();
        let others = others.filter(|(engine, _)| *engine != failed.engine);
        let others = others.map(|(_, launch)| launch).collect();
        let limit = request.limits.run;
        let what = match shrink::shrink(&failing, session, others, (&mut oracles, limit)) {
            Ok(smallest) => {
                recorder.write_shrunk(&failed, &smallest)?;
                smallest.describe()
            }
            Err(reason) => reason,
        };
        recorder.shrunk(&failed, &what);
    }
    Ok(())
}

/// Compiled forms and caches that engines used or did not.
fn notes_of(runtimes: &[String], runs: &[EngineRun], work: &[Work]) -> Vec<String> {
    let claimed: Vec<_> = runs.iter().flat_map(|run| run.forms.clone()).collect();
    let brought = work.iter().flat_map(|work| {
        let forms = work.forms.iter();
        forms.map(|form| (work.subject.kernel.as_str(), form))
    });
    let mut notes = forms::unclaimed(brought, &claimed);
    for (id, run) in runtimes.iter().zip(runs) {
        notes.extend(forms::notes(id, &run.forms));
        let Ok(info) = &run.info else { continue };
        if let Some(cache) = info.build.get(runtime_cache::Caching::OPTION) {
            notes.push(format!("{} code cache: {cache}", info.id));
        }
    }
    notes
}
