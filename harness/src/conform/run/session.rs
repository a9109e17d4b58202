//! An engine's worker over all modules of a run: cases, sequences, and what concerns a module as a whole.

use super::{Gate, NOT_RUN, Report, Reports, Work};
use crate::{
    conform::{
        exports,
        forms::{self, Fate},
        judge::Judgement,
        observe::{self, Alone, Ended, Exchange, Observed},
        search,
        sequence::{self, Sequence},
        subject::{Prepared, Subject},
        unable,
    },
    coverage::joined,
    outcome::Outcome,
    time_limits::TimeLimits,
};
use assay_worker::{Confinement, Launch, RunError, TimeLimit, Worker};
use kernel_cases::case::{Case, Entry};
use runtime_api::{Error, Info};

/// Workers that a subject may lose on an engine before its remaining cases are given up: bounds the time of a run.
const MAX_LOST_WORKERS: u32 = 3;
/// Calls of a subject that may use up their deadline on an engine before its remaining cases are given up: a deadline may be ten minutes.
const MAX_USED_UP: u32 = 3;

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

    pub(super) fn info(&self) -> Result<Info, String> {
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
    pub(in crate::conform) fn given_up(&self, lost_workers: u32) -> Option<String> {
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

    /// The worker with a module in it, or why there is none.
    fn exchange<'e>(
        &'e mut self,
        subject: &'e Subject,
        loaded: observe::Loaded,
    ) -> Result<Exchange<'e>, String> {
        match &mut self.worker {
            Ok(worker) => Ok(Exchange {
                worker,
                subject,
                loaded,
                used_up: &mut self.used_up,
            }),
            Err(reason) => Err(reason.clone()),
        }
    }

    /// Runs one case.
    pub fn one(
        &mut self,
        subject: &Subject,
        loaded: observe::Loaded,
        prepared: &Prepared,
    ) -> (Observed, Option<Alone>) {
        match self.exchange(subject, loaded) {
            Ok(exchange) => observe::observe(exchange, prepared),
            Err(reason) => (observe::lost_case(reason, false), None),
        }
    }

    /// Runs one case once, for those who look at many and judge few.
    pub fn once(
        &mut self,
        subject: &Subject,
        loaded: observe::Loaded,
        prepared: &Prepared,
    ) -> Ended {
        match self.exchange(subject, loaded) {
            Ok(exchange) => observe::once(exchange, prepared),
            Err(reason) => Ended::Lost(reason),
        }
    }

    /// What a fresh instance says that it is, for [`sequence`](Self::sequence).
    pub(crate) fn identity(
        &mut self,
        subject: &Subject,
        loaded: observe::Loaded,
    ) -> Option<exports::Identity> {
        let mut exchange = self.exchange(subject, loaded).ok()?;
        exports::identity(&mut exchange)
    }

    /// Runs a sequence.
    pub(crate) fn sequence(
        &mut self,
        subject: &Subject,
        loaded: observe::Loaded,
        work: &Work,
        fresh: (&[Option<Alone>], Option<&exports::Identity>),
        sequence: &Sequence,
    ) -> sequence::Ran {
        match self.exchange(subject, loaded) {
            Ok(exchange) => sequence::run(exchange, &work.cases, fresh, sequence),
            Err(reason) => sequence::Ran::not_run(reason),
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
        let unable = cases.iter().find_map(unable::in_case);
        match (unable, &self.worker) {
            (Some(reason), _) => Err(reason),
            (None, Err(reason)) => Err(reason.clone()),
            (None, Ok(worker)) => Ok(worker.gathered().to_vec()),
        }
    }

    /// The flags `reached` before, and those that a search's cases set on a module that keeps flags.
    ///
    /// # Errors
    /// As [`flags`](Self::flags).
    pub fn further_flags(
        &mut self,
        work: &Work,
        subject: &Subject,
        reached: &[u32],
        limits: &TimeLimits,
    ) -> Result<Vec<u32>, String> {
        let cases = work.cases.iter();
        let mut cases = cases.filter(|one| search::found(&one.case)).peekable();
        if cases.peek().is_none() {
            // Loading takes long, and nothing is to be run.
            return Ok(reached.to_vec());
        }
        self.begin(Some(limits.of_module(subject.ticks)));
        let loaded = self.load(subject).map_err(|(_, reason)| reason)?;
        for prepared in cases {
            if let Ended::Lost(reason) = self.once(subject, loaded, prepared) {
                return Err(reason);
            }
        }
        let mut gathered = self.gathered().to_vec();
        // Calls that do not return tell nothing.
        gathered.resize(reached.len(), 0);
        Ok(joined(&gathered, reached))
    }

    /// What runs of the module that was loaded last told of its flags, if it keeps some.
    pub fn gathered(&self) -> &[u32] {
        self.worker.as_ref().map_or(&[], Worker::gathered)
    }

    /// Judges a module, and the form of it that fits the engine: beside the module, or where the engine cannot compile, instead of it. What was
    /// not found to be the module's own runs in the confined session, which is started for the first of them.
    pub(super) fn reports<'c>(
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
            Err(refused) => {
                let info = self.worker.as_ref().ok().map(Worker::info);
                let (outcome, reason) = unable::refusal(info, subject, refused);
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
        let identity = match self.given_up(lost_workers) {
            None if !work.sequences.is_empty() => self.identity(subject, loaded),
            _ => None,
        };
        let mut sequences = Vec::with_capacity(work.sequences.len());
        for sequence in &work.sequences {
            if let Some(reason) = self.given_up(lost_workers) {
                sequences.push(sequence::Ran::not_run(format!("{NOT_RUN}{reason}")));
                continue;
            }
            let fresh = (&all_alone[..], identity.as_ref());
            let ran = self.sequence(subject, loaded, work, fresh, sequence);
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
        let mut exchange = match self.exchange(subject, loaded) {
            Ok(exchange) => exchange,
            Err(reason) => return (Judgement::of(Outcome::Error, reason), true),
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
            observed.ended =
                Ended::NotAsked("`kernel_info` says that there is no gradient, so none is judged");
        }
    }
}

fn start(launch: &Launch) -> Result<Worker, String> {
    Worker::start(launch).map_err(|error| format!("failed to {error}"))
}
