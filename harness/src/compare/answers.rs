//! What the modules of two packs answered to the same cases.

use super::packs::Request;
use crate::{
    conform::{
        answers,
        judge::{Layer, Layers},
        observe::{Ended, describe},
        plan,
        run::{self, Judged, Work},
    },
    outcome::Outcome,
};
use anyhow::Result;
use kernel_cases::truth::{self, Differences};
use serde::Serialize;
use std::collections::BTreeMap;

/// Changed cases of a module and engine that are listed one by one.
const MAX_LISTED: usize = 10;

/// How the answers of a module changed on an engine.
#[derive(Debug, Default, Serialize)]
pub struct Outputs {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// Cases that both modules answered.
    pub cases: usize,
    /// Cases of which both outputs are there and differ.
    pub changed_outputs: usize,
    /// Of these, those whose new output is within the tolerance of the f64 oracle.
    pub within_tolerance: usize,
    /// Cases that end with another status.
    pub changed_statuses: usize,
    /// Cases that trap where they did not, the other way round, or otherwise.
    pub changed_traps: usize,
    /// Elements of all outputs, and how they differ.
    pub differences: Differences,
    /// Checks (a layer of a case, or the module as a whole) that held for the older module and do not for the newer one.
    pub broken: Vec<String>,
    /// How many there are.
    pub broken_checks: usize,
    /// Checks that failed and hold now.
    pub repaired_checks: usize,
    /// The first changed cases, in words.
    pub first: Vec<String>,
    /// Cases in which a worker was lost with one of them or both, so that nobody knows.
    pub unknown: usize,
    /// Those in which the newer module lost it.
    pub newly_lost: usize,
    /// Why the older module does not run here.
    pub old_not_run: Option<String>,
    /// Why the newer one does not.
    pub new_not_run: Option<String>,
}

type Key = (usize, String, String);

/// What the older module answered.
struct Seen {
    ended: Option<Ended>,
    layers: Layers,
}

/// Runs both packs' modules on the same cases and compares the answers.
pub(super) fn outputs(
    request: &Request<'_>,
    old_work: &[Work],
    new_work: &[Work],
    step: &(dyn Fn() + Sync),
) -> Result<Vec<Outputs>> {
    let key = |judged: &Judged<'_>| -> Key {
        let subject = judged.subject;
        (
            judged.engine,
            subject.kernel.clone(),
            subject.variant.clone(),
        )
    };
    let mut seen: BTreeMap<Key, BTreeMap<String, Seen>> = BTreeMap::new();
    run::run(
        request.launches,
        old_work,
        None,
        &|info, subject| plan::gate(request.old, info, subject),
        step,
        |judged| {
            let of_module = seen.entry(key(&judged)).or_default();
            let ended = judged.observed.map(|observed| observed.ended.clone());
            let layers = judged.layers;
            of_module.insert(judged.name, Seen { ended, layers });
            Ok(())
        },
    )?;
    let mut all: BTreeMap<Key, Outputs> = BTreeMap::new();
    run::run(
        request.launches,
        new_work,
        None,
        &|info, subject| plan::gate(request.new, info, subject),
        step,
        |judged| {
            let key = key(&judged);
            let old = seen.get(&key).and_then(|cases| cases.get(&judged.name));
            let found = all.entry(key).or_insert_with(|| Outputs {
                runtime: request.launches[judged.engine].id.clone(),
                kernel: judged.subject.kernel.clone(),
                variant: judged.subject.variant.clone(),
                ..Outputs::default()
            });
            if let Some(old) = old {
                found.add(old, &judged);
            }
            Ok(())
        },
    )?;
    Ok(all.into_values().collect())
}

impl Outputs {
    fn add(&mut self, old: &Seen, new: &Judged<'_>) {
        self.add_layers(old, new);
        let (Some(prepared), Some(observed)) = (new.case, new.observed) else {
            return;
        };
        let Some(before) = &old.ended else { return };
        let case = &prepared.case;
        let native = prepared.native_output();
        let change = match (before, &observed.ended) {
            (Ended::Lost(_), _) | (_, Ended::Lost(_)) => {
                self.unknown += 1;
                self.newly_lost += usize::from(matches!(observed.ended, Ended::Lost(_)));
                return;
            }
            (
                Ended::Status {
                    status: 0,
                    output: a,
                },
                Ended::Status {
                    status: 0,
                    output: b,
                },
            ) => {
                let a = a.as_deref().unwrap_or(native);
                let b = b.as_deref().unwrap_or(native);
                self.differences.add(&truth::differences(case, a, b));
                truth::bits_differ(case, a, b).map(|mismatch| {
                    self.changed_outputs += 1;
                    let held = new.layers.get(&Layer::L4);
                    let within = held.is_some_and(|judged| judged.outcome == Outcome::Pass);
                    self.within_tolerance += usize::from(within);
                    mismatch.to_string()
                })
            }
            (Ended::Status { status: a, .. }, Ended::Status { status: b, .. }) => {
                (a != b).then(|| {
                    self.changed_statuses += 1;
                    let name = |status: &i32| kernel_abi::Status(*status).to_string();
                    format!("status {} became {}", name(a), name(b))
                })
            }
            (before, after) => {
                let (before, after) = (words(before), words(after));
                (before != after).then(|| {
                    self.changed_traps += 1;
                    format!("{before} became {after}")
                })
            }
        };
        self.cases += 1;
        if let Some(change) = change
            && self.first.len() < MAX_LISTED
        {
            self.first.push(format!("{}: {change}", new.name));
        }
    }

    fn add_layers(&mut self, old: &Seen, new: &Judged<'_>) {
        if new.case.is_none() {
            // The module as a whole: whether it runs at all.
            let refused = |layers: &Layers| {
                let judged = layers.get(&Layer::L1)?;
                (judged.outcome == Outcome::Unsupported).then(|| judged.detail.clone())
            };
            let (old_refused, new_refused) = (refused(&old.layers), refused(&new.layers));
            self.old_not_run = self.old_not_run.take().or(old_refused);
            self.new_not_run = self.new_not_run.take().or(new_refused);
        }
        for (layer, after) in &new.layers {
            let Some(before) = old.layers.get(layer) else {
                continue;
            };
            if after.outcome.is_bad() && !before.outcome.is_bad() {
                self.broken_checks += 1;
                if self.broken.len() < MAX_LISTED {
                    self.broken
                        .push(format!("{} {layer:?}: {}", new.name, after.detail));
                }
            } else if before.outcome.is_bad() && after.outcome == Outcome::Pass {
                self.repaired_checks += 1;
            }
        }
    }

    /// Cases whose answer is another.
    pub fn changed(&self) -> usize {
        self.changed_outputs + self.changed_statuses + self.changed_traps
    }
}

fn words(ended: &Ended) -> String {
    match ended {
        Ended::Status { status, .. } => format!("status {}", kernel_abi::Status(*status)),
        Ended::Stopped(error) => answers::stopped(error),
        Ended::Lost(_) | Ended::NotAsked(_) => describe(ended),
    }
}
