//! Drives conformance: engines side by side, each in its worker, subjects one after the other on each, judged when all
//! engines have reported a subject.

use super::{
    exports,
    forms::{self, CompiledForm, Fate, FormUse},
    judge::{self, Judgement, Layer, Layers},
    observe::{self, Alone, Ended, Exchange, Observed},
    plan,
    sequence::{self, Sequence},
    subject::{self, Prepared, Subject},
};
use crate::{
    outcome::Outcome,
    parallel::{self, Say},
    registry::{self, SLOW_COMPILERS},
    time_limits::TimeLimits,
};
use anyhow::Result;
use assay_worker::{Confinement, Launch, RunError, TimeLimit, Worker};
use kernel_cases::case::{Case, Entry, Source};
use runtime_api::{Error, Info};
use std::collections::BTreeMap;

/// Workers that a subject may lose on an engine before its remaining cases are given up: bounds the time of a run.
const MAX_LOST_WORKERS: u32 = 3;
/// Calls of a subject that may use up their deadline on an engine before its remaining cases are given up: a deadline may be ten minutes.
const MAX_USED_UP: u32 = 3;

/// What the reason begins with why a case was not run.
pub const NOT_RUN: &str = "not run: ";

/// A subject with its cases.
pub struct Work {
    /// The module.
    pub subject: Subject,
    /// Why nothing says whether what it computes is right, if nothing does.
    pub unjudged: Option<String>,
    /// What a pack brings of the module compiled.
    pub forms: Vec<CompiledForm>,
    /// Its cases, placed.
    pub cases: Vec<Prepared>,
    /// Cases that do not fit the memory that the manifest allows, with the reason.
    pub unplaceable: Vec<(Case, String)>,
    /// Sequences of these cases, each on an instance of its own.
    pub sequences: Vec<Sequence>,
    /// Only the sequences are judged: the cases run for what they are compared with.
    pub sequences_only: bool,
    /// What places follow from.
    seed: u64,
}

impl Work {
    /// Places cases for a subject; what is drawn follows from `seed`.
    pub fn new(subject: Subject, cases: Vec<Case>, seed: u64) -> Work {
        let unjudged = subject.standard.contract.as_ref().err().cloned();
        let mut work = Work {
            subject,
            unjudged,
            forms: Vec::new(),
            cases: Vec::new(),
            unplaceable: Vec::new(),
            sequences: Vec::new(),
            sequences_only: false,
            seed,
        };
        cases.into_iter().for_each(|case| work.add(case));
        work
    }

    /// Places one more case.
    pub fn add(&mut self, case: Case) {
        match subject::prepare(case.clone(), &self.subject, self.seed) {
            Ok(prepared) => self.cases.push(prepared),
            Err(error) => self.unplaceable.push((case, format!("failed to {error}"))),
        }
    }

    /// A case that was drawn, placed: what the native build answers is the status that is due. `None` where it does not fit, and where nothing says what
    /// is due.
    pub fn prepared(&self, case: Case) -> Option<Prepared> {
        let prepared = subject::prepare(case, &self.subject, self.seed).ok()?;
        let mut case = prepared.case.clone();
        case.expect = prepared.native.as_ref()?.status;
        Some(Prepared { case, ..prepared })
    }

    /// Cases that are judged by themselves.
    pub fn judged_cases(&self) -> usize {
        if self.sequences_only {
            0
        } else {
            self.cases.len()
        }
    }

    /// The case that the answer of a case follows from, if it follows from one.
    fn related(&self, index: usize) -> Option<usize> {
        let call = self.cases[index].case.open.as_ref()?;
        let of = &call.relation.as_ref()?.of;
        self.cases.iter().position(|other| other.case.name == *of)
    }

    /// Adds sequences of its cases; only the one of this name, if one is named.
    pub fn with_sequences(&mut self, deep: bool, only: Option<&str>) {
        self.sequences = sequence::plan(&self.cases, &self.subject, self.seed, deep);
        if let Some(only) = only {
            self.sequences.retain(|sequence| sequence.name == only);
            self.sequences_only = true;
        }
    }

