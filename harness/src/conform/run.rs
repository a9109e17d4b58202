//! Drives conformance: engines side by side, each in its worker, subjects one after the other on each, judged when all
//! engines have reported a subject. Where no engine is left to begin, several workers of one share its subjects.

use super::{
    forms::{CompiledForm, FormUse},
    judge::{self, Judgement, Layer, Layers},
    observe::Observed,
    plan,
    sequence::{self, Sequence},
    subject::{self, Prepared, Subject},
};
use crate::{
    outcome::Outcome,
    parallel::{self, Say},
    registry,
    time_limits::TimeLimits,
};
use anyhow::Result;
use assay_worker::Launch;
use kernel_cases::case::{Case, Source};
use runtime_api::Info;
use std::collections::BTreeMap;

mod session;
mod shares;

pub use session::Session;
use shares::Shares;

/// What the reason begins with why a case was not run.
pub const NOT_RUN: &str = "not run: ";

/// What stands for the case where nothing says what is right.
pub const TRUTH: &str = "edge:truth";

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
    /// The flags of blocks that the cases set, and what a search tried, or why nobody knows them; `None` where nobody searched. Cases that the search
    /// of another module found are not among them.
    pub reached: Option<Result<Vec<u32>, String>>,
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
            reached: None,
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

    /// A case that was drawn, placed: the status that is due is the contract's, else what the definition's native build answers. `None` where it
    /// does not fit, and where nothing says what is due.
    pub fn prepared(&self, case: Case) -> Option<Prepared> {
        let prepared = subject::prepare(case, &self.subject, self.seed).ok()?;
        if prepared.case.open.is_some() {
            return Some(prepared);
        }
        let status = match (&prepared.native, self.subject.standard.definition) {
            (Some(native), _) => native.status,
            // A definition says so of modules of any source.
            (None, Some(kernel)) => {
                let (case, placed) = (&prepared.case, &prepared.first);
                subject::run_natively(case, placed, &self.subject, kernel).status
            }
            (None, None) => return None,
        };
        let mut case = prepared.case.clone();
        case.expect = status;
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
    let mut runs: Vec<EngineRun> = launches
        .iter()
        .map(|_| EngineRun {
            info: Err("it was not started".to_owned()),
            forms: Vec::new(),
        })
        .collect();

    let shares = Shares::of(launches, work.len());
    let report = |_, say: &Say<'_, Message>| {
        while let Some((engine, begins)) = shares.engine() {
            let launch = &launches[engine];
            let bare = registry::without_code_cache(launch);
            let mut session = Session::new(launch);
            // Starts when it is needed.
            let mut confined = None;
            if begins && !say(Message::Info(engine, session.info())) {
                return;
            }
            while let Some(index) = shares.module(engine) {
                let work = &work[index];
                let reports = session.reports(work, limits, gate, step, (&mut confined, &bare));
                if !say(Message::Reports(engine, index, Box::new(reports))) {
                    return;
                }
            }
        }
    };
    let mut pending: BTreeMap<usize, Vec<Option<Reports>>> = BTreeMap::new();
    let mut judged_modules = 0;
    let mut hear = |message| {
        match message {
            Message::Info(engine, info) => runs[engine].info = info,
            Message::Reports(engine, index, report) => {
                let reports = pending
                    .entry(index)
                    .or_insert_with(|| launches.iter().map(|_| None).collect());
                reports[engine] = Some(*report);
            }
        }
        // In the order of modules, whichever is ready first.
        while let Some(first) = pending.first_entry()
            && *first.key() == judged_modules
            && first.get().iter().all(Option::is_some)
        {
            let reports: Vec<_> = first.remove().into_iter().flatten().collect();
            for (run, reports) in runs.iter_mut().zip(&reports) {
                run.forms.extend(reports.forms.iter().cloned());
            }
            judge_work(&work[judged_modules], &reports, &mut judged)?;
            judged_modules += 1;
        }
        Ok(())
    };
    let workers: Vec<usize> = (0..parallel::processors()).collect();
    parallel::messages(&workers, workers.len(), &report, &mut hear)?;
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
                name: TRUTH.to_owned(),
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
