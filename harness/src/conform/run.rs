//! Drives conformance: engines side by side, each in its worker, subjects one after the other on each, judged when all
//! engines have reported a subject.

use super::{
    case::Case,
    judge::{self, Judgement, Layer, Layers},
    observe::{self, Ended, Observed},
    subject::{self, Prepared, Subject},
};
use crate::{
    outcome::Outcome,
    parallel::{self, Say},
    registry::SLOW_COMPILERS,
    worker::{Launch, RunError, Worker},
};
use anyhow::Result;
use kernel_core::Kernel;
use runtime_api::{Error, Info};
use std::collections::BTreeMap;

/// Workers that a subject may lose on an engine before its remaining cases are given up: bounds the time of a run.
const MAX_LOST_WORKERS: u32 = 3;

/// A subject with its cases.
pub struct Work {
    /// The module.
    pub subject: Subject,
    /// The same source natively, with as many lanes as the module is built for; `None` for a kernel that this project has no contract for.
    pub kernel: Option<&'static Kernel>,
    /// Its cases, placed.
    pub cases: Vec<Prepared>,
    /// Cases that do not fit the memory that the manifest allows, with the reason.
    pub unplaceable: Vec<(Case, String)>,
}

impl Work {
    /// Places cases for a subject.
    pub fn new(subject: Subject, cases: Vec<Case>) -> Work {
        let kernel = kernel_core::variant(&subject.kernel, &subject.features);
        let mut work = Work {
            subject,
            kernel,
            cases: Vec::new(),
            unplaceable: Vec::new(),
        };
        let Some(kernel) = kernel else { return work };
        for case in cases {
            match subject::prepare(case.clone(), &work.subject, kernel) {
                Ok(prepared) => work.cases.push(prepared),
                Err(error) => work.unplaceable.push((case, format!("failed to {error}"))),
            }
        }
        work
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
    /// Name of the case; `edge:module` for the module as a whole.
    pub name: String,
    /// What was seen; `None` where nothing ran.
    pub observed: Option<&'a Observed>,
    /// The layers.
    pub layers: Layers,
}

/// What an engine reported of a subject.
enum Report {
    /// One observation per case, and what is wrong with the module as a whole.
    Ran {
        module: Judgement,
        cases: Vec<Observed>,
    },
    /// Nothing ran, for this reason.
    Skipped(Outcome, String),
}

/// Runs all subjects on all engines. `judged` is called for every (engine, subject, case), engines of a case one after the
/// other; `step` after every case that ran. Answers the engines' own words on themselves, in the order of `launches`.
///
/// # Errors
/// Whatever `judged` answers; the run ends then.
pub fn run(
    launches: &[Launch],
    work: &[Work],
    gate: &Gate<'_>,
    step: &(dyn Fn() + Sync),
    mut judged: impl FnMut(Judged<'_>) -> Result<()>,
) -> Result<Vec<Result<Info, String>>> {
    // Engines that compile slowly start first, so that the last one does not run alone for long.
    let mut order: Vec<usize> = (0..launches.len()).collect();
    order.sort_by_key(|&index| {
        let mut slow = SLOW_COMPILERS.iter();
        slow.position(|slow| *slow == launches[index].id)
            .unwrap_or(SLOW_COMPILERS.len())
    });
    let mut infos: Vec<Result<Info, String>> = launches
        .iter()
        .map(|_| Err("it was not started".to_owned()))
        .collect();

    let report = |engine: usize, say: &Say<'_, Message>| {
        let mut session = Session::new(&launches[engine]);
        if !say(Message::Info(engine, session.info())) {
            return;
        }
        for (index, work) in work.iter().enumerate() {
            let report = session.report(work, gate, step);
            if !say(Message::Report(engine, index, report)) {
                return;
            }
        }
    };
    let mut pending: BTreeMap<usize, Vec<Option<Report>>> = BTreeMap::new();
    let mut hear = |message| {
        match message {
            Message::Info(engine, info) => infos[engine] = info,
            Message::Report(engine, index, report) => {
                let reports = pending
                    .entry(index)
                    .or_insert_with(|| launches.iter().map(|_| None).collect());
                reports[engine] = Some(report);
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
    Ok(infos)
}

enum Message {
    Info(usize, Result<Info, String>),
    Report(usize, usize, Report),
}

fn judge_work(
    work: &Work,
    reports: &[Report],
    judged: &mut impl FnMut(Judged<'_>) -> Result<()>,
) -> Result<()> {
    for (engine, report) in reports.iter().enumerate() {
        let module = match report {
            Report::Ran { module, .. } => module.clone(),
            Report::Skipped(outcome, reason) => Judgement::of(*outcome, reason.clone()),
        };
        judged(Judged {
            engine,
            subject: &work.subject,
            case: None,
            name: "edge:module".to_owned(),
            observed: None,
            layers: Layers::from([(Layer::L1, module)]),
        })?;
    }
    let ran: Vec<(usize, &Vec<Observed>)> = reports
        .iter()
        .enumerate()
        .filter_map(|(engine, report)| match report {
            Report::Ran { cases, .. } => Some((engine, cases)),
            Report::Skipped(..) => None,
        })
        .collect();
    for (index, prepared) in work.cases.iter().enumerate() {
        let observed: Vec<&Observed> = ran.iter().map(|(_, cases)| &cases[index]).collect();
        let layers = judge::judge(prepared, &observed);
        for (((engine, _), observed), layers) in ran.iter().zip(observed).zip(layers) {
            judged(Judged {
                engine: *engine,
                subject: &work.subject,
                case: Some(prepared),
                name: prepared.case.name.clone(),
                observed: Some(observed),
                layers,
            })?;
        }
    }
    for (case, reason) in &work.unplaceable {
        for (engine, _) in &ran {
            judged(Judged {
                engine: *engine,
                subject: &work.subject,
                case: None,
                name: case.name.clone(),
                observed: None,
                layers: Layers::from([(Layer::L1, Judgement::of(Outcome::Error, reason.clone()))]),
            })?;
        }
    }
    Ok(())
}

/// An engine's worker, started again when it is lost.
pub struct Session<'a> {
    launch: &'a Launch,
    worker: Result<Worker, String>,
}

impl<'a> Session<'a> {
    /// Starts a worker.
    pub fn new(launch: &'a Launch) -> Self {
        Self {
            launch,
            worker: start(launch),
        }
    }

    fn info(&self) -> Result<Info, String> {
        match &self.worker {
            Ok(worker) => Ok(worker.info().clone()),
            Err(reason) => Err(reason.clone()),
        }
    }

    fn restart(&mut self) {
        self.worker = start(self.launch);
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
    ) -> Observed {
        match &mut self.worker {
            Ok(worker) => observe::observe(worker, subject, loaded, prepared),
            Err(reason) => lost(reason.clone()),
        }
    }

    fn report(&mut self, work: &Work, gate: &Gate<'_>, step: &(dyn Fn() + Sync)) -> Report {
        let info = match self.info() {
            Ok(info) => info,
            Err(reason) => return Report::Skipped(Outcome::Error, reason),
        };
        if let Err(reason) = gate(&info, &work.subject) {
            return Report::Skipped(Outcome::Unsupported, reason);
        }
        let Some(kernel) = work.kernel else {
            return Report::Skipped(
                Outcome::Error,
                format!(
                    "this harness has no contract for a kernel `{}`: nothing to judge it by",
                    work.subject.kernel
                ),
            );
        };
        let mut loaded = match self.load(&work.subject) {
            Ok(loaded) => loaded,
            Err((outcome, reason)) => {
                if outcome == Outcome::Error {
                    self.restart();
                }
                return Report::Skipped(outcome, reason);
            }
        };
        let mut lost_workers = 0;
        let mut cases = Vec::with_capacity(work.cases.len());
        for prepared in &work.cases {
            if lost_workers >= MAX_LOST_WORKERS {
                cases.push(lost(format!(
                    "not run: {MAX_LOST_WORKERS} workers were lost on this module"
                )));
                continue;
            }
            let observed = self.one(&work.subject, loaded, prepared);
            step();
            if matches!(observed.ended, Ended::Lost(_)) {
                lost_workers += 1;
                self.restart();
                match self.load(&work.subject) {
                    Ok(again) => loaded = again,
                    Err((_, reason)) => {
                        lost_workers = MAX_LOST_WORKERS;
                        cases.push(observed);
                        // The reason stands in the cases that follow; this one keeps its own.
                        self.worker = Err(reason);
                        continue;
                    }
                }
            }
            cases.push(observed);
        }
        let module = match &mut self.worker {
            Ok(worker) => {
                let gradient = kernel.has_backward && work.subject.has_backward;
                match observe::observe_module(worker, &work.subject, loaded, gradient) {
                    Ok(None) => Judgement::of(Outcome::Pass, String::new()),
                    Ok(Some(what)) => Judgement::of(Outcome::Fail, what),
                    Err(ended @ Ended::Lost(_)) => {
                        Judgement::of(Outcome::Error, observe::describe(&ended))
                    }
                    Err(ended) => Judgement::of(Outcome::Fail, observe::describe(&ended)),
                }
            }
            Err(reason) => Judgement::of(Outcome::Error, reason.clone()),
        };
        if module.outcome == Outcome::Error {
            self.restart();
        }
        Report::Ran { module, cases }
    }
}

fn start(launch: &Launch) -> Result<Worker, String> {
    Worker::start(launch).map_err(|error| format!("failed to {error}"))
}

fn lost(reason: String) -> Observed {
    Observed {
        ended: Ended::Lost(reason.clone()),
        frame: Err(reason),
        nan_bits: None,
        lifecycle: Ok(()),
    }
}