    /// The module of this name: the one that all engines run, or a form of it.
    pub fn subject(&self, variant: &str) -> Option<Subject> {
        if self.subject.variant == variant {
            return Some(self.subject.clone());
        }
        let form = self.forms.iter().find(|form| form.name() == variant)?;
        Some(form.subject(&self.subject))
    }
}

/// What is known of an engine before a subject is loaded: whether the pack may run there.
pub type Gate<'a> = dyn Fn(&Info, &Subject) -> Result<(), String> + Sync + 'a;

/// A case on an engine, judged. `case` is `None` for what concerns the module as a whole.
pub struct Judged<'a> {
    /// Index of the engine in the list that was run.
    pub engine: usize,
    /// The module.
    pub subject: &'a Subject,
    /// The case, or the module as a whole.
    pub case: Option<&'a Prepared>,
    /// Name of the case or the sequence; `edge:module` for the module as a whole.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// What was seen; `None` where nothing ran.
    pub observed: Option<&'a Observed>,
    /// What came of the sequence, if it is one.
    pub sequence: Option<&'a sequence::Ran>,
    /// The layers.
    pub layers: Layers,
}

/// What became of an engine.
pub struct EngineRun {
    /// The engine's own words on itself, or why it did not start.
    pub info: Result<Info, String>,
    /// What became of the forms that a pack brings for it.
    pub forms: Vec<FormUse>,
}

/// What an engine reported of a subject, and of the form of it that was judged beside.
struct Reports {
    module: Report,
    forms: Vec<FormUse>,
    beside: Option<(Subject, Report)>,
}

/// What an engine reported of a subject.
enum Report {
    /// One observation per case, what came of each sequence, and what is wrong with the module as a whole.
    Ran {
        module: Judgement,
        cases: Vec<Observed>,
        sequences: Vec<sequence::Ran>,
    },
    /// Nothing ran, for this reason.
    Skipped(Outcome, String),
}

/// Runs all subjects on all engines. `judged` is called for every (engine, subject, case), engines of a case one after the
/// other; `step` after every case that ran. No module is waited for longer than `limits` allow. A form that is judged beside its module is a subject of its own. Answers what became of the
/// engines, in the order of `launches`.
///
/// # Errors
/// Whatever `judged` answers; the run ends then.
pub fn run(
    launches: &[Launch],
    work: &[Work],
    limits: Option<&TimeLimits>,
    gate: &Gate<'_>,
    step: &(dyn Fn() + Sync),
    mut judged: impl FnMut(Judged<'_>) -> Result<()>,
) -> Result<Vec<EngineRun>> {
    // Engines that compile slowly start first, so that the last one does not run alone for long.
    let mut order: Vec<usize> = (0..launches.len()).collect();
    order.sort_by_key(|&index| {
        let mut slow = SLOW_COMPILERS.iter();
        slow.position(|slow| *slow == launches[index].id)
            .unwrap_or(SLOW_COMPILERS.len())
    });
    let mut runs: Vec<EngineRun> = launches
        .iter()
        .map(|_| EngineRun {
            info: Err("it was not started".to_owned()),
            forms: Vec::new(),
        })
        .collect();

    let report = |engine: usize, say: &Say<'_, Message>| {
        let launch = &launches[engine];
        let bare = registry::without_code_cache(launch);
        let mut session = Session::new(launch);
        // Starts when it is needed.
        let mut confined = None;
        if !say(Message::Info(engine, session.info())) {
            return;
        }
        for (index, work) in work.iter().enumerate() {
            let reports = session.reports(work, limits, gate, step, (&mut confined, &bare));
            if !say(Message::Reports(engine, index, Box::new(reports))) {
                return;
            }
        }
    };
    let mut pending: BTreeMap<usize, Vec<Option<Reports>>> = BTreeMap::new();
    let mut hear = |message| {
        match message {
            Message::Info(engine, info) => runs[engine].info = info,
            Message::Reports(engine, index, report) => {
                runs[engine].forms.extend(report.forms.iter().cloned());
                let reports = pending
                    .entry(index)
                    .or_insert_with(|| launches.iter().map(|_| None).collect());
                reports[engine] = Some(*report);
                if reports.iter().all(Option::is_some) {
                    let reports = pending.remove(&index).unwrap_or_default();
                    let reports: Vec<_> = reports.into_iter().flatten().collect();
                    judge_work(&work[index], &reports, &mut judged)?;
                }
            }
        }
        Ok(())
    };
    parallel::messages(&order, parallel::processors(), &report, &mut hear)?;
    Ok(runs)
}

