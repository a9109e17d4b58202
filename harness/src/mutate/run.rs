//! Mutants of all modules of a plan, judged and searched, module by module, as many at a time as there are processors.

use super::{
    judge::{self, Death},
    mutant::{self, Mutant},
    report::{Fate, Judged, Report},
    search::{self, Draws, Found, Wrong},
};
use crate::{
    conform::{
        observe, record,
        run::{Session, Work},
        subject::Subject,
    },
    outcome::Whole,
    output::{Output, Progress},
    parallel, registry,
    results::{Folder, PackIdentity},
};
use anyhow::{Context, Result};
use assay_worker::Launch;
use fastrand::Rng;
use runtime_api::{Budget, BudgetKind};
use std::collections::BTreeMap;

/// Ticks that a call of a mutant may take, where the manifest allows more: one that loops is not waited for. The original must hold with them.
const TICKS: u64 = 30;

/// Fuel that a drawn call may take: ten times what the largest of the cases of the core pack takes, about.
const FUEL: u64 = 50_000_000;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// How many mutants.
    pub count: usize,
    /// Seed of mutants and calls.
    pub seed: u64,
    /// Generated cases per kernel.
    pub cases: u32,
    /// Calls drawn for each survivor.
    pub calls: u32,
}

/// Judges mutants of the modules of `work`, as evenly many of each as there can be, on the engine of `launch`.
///
/// # Errors
/// If the results folder cannot be written, or no engine of this executable can search.
pub fn run(
    pack: PackIdentity,
    work: &[Work],
    launch: &Launch,
    asked: Asked,
    folder: &Folder,
    output: &Output,
) -> Result<Report> {
    let searching = searching_engine(launch)?;
    let progress = output.progress_bar(
        "mutate",
        asked.count as u64,
        "{wide_bar} {pos}/{len} mutants, {eta} left",
    );
    let numbers: Vec<usize> = (0..work.len()).collect();
    let one = |number: &usize| -> Result<(Vec<Judged>, Vec<String>)> {
        let shares = asked.count / work.len() + usize::from(*number < asked.count % work.len());
        let module = OfModule {
            work: &work[*number],
            launch,
            searching: &searching,
            seed: asked.seed.wrapping_add(*number as u64),
            asked,
            folder,
            progress: &progress,
        };
        module.run(shares)
    };
    let results = parallel::each(&numbers, parallel::processors(), one);
    progress.finish_and_clear();
    let mut report = Report {
        verdict: Whole::Fail,
        reasons: Vec::new(),
        pack,
        runtime: launch.id.clone(),
        searched_on: searching,
        seed: asked.seed,
        cases: asked.cases,
        calls: asked.calls,
        total: Default::default(),
        kinds: BTreeMap::new(),
        layers: BTreeMap::new(),
        mutants: Vec::new(),
        evidence: folder.path().display().to_string(),
    };
    for result in results {
        let (mutants, reasons) = result?;
        report.mutants.extend(mutants);
        report.reasons.extend(reasons);
    }
    Ok(report.sum_up())
}

/// The engine that judges, if it is in this executable; else the fastest that is. Drawn calls are made in this process: a hundred thousand and more
/// calls of modules that the pre-pass let pass, but for one fault.
fn searching_engine(launch: &Launch) -> Result<String> {
    let here = registry::in_this_executable(launch.time_limit);
    let own = here.iter().find(|one| one.id == launch.id);
    let engine = own.or(here.first());
    let engine = engine.context("failed to find an engine in this executable to search with")?;
    Ok(engine.id.clone())
}

struct OfModule<'a> {
    work: &'a Work,
    launch: &'a Launch,
    searching: &'a str,
    seed: u64,
    asked: Asked,
    folder: &'a Folder,
    progress: &'a Progress,
}

