//! Findings of suites: whether they are of the run's engines, and whether the traps are those that were written as they came.

use super::{MOST_DIFFERENCES, Verification, What, lines};
use crate::{
    basics,
    conform::planted,
    numerics,
    outcome::Outcome,
    traps::{self, CaseResult, State, TrapReport, checks::CheckResult, latency::Latency, survey},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// A line of the traps.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Entry {
    Case(CaseResult),
    Latency(Latency),
    Check(CheckResult),
}

impl Verification {
    /// Whether findings are of the engines that ran, and of native code where that is one of those asked.
    pub(super) fn strangers(
        &mut self,
        runtimes: &[String],
        basics: &[basics::Finding],
        planted: &[basics::Finding],
        numerics: &[numerics::Finding],
        traps: &TrapReport,
    ) {
        let of_traps = traps.survey.results.iter().map(|one| &one.runtime);
        let of_traps = of_traps.chain(traps.survey.checks.iter().map(|one| &one.runtime));
        let of_traps = of_traps.chain(traps.survey.latency.iter().map(|one| &one.runtime));
        let all = [
            (
                basics::FILE,
                basics.iter().map(|one| &one.runtime).collect(),
            ),
            (
                planted::FILE,
                planted.iter().map(|one| &one.runtime).collect(),
            ),
            (
                numerics::FILE,
                numerics.iter().map(|one| &one.runtime).collect(),
            ),
            (survey::FILE, of_traps.collect::<Vec<_>>()),
        ];
        for (record, of) in all {
            let native = |id: &str| record == basics::FILE && id == basics::NATIVE;
            let stranger = of
                .into_iter()
                .find(|id| !runtimes.contains(id) && !native(id));
            if let Some(id) = stranger {
                let detail = format!("it is about `{id}`, and the run had no such engine");
                self.add(record, What::Contradicts, detail);
            }
        }
    }

    /// Whether the entries of the traps are those that were written as they came, and none that passes left something broken.
    pub(super) fn trap_entries(&mut self, folder: &Path, stands: &TrapReport) {
        let mut came: BTreeMap<String, i64> = BTreeMap::new();
        let read = lines::each(&folder.join(traps::LINES), |_, bytes| {
            let entry: Entry = serde_json::from_slice(bytes)?;
            *came.entry(serde_json::to_string(&entry)?).or_default() += 1;
            Ok(())
        });
        if self.take(traps::LINES, read).is_none() {
            return;
        }
        let survey = stands.survey.clone();
        let entries = survey.results.into_iter().map(Entry::Case);
        let entries = entries.chain(survey.checks.into_iter().map(Entry::Check));
        let entries = entries.chain(survey.latency.into_iter().map(Entry::Latency));
        for entry in entries {
            if let Ok(text) = serde_json::to_string(&entry) {
                *came.entry(text).or_default() -= 1;
            }
        }
        let differ = came.into_iter().filter(|(_, times)| *times != 0);
        for (entry, times) in differ.take(MOST_DIFFERENCES) {
            let (record, other) = match times > 0 {
                true => (traps::LINES, survey::FILE),
                false => (survey::FILE, traps::LINES),
            };
            let entry: String = entry.chars().take(120).collect();
            let detail = format!("it has an entry that {other} has not: {entry}");
            self.add(record, What::Contradicts, detail);
        }
        let broken = |one: &&CaseResult| {
            one.outcome == Outcome::Pass && [one.fresh, one.bystander].contains(&State::Broken)
        };
        for one in stands
            .survey
            .results
            .iter()
            .filter(broken)
            .take(MOST_DIFFERENCES)
        {
            let detail = format!(
                "{} passes on {}, and left an instance broken",
                one.case, one.runtime
            );
            self.add(survey::FILE, What::Contradicts, detail);
        }
    }
}
