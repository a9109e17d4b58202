//! Two runs beside each other: what became faster or slower, and numbers without noise that changed.

use super::{
    record::{Key, Record, Run},
    tables::{Known, Tables},
};
use crate::{
    document::Table,
    outcome::{Outcome, Whole},
    statistics::{Ratio, Word, unpaired},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What differs between two runs.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// `fail` if there is a regression.
    pub verdict: Whole,
    /// What a ratio may exceed 1 by.
    pub fail_on: Option<f64>,
    /// What keeps the runs from being compared in all.
    pub notes: Vec<String>,
    /// Times of the new run over those of the old one.
    pub times: Vec<Changed>,
    /// Numbers without noise that differ.
    pub facts: Vec<Drifted>,
    /// Cells that had a number and have none because what was checked is wrong or failed.
    pub lost: Vec<Lost>,
    /// Cells that only one of the runs has.
    pub only_in_one: usize,
}

/// A time in both runs.
#[derive(Clone, Debug, Serialize)]
pub struct Changed {
    /// Of what.
    #[serde(flatten)]
    pub key: Key,
    /// New over old.
    pub ratio: Ratio,
    /// Whether it is slower by more than is allowed.
    pub regression: bool,
}

/// A number that was the same for all processes of each run, and differs between the runs.
#[derive(Clone, Debug, Serialize)]
pub struct Drifted {
    /// The number in the new run.
    #[serde(flatten)]
    pub new: Known,
    /// The number in the old one.
    pub old: u64,
    /// Whether it grew by more than is allowed.
    pub regression: bool,
}