impl OfModule<'_> {
    /// The mutants, judged, and what is wrong as a whole.
    fn run(&self, count: usize) -> Result<(Vec<Judged>, Vec<String>)> {
        let own = &self.work.subject;
        let subject = Subject {
            ticks: own.ticks.min(TICKS),
            ..own.clone()
        };
        let name = format!("{} ({})", own.kernel, own.variant);
        let mut session = Session::new(self.launch);
        let holds = match session.lacks(&subject).or(self.work.unjudged.clone()) {
            Some(reason) => Err(reason),
            None => judge::judge(&mut session, self.work, &subject),
        };
        let reason = match holds {
            Ok(None) => None,
            Ok(Some(death)) => Some(format!(
                "{name} itself does not hold, {} {}: {}",
                death.layers.join("+"),
                death.case,
                death.detail
            )),
            Err(reason) => Some(format!("{name} was not judged: {reason}")),
        };
        if let Some(reason) = reason {
            return Ok((Vec::new(), vec![reason]));
        }
        let mut rng = Rng::with_seed(self.seed);
        let mutants = mutant::draw(&own.wasm, count, &mut rng)
            .with_context(|| format!("failed to decode the module of {name}"))?;
        let mut fates: Vec<Option<Result<Death, String>>> = Vec::new();
        for mutant in &mutants {
            let mutated = Subject {
                wasm: mutant.wasm.clone(),
                ..subject.clone()
            };
            let judged = match self.over() {
                Some(reason) => Err(reason),
                None => judge::judge(&mut session, self.work, &mutated),
            };
            if judged.is_err() {
                session = Session::new(self.launch);
            }
            self.progress.inc(1);
            fates.push(judged.transpose());
        }
        let survivors: Vec<&[u8]> = mutants
            .iter()
            .zip(&fates)
            .filter(|(_, fate)| fate.is_none())
            .map(|(mutant, _)| mutant.wasm.as_slice())
            .collect();
        let mut found = self.search(&subject, &survivors)?.into_iter();
        let mut judged = Vec::new();
        for (mutant, fate) in mutants.into_iter().zip(fates) {
            let fate = match fate {
                Some(Ok(death)) => Fate::Killed(death),
                Some(Err(reason)) => Fate::Error { reason },
                None => match found.next().unwrap_or_default() {
                    Found {
                        wrong: Some(wrong), ..
                    } => self.keep(&mutant, wrong)?,
                    Found {
                        within_tolerance: Some(difference),
                        ..
                    } => Fate::WithinTolerance { difference },
                    _ => match self.over() {
                        Some(reason) => Fate::Error { reason },
                        None => Fate::NoDifference,
                    },
                },
            };
            judged.push(Judged {
                kernel: own.kernel.clone(),
                variant: own.variant.clone(),
                place: mutant.place,
                fate,
            });
        }
        Ok((judged, Vec::new()))
    }

    /// Why nothing more is asked, once the time of the run is over.
    fn over(&self) -> Option<String> {
        let limit = self.launch.time_limit?;
        limit.is_reached().then(|| limit.to_string())
    }

    fn search(&self, subject: &Subject, survivors: &[&[u8]]) -> Result<Vec<Found>> {
        if survivors.is_empty() || self.asked.calls == 0 {
            return Ok(survivors.iter().map(|_| Found::default()).collect());
        }
        let runtime = registry::open(self.searching)?;
        // Fuel where there is some: what is wrong must not depend on how busy the machine is.
        let budgets = &runtime.info().capabilities.budgets;
        let draws = Draws {
            seed: self.seed,
            calls: self.asked.calls,
            limit: self.launch.time_limit,
            budget: match budgets.contains(&BudgetKind::Fuel) {
                true => Budget::Fuel(FUEL),
                false => observe::budget(runtime.info(), subject),
            },
        };
        search::search(runtime.as_ref(), self.work, survivors, draws)
            .with_context(|| format!("failed to search on {}", self.searching))
    }

    /// Keeps the mutant and the call.
    fn keep(&self, mutant: &Mutant, wrong: Wrong) -> Result<Fate> {
        let Subject {
            kernel, variant, ..
        } = &self.work.subject;
        let place = &mutant.place;
        let name = format!(
            "survivors/{kernel}-{variant}-{}-{}",
            place.offset, place.kind
        );
        self.folder
            .file(&format!("{name}/mutant.wasm"), &mutant.wasm)?;
        record::write_case(self.folder, &name, &wrong.case)?;
        Ok(Fate::Wrong {
            call: wrong.call,
            difference: wrong.difference,
            bytes: name,
        })
    }
}