enum Message {
    Info(usize, Result<Info, String>),
    Reports(usize, usize, Box<Reports>),
}

fn judge_work(
    work: &Work,
    reports: &[Reports],
    judged: &mut impl FnMut(Judged<'_>) -> Result<()>,
) -> Result<()> {
    let modules = reports.iter().map(|reports| &reports.module);
    for (engine, report) in modules.clone().enumerate() {
        judge_module(engine, &work.subject, report, judged)?;
    }
    let ran: Vec<(usize, &Vec<Observed>)> = modules
        .enumerate()
        .filter_map(|(engine, report)| Some((engine, report.cases()?)))
        .collect();
    let judged_cases = || {
        let cases = work.cases.iter().enumerate();
        cases.filter(|_| !work.sequences_only)
    };
    for (index, prepared) in judged_cases() {
        let observed: Vec<&Observed> = ran.iter().map(|(_, cases)| &cases[index]).collect();
        let layers = judge::judge(prepared, &observed);
        let other = work.related(index);
        for (((engine, cases), observed), mut layers) in ran.iter().zip(observed).zip(layers) {
            if let Some(other) = other {
                let (found, seen) = (&work.cases[other], &cases[other]);
                let held = judge::related(prepared, observed, (found, seen));
                layers.extend(held.map(|held| (Layer::L7, held)));
            }
            judged(Judged {
                engine: *engine,
                subject: &work.subject,
                case: Some(prepared),
                name: prepared.case.name.clone(),
                source: prepared.case.source,
                observed: Some(observed),
                sequence: None,
                layers,
            })?;
        }
    }
    for (engine, _) in &ran {
        judge_unplaceable(*engine, work, &work.subject, judged)?;
        if let Some(reason) = &work.unjudged {
            judged(Judged {
                engine: *engine,
                subject: &work.subject,
                case: None,
                name: "edge:truth".to_owned(),
                source: Source::Edge,
                observed: None,
                sequence: None,
                layers: Layers::from([(
                    Layer::L4,
                    Judgement::of(Outcome::Unjudged, reason.clone()),
                )]),
            })?;
        }
    }
    for (engine, reports) in reports.iter().enumerate() {
        judge_sequences(engine, work, &work.subject, &reports.module, judged)?;
    }
    for (engine, reports) in reports.iter().enumerate() {
        let Some((form, report)) = &reports.beside else {
            continue;
        };
        judge_module(engine, form, report, judged)?;
        let Some(cases) = report.cases() else {
            continue;
        };
        for ((index, prepared), own) in judged_cases().zip(cases) {
            // Agreement is with the module on all engines; what it says of them is said above.
            let others = ran.iter().map(|(_, cases)| &cases[index]);
            let observed: Vec<&Observed> = others.chain([own]).collect();
            judged(Judged {
                engine,
                subject: form,
                case: Some(prepared),
                name: prepared.case.name.clone(),
                source: prepared.case.source,
                observed: Some(own),
                sequence: None,
                layers: judge::judge(prepared, &observed).pop().unwrap_or_default(),
            })?;
        }
        judge_unplaceable(engine, work, form, judged)?;
        judge_sequences(engine, work, form, report, judged)?;
    }
    Ok(())
}

fn judge_sequences(
    engine: usize,
    work: &Work,
    subject: &Subject,
    report: &Report,
    judged: &mut impl FnMut(Judged<'_>) -> Result<()>,
) -> Result<()> {
    let Report::Ran { sequences, .. } = report else {
        return Ok(());
    };
    for (sequence, ran) in work.sequences.iter().zip(sequences) {
        judged(Judged {
            engine,
            subject,
            case: None,
            name: sequence.name.clone(),
            source: Source::Sequence,
            observed: None,
            sequence: Some(ran),
            layers: ran.layers.clone(),
        })?;
    }
    Ok(())
}

fn judge_module(
    engine: usize,
    subject: &Subject,
    report: &Report,
    judged: &mut impl FnMut(Judged<'_>) -> Result<()>,
) -> Result<()> {
    let module = match report {
        Report::Ran { module, .. } => module.clone(),
        Report::Skipped(outcome, reason) => Judgement::of(*outcome, reason.clone()),
    };
    judged(Judged {
        engine,
        subject,
        case: None,
        name: plan::MODULE.to_owned(),
        source: Source::Edge,
        observed: None,
        sequence: None,
        layers: Layers::from([(Layer::L1, module)]),
    })
}

fn judge_unplaceable(
    engine: usize,
    work: &Work,
    subject: &Subject,
    judged: &mut impl FnMut(Judged<'_>) -> Result<()>,
) -> Result<()> {
    for (case, reason) in &work.unplaceable {
        judged(Judged {
            engine,
            subject,
            case: None,
            name: case.name.clone(),
            source: case.source,
            observed: None,
            sequence: None,
            layers: Layers::from([(Layer::L1, Judgement::of(Outcome::Error, reason.clone()))]),
        })?;
    }
    Ok(())
}

impl Report {
    fn cases(&self) -> Option<&Vec<Observed>> {
        match self {
            Report::Ran { cases, .. } => Some(cases),
            Report::Skipped(..) => None,
        }
    }
}

/// An engine's worker, started again when it is lost.
pub struct Session<'a> {
    launch: &'a Launch,
    worker: Result<Worker, String>,
    /// What the worker cannot do, where it gave up its rights.
    confinement: Option<Confinement>,
    /// When the module that runs has to have ended.
    limit: Option<TimeLimit>,
    /// Calls of that module that used up their deadline.
    used_up: u32,
}

impl<'a> Session<'a> {
    /// Starts a worker.
    pub fn new(launch: &'a Launch) -> Self {
        Self {
            launch,
            worker: start(launch),
            confinement: None,
            limit: None,
            used_up: 0,
        }
    }

    /// Starts a worker that gives up what running loaded code does not need, and can compile nothing any more.
    pub fn confined(launch: &'a Launch) -> Self {
        let mut session = Self {
            launch,
            worker: Err(String::new()),
            confinement: Some(Confinement::default()),
            limit: None,
            used_up: 0,
        };
        session.restart();
        session
    }

    fn info(&self) -> Result<Info, String> {
        match &self.worker {
            Ok(worker) => Ok(worker.info().clone()),
            Err(reason) => Err(reason.clone()),
        }
    }

    fn restart(&mut self) {
        self.worker = start(self.launch);
        if self.confinement.is_some() {
            let confined = match &mut self.worker {
                Ok(worker) => worker
                    .confine()
                    .map_err(|error| format!("failed to {error}")),
                Err(reason) => Err(reason.clone()),
            };
            match confined {
                Ok(confinement) => self.confinement = Some(confinement),
                // Whoever does not confine itself when it is asked gets no code.
                Err(reason) => {
                    self.confinement = Some(Confinement::none(&reason));
                    self.worker = Err(reason);
                }
            }
        }
        if let Ok(worker) = &mut self.worker {
            worker.end_by(self.limit);
        }
    }

    /// Begins with a module, which has to have ended by this limit.
    pub fn begin(&mut self, limit: Option<TimeLimit>) {
        self.used_up = 0;
        self.limit = limit;
        if let Ok(worker) = &mut self.worker {
            worker.end_by(limit);
        }
    }

    /// Why nothing more is asked of the module, of which so many workers were lost.
    fn given_up(&self, lost_workers: u32) -> Option<String> {
        let limits = [self.launch.time_limit, self.limit].into_iter().flatten();
        if let Some(limit) = limits.into_iter().find(TimeLimit::is_reached) {
            return Some(limit.to_string());
        }
        if self.used_up >= MAX_USED_UP {
            return Some(format!("{MAX_USED_UP} calls used up their deadline"));
        }
        (lost_workers >= MAX_LOST_WORKERS)
            .then(|| format!("{MAX_LOST_WORKERS} workers were lost on this module"))
    }

    /// Loads a subject, for [`one`](Self::one).
    ///
    /// # Errors
    /// The outcome and the reason if it cannot be loaded.
    pub fn load(&mut self, subject: &Subject) -> Result<observe::Loaded, (Outcome, String)> {
        let worker = match &mut self.worker {
            Ok(worker) => worker,
            Err(reason) => return Err((Outcome::Error, reason.clone())),
        };
        observe::load(worker, subject).map_err(|error| {
            let outcome = match &error {
                RunError::Engine(Error::Unsupported { .. }) => Outcome::Unsupported,
                RunError::Engine(_) => Outcome::Fail,
                RunError::Worker(_) => Outcome::Error,
            };
            (outcome, format!("failed to {error}"))
        })
    }

    /// Runs one case.
    pub fn one(
        &mut self,
        subject: &Subject,
        loaded: observe::Loaded,
        prepared: &Prepared,
    ) -> (Observed, Option<Alone>) {
        match &mut self.worker {
            Ok(worker) => {
                let exchange = Exchange {
                    worker,
                    subject,
                    loaded,
                    used_up: &mut self.used_up,
                };
                observe::observe(exchange, prepared)
            }
            Err(reason) => (observe::lost_case(reason.clone(), false), None),
        }
    }

    /// Runs one case once, for those who look at many and judge few.
    pub fn once(
        &mut self,
        subject: &Subject,
        loaded: observe::Loaded,
        prepared: &Prepared,
    ) -> Ended {
        match &mut self.worker {
            Ok(worker) => {
                let exchange = Exchange {
                    worker,
                    subject,
                    loaded,
                    used_up: &mut self.used_up,
                };
                observe::once(exchange, prepared)
            }
            Err(reason) => Ended::Lost(reason.clone()),
        }
    }

    /// Runs a sequence.
    pub fn sequence(
        &mut self,
        subject: &Subject,
        loaded: observe::Loaded,
        work: &Work,
        alone: &[Option<Alone>],
        sequence: &Sequence,
    ) -> sequence::Ran {
        match &mut self.worker {
            Ok(worker) => {
                let exchange = Exchange {
                    worker,
                    subject,
                    loaded,
                    used_up: &mut self.used_up,
                };
                sequence::run(exchange, &work.cases, alone, sequence)
            }
            Err(reason) => sequence::Ran::not_run(reason.clone()),
        }
    }

    /// Why the engine cannot run a subject: it did not start, or lacks a feature.
    pub fn lacks(&self, subject: &Subject) -> Option<String> {
        let features = match self.info() {
            Ok(info) => info.capabilities.features,
            Err(reason) => return Some(reason),
        };
        let mut needed = subject.features.iter();
        let missing = needed.find(|feature| !features.contains(feature))?;
        Some(format!("{} lacks `{missing}`", self.launch.id))
    }

    /// Runs all cases of `work` on a module that keeps flags, and returns what it told of them.
    ///
    /// # Errors
    /// The reason why nothing is known: the module was not run, or a worker was lost with what it knew.
    pub fn flags(
        &mut self,
        work: &Work,
        subject: &Subject,
        limits: &TimeLimits,
    ) -> Result<Vec<u32>, String> {
        if let Err(reason) = &subject.standard.contract {
            return Err(reason.clone());
        }
        let cases = match self.report(work, subject, Some(limits), &|| ()) {
            Report::Ran { cases, .. } => cases,
            Report::Skipped(_, reason) => return Err(reason),
        };
        let lost = cases.iter().find_map(|observed| match &observed.ended {
            Ended::Lost(reason) => Some(reason.clone()),
            _ => None,
        });
        match (lost, &self.worker) {
            (Some(reason), _) => Err(reason),
            (None, Err(reason)) => Err(reason.clone()),
            (None, Ok(worker)) => Ok(worker.gathered().to_vec()),
        }
    }

    /// What runs of the module that was loaded last told of its flags, if it keeps some.
    pub fn gathered(&self) -> &[u32] {
        self.worker.as_ref().map_or(&[], Worker::gathered)
    }

    /// Judges a module, and the form of it that fits the engine: beside the module, or where the engine cannot compile, instead of it. What was
    /// not found to be the module's own runs in the confined session, which is started for the first of them.
    fn reports<'c>(
        &mut self,
        work: &Work,
        limits: Option<&TimeLimits>,
        gate: &Gate<'_>,
        step: &(dyn Fn() + Sync),
        (confined, bare): (&mut Option<Session<'c>>, &'c Launch),
    ) -> Reports {
        let alone = |module| Reports {
            module,
            forms: Vec::new(),
            beside: None,
        };
        let info = match self.info() {
            Ok(info) => info,
            Err(reason) => {
                let reason = self.given_up(0).unwrap_or(reason);
                return alone(Report::Skipped(Outcome::Error, reason));
            }
        };
        if let Err(reason) = gate(&info, &work.subject) {
            return alone(Report::Skipped(Outcome::Unsupported, reason));
        }
        if let (Err(_), Some(reason)) = (&work.subject.standard.contract, &work.unjudged) {
            return alone(Report::Skipped(Outcome::Unjudged, reason.clone()));
        }
        let (mut forms, form) = match &mut self.worker {
            Ok(worker) => {
                let decided = forms::decide(worker, &work.subject, &work.forms);
                if decided.lost {
                    self.restart();
                }
                (decided.uses, decided.loaded)
            }
            Err(_) => (Vec::new(), None),
        };
        let Some(form) = form else {
            return Reports {
                module: self.report(work, &work.subject, limits, step),
                forms,
                beside: None,
            };
        };
        let subject = form.subject(&work.subject);
        let believed = forms.iter_mut().find_map(|form| match &mut form.fate {
            Fate::Believed(code) => Some(code),
            _ => None,
        });
        let Some(code) = believed else {
            return Reports {
                module: self.report(work, &work.subject, limits, step),
                beside: Some((subject.clone(), self.report(work, &subject, limits, step))),
                forms,
            };
        };
        let session = confined.get_or_insert_with(|| Session::confined(bare));
        let (module, beside) = if forms::compiles(&info) {
            let module = self.report(work, &work.subject, limits, step);
            let beside = session.report(work, &subject, limits, step);
            (module, Some((subject, beside)))
        } else {
            (session.report(work, &subject, limits, step), None)
        };
        if let Some(confinement) = &session.confinement {
            code.confinement = confinement.words();
        }
        Reports {
            module,
            forms,
            beside,
        }
    }

    /// Runs the cases of `work` on one of its subjects.
    fn report(
        &mut self,
        work: &Work,
        subject: &Subject,
        limits: Option<&TimeLimits>,
        step: &(dyn Fn() + Sync),
    ) -> Report {
        self.begin(limits.map(|limits| limits.of_module(subject.ticks)));
        let mut loaded = match self.load(subject) {
            Ok(loaded) => loaded,
            Err((outcome, reason)) => {
                if outcome == Outcome::Error {
                    self.restart();
                }
                return Report::Skipped(outcome, self.given_up(0).unwrap_or(reason));
            }
        };
        let mut lost_workers = 0;
        let mut observed_cases = Vec::with_capacity(work.cases.len());
        let mut all_alone = Vec::with_capacity(work.cases.len());
        for prepared in &work.cases {
            if let Some(reason) = self.given_up(lost_workers) {
                observed_cases.push(observe::lost_case(format!("{NOT_RUN}{reason}"), false));
                all_alone.push(None);
                continue;
            }
            let (observed, alone) = self.one(subject, loaded, prepared);
            all_alone.push(alone);
            step();
            if matches!(observed.ended, Ended::Lost(_)) {
                lost_workers += 1;
                self.restart();
                match self.load(subject) {
                    Ok(again) => loaded = again,
                    // What follows is not run, with this very reason.
                    Err(_) if self.given_up(lost_workers).is_some() => {}
                    Err((_, reason)) => {
                        lost_workers = MAX_LOST_WORKERS;
                        observed_cases.push(observed);
                        // The reason stands in the cases that follow; this one keeps its own.
                        self.worker = Err(reason);
                        continue;
                    }
                }
            }
            observed_cases.push(observed);
        }
        let mut sequences = Vec::with_capacity(work.sequences.len());
        for sequence in &work.sequences {
            if let Some(reason) = self.given_up(lost_workers) {
                sequences.push(sequence::Ran::not_run(format!("{NOT_RUN}{reason}")));
                continue;
            }
            let ran = self.sequence(subject, loaded, work, &all_alone, sequence);
            let lost = ran.lost;
            sequences.push(ran);
            if lost {
                self.restart();
                match self.load(subject) {
                    Ok(again) => loaded = again,
                    Err((_, reason)) => self.worker = Err(reason),
                }
            }
        }
        let (module, gradient) = match self.given_up(lost_workers) {
            Some(reason) => {
                let not_run = Judgement::of(Outcome::Error, format!("{NOT_RUN}{reason}"));
                (not_run, true)
            }
            None => self.module(subject, loaded, &work.cases),
        };
        if !gradient {
            leave_out_gradients(work, &mut observed_cases);
        }
        if module.outcome == Outcome::Error {
            self.restart();
        }
        Report::Ran {
            module,
            cases: observed_cases,
            sequences,
        }
    }

    /// Judges what concerns a module as a whole, and says whether it states a gradient; where that is not known, it may.
    pub fn module(
        &mut self,
        subject: &Subject,
        loaded: observe::Loaded,
        cases: &[Prepared],
    ) -> (Judgement, bool) {
        let worker = match &mut self.worker {
            Ok(worker) => worker,
            Err(reason) => return (Judgement::of(Outcome::Error, reason.clone()), true),
        };
        let mut exchange = Exchange {
            worker,
            subject,
            loaded,
            used_up: &mut self.used_up,
        };
        let cases: Vec<&Case> = cases.iter().map(|one| &one.case).collect();
        match exports::observe(&mut exchange, &cases) {
            Ok(says) => (Judgement::of(Outcome::Pass, String::new()), says.gradient),
            Err(exports::Stop::Wrong(what)) => (Judgement::of(Outcome::Fail, what), true),
            Err(exports::Stop::Ended(ended)) => {
                let outcome = match ended {
                    Ended::Lost(_) => Outcome::Error,
                    _ => Outcome::Fail,
                };
                (Judgement::of(outcome, observe::describe(&ended)), true)
            }
        }
    }
}

/// Other people's kernels need have no gradient: where `kernel_info` says that there is none, the cases of it say nothing.
fn leave_out_gradients(work: &Work, observed: &mut [Observed]) {
    if work.subject.standard.same_source {
        return;
    }
    for (prepared, observed) in work.cases.iter().zip(observed) {
        if prepared.case.entry == Entry::Backward {
            observed.ended = Ended::Stopped(Error::unsupported(
                "`kernel_info` says that there is no gradient, so none is judged",
            ));
        }
    }
}

fn start(launch: &Launch) -> Result<Worker, String> {
    Worker::start(launch).map_err(|error| format!("failed to {error}"))
}