/// A number that is there no more.
#[derive(Clone, Debug, Serialize)]
pub struct Lost {
    /// Of what.
    #[serde(flatten)]
    pub key: Key,
    /// How its cell ended in the new run.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

/// Compares the records of two runs; `None` if either does not begin with a run. `fail_on` is what a ratio may exceed 1 by; without it
/// times and numbers fail nothing.
pub fn compare(old: &[Record], new: &[Record], fail_on: Option<f64>) -> Option<Comparison> {
    let (old_tables, new_tables) = (Tables::of(old)?, Tables::of(new)?);
    let (old_run, new_run) = (&old_tables.run, &new_tables.run);
    let mut notes = Vec::new();
    let same_machine = old_run.fingerprint.cpu == new_run.fingerprint.cpu
        && old_run.fingerprint.architecture == new_run.fingerprint.architecture;
    if !same_machine {
        notes.push(format!(
            "the runs are of different machines ({}; {}): times are shown, and fail nothing",
            old_run.fingerprint.cpu, new_run.fingerprint.cpu
        ));
    }
    for (engine, version) in &new_tables.engines {
        match old_tables.engines.get(engine) {
            Some(old) if old != version => {
                notes.push(format!("{engine} was version {old} and is {version}"));
            }
            _ => {}
        }
    }
    if old_run.pack != new_run.pack {
        notes.push(pack_note(old_run, new_run));
    }
    let old_times = times(old);
    let new_times = times(new);
    let mut changed = Vec::new();
    for (key, new) in &new_times {
        let ratio = old_times
            .get(key)
            .and_then(|old| unpaired(new, old, new_run.seed));
        if let Some(ratio) = ratio {
            let beyond = fail_on.is_some_and(|share| ratio.estimate.value > 1.0 + share);
            changed.push(Changed {
                key: (*key).clone(),
                regression: same_machine && beyond && ratio.word == Word::Slower,
                ratio,
            });
        }
    }
    let facts = drifted(&old_tables.facts, &new_tables.facts, fail_on);
    let lost: Vec<Lost> = new_tables
        .not_measured
        .iter()
        .filter(|cell| cell.outcome.is_bad() && old_times.contains_key(&cell.key))
        .map(|cell| Lost {
            key: cell.key.clone(),
            outcome: cell.outcome,
            reason: cell.reason.clone(),
        })
        .collect();
    let old_keys: BTreeSet<&Key> = old_times.keys().copied().collect();
    let new_keys: BTreeSet<&Key> = new_times.keys().copied().collect();
    if changed.is_empty() && facts.is_empty() {
        notes.push("the runs have nothing in common that differs or has a time".to_owned());
    }
    let regression = !lost.is_empty()
        || changed.iter().any(|changed| changed.regression)
        || facts.iter().any(|fact| fact.regression);
    Some(Comparison {
        verdict: Whole::of(regression),
        fail_on,
        notes,
        times: changed,
        facts,
        lost,
        only_in_one: old_keys.symmetric_difference(&new_keys).count(),
    })
}

impl Comparison {
    /// The comparison for people.
    pub fn to_text(&self) -> String {
        let mut table = Table::new(["engine", "what", "new over old", ""]);
        let mut unsure = 0;
        for changed in &self.times {
            if changed.ratio.word == Word::Unsure {
                unsure += 1;
                continue;
            }
            let key = &changed.key;
            let estimate = &changed.ratio.estimate;
            table.add([
                key.runtime.clone(),
                format!(
                    "{} {} {} {}, {}",
                    key.kernel, key.variant, key.case, key.budget, key.quantity
                ),
                format!(
                    "{:.3} [{:.3}, {:.3}]",
                    estimate.value,
                    estimate.low.unwrap_or(f64::NAN),
                    estimate.high.unwrap_or(f64::NAN)
                ),
                format!(
                    "{}{}",
                    changed.ratio.word.name(),
                    if changed.regression {
                        ", beyond what is allowed"
                    } else {
                        ""
                    }
                ),
            ]);
        }
        for fact in &self.facts {
            let new = &fact.new;
            table.add([
                new.runtime.clone(),
                format!(
                    "{} {} {}, {}",
                    new.kernel, new.variant, new.case, new.quantity
                ),
                format!("{} was {}", new.value, fact.old),
                if fact.regression {
                    "beyond what is allowed"
                } else {
                    "changed"
                }
                .to_owned(),
            ]);
        }
        for lost in &self.lost {
            table.add([
                lost.key.runtime.clone(),
                format!("{} {} {}", lost.key.kernel, lost.key.variant, lost.key.case),
                lost.reason.clone(),
                "lost".to_owned(),
            ]);
        }
        let mut text = String::new();
        if !table.rows.is_empty() {
            text += &format!("{table}\n");
        }
        for note in &self.notes {
            text += &format!("{note}\n");
        }
        text + &format!(
            "{} times compared, {unsure} of them unsure; {} only in one of the runs; {}",
            self.times.len(),
            self.only_in_one,
            self.verdict
        )
    }
}

fn pack_note(old: &Run, new: &Run) -> String {
    format!(
        "the packs differ: {} {} ({}) and {} {} ({})",
        old.pack.name,
        old.pack.version,
        old.pack.manifest_sha256.get(..12).unwrap_or_default(),
        new.pack.name,
        new.pack.version,
        new.pack.manifest_sha256.get(..12).unwrap_or_default(),
    )
}

/// Batches by key, in nanoseconds per iteration, the warm-up and what was compared with itself left out.
fn times(records: &[Record]) -> BTreeMap<&Key, Vec<Vec<f64>>> {
    let mut by_process: BTreeMap<&Key, BTreeMap<u32, Vec<f64>>> = BTreeMap::new();
    for record in records {
        if let Record::Sample(sample) = record
            && sample.round > 0
            && sample.key.twin.is_none()
        {
            by_process
                .entry(&sample.key)
                .or_default()
                .entry(sample.process)
                .or_default()
                .push(sample.nanoseconds as f64 / sample.iterations as f64);
        }
    }
    by_process
        .into_iter()
        .map(|(key, processes)| (key, processes.into_values().collect()))
        .collect()
}

fn drifted(old: &[Known], new: &[Known], fail_on: Option<f64>) -> Vec<Drifted> {
    let noiseless = |fact: &&Known| {
        matches!(
            fact.quantity.as_str(),
            "fuel" | "code_bytes" | "smallest_pages"
        )
    };
    new.iter()
        .filter(noiseless)
        .filter_map(|new| {
            let old = old.iter().find(|old| {
                (
                    &old.runtime,
                    &old.quantity,
                    &old.kernel,
                    &old.variant,
                    &old.case,
                ) == (
                    &new.runtime,
                    &new.quantity,
                    &new.kernel,
                    &new.variant,
                    &new.case,
                ) && old.metering == new.metering
            })?;
            let limit = fail_on.map(|share| old.value as f64 * (1.0 + share));
            (old.value != new.value).then(|| Drifted {
                regression: limit.is_some_and(|limit| new.value as f64 > limit),
                old: old.value,
                new: new.clone(),
            })
        })
        .collect()
}
