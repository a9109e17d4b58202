//! The judged cases of a run, line by line: their sums, and whether lines, answers and the document of conformance are about the same cases.

use super::MOST_DIFFERENCES;
use crate::{
    conform::{
        answers::{self, Answer, Answers, CaseId},
        device::Profile,
        forms,
        judge::Layer,
        plan,
        record::{self, Line, Sums},
        report::{self, Conformance},
        run, truths,
    },
    outcome::Outcome,
};
use anyhow::{Context, Result};
use kernel_cases::case::Source;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

/// A line longer than this is no record.
const LARGEST_LINE: u64 = 16 << 20;
/// Layers of which one has to say of a case that it is right.
const SAID: [Layer; 4] = [Layer::L3, Layer::L4, Layer::L5, Layer::L7];

/// Hands the lines of a record to `take`, one after the other with their numbers.
pub(super) fn each(path: &Path, mut take: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
    let open = || format!("failed to read `{}`", path.display());
    let mut reader = BufReader::new(File::open(path).with_context(open)?);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let read = (&mut reader)
            .take(LARGEST_LINE)
            .read_until(b'\n', &mut bytes)
            .with_context(open)?;
        if read == 0 {
            break;
        }
        take(number, &bytes)
            .with_context(|| format!("line {number} of `{}` is damaged", path.display()))?;
    }
    Ok(())
}

/// Sums up the judged cases of a run. Beside the sums: what contradicts the answers, or the document, by the record that it stands in.
pub(super) fn sums(
    folder: &Path,
    conform: &Conformance,
    profile: Profile,
    answers: Answers,
) -> Result<(Sums, Vec<(&'static str, String)>)> {
    let mut sums = Sums::new(conform.runtimes());
    let mut cases = Cases::of(answers);
    each(&folder.join(record::LINES), |_, bytes| {
        let line: Line<'_> = serde_json::from_slice(bytes)?;
        anyhow::ensure!(sums.add(&line), "the run had no engine `{}`", line.runtime);
        cases.add(&line);
        Ok(())
    })?;
    Ok((sums, cases.finish(conform, profile)))
}

/// A name of a line, in as many bytes whatever stands there.
type Name = [u8; 32];

fn name(parts: &[&str]) -> Name {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

/// What lines said of a kernel on an engine.
#[derive(Default)]
struct OfKernel {
    /// Cases of the base module.
    cases: usize,
    /// Those of them about which a truth said something.
    told: usize,
    /// Whether all of them, and one at least, returned the status that is due.
    returned: bool,
    /// Whether one did not.
    other: bool,
    /// Cases of all modules that held in every layer, and of which a layer said that they are right.
    held: u64,
}

/// Lines that were read, as far as others must agree with them.
struct Cases {
    /// Those of which no line was read yet.
    answers: Answers,
    read: HashSet<Name>,
    /// Bad outcomes, with their layers.
    bad: HashSet<Name>,
    /// How many of them, by engine, kernel and layer.
    bad_of: BTreeMap<(String, String, Layer), u64>,
    kernels: BTreeMap<(String, String), OfKernel>,
    problems: Vec<(&'static str, String)>,
    /// Problems that are not named one by one.
    more: usize,
}

impl Cases {
    fn of(answers: Answers) -> Self {
        Self {
            answers,
            read: HashSet::new(),
            bad: HashSet::new(),
            bad_of: BTreeMap::new(),
            kernels: BTreeMap::new(),
            problems: Vec::new(),
            more: 0,
        }
    }

    fn problem(&mut self, record: &'static str, what: String) {
        match self.problems.len() < MOST_DIFFERENCES {
            true => self.problems.push((record, what)),
            false => self.more += 1,
        }
    }

    fn add(&mut self, line: &Line<'_>) {
        let of = |layer| line.layers.get(&layer).map(|one| one.outcome);
        let words = format!(
            "{} of {} ({}) on {}",
            line.case, line.kernel, line.variant, line.runtime
        );
        let parts = [&*line.runtime, &line.kernel, &line.variant, &line.case];
        if !self.read.insert(name(&parts)) {
            self.problem(record::LINES, format!("{words} stands there twice"));
        }
        let key = (line.runtime.to_string(), line.kernel.to_string());
        for (layer, judgement) in line.layers.iter() {
            if judgement.outcome.is_bad() {
                let layer_name = format!("{layer:?}");
                self.bad
                    .insert(name(&[&parts[..], &[&layer_name]].concat()));
                let of = (key.0.clone(), key.1.clone(), *layer);
                *self.bad_of.entry(of).or_default() += 1;
            }
        }
        let answer = self.answer_of(line);
        let is_case = !matches!(line.source, Source::Sequence)
            && line.case != plan::MODULE
            && line.case != run::TRUTH;
        if !is_case {
            return;
        }
        let passes = of(Layer::L1) == Some(Outcome::Pass);
        let good = passes && !line.layers.values().any(|one| one.outcome.is_bad());
        let said = |layers: &[Layer]| layers.iter().any(|l| of(*l) == Some(Outcome::Pass));
        let own = self.kernels.entry(key).or_default();
        own.held += u64::from(good && said(&SAID));
        if line.variant == "base" {
            own.cases += 1;
            own.returned |= passes;
            own.other |= !passes;
            let told = [Layer::L4, Layer::L5].map(&of).into_iter().flatten();
            let silent = [Outcome::Unsupported, Outcome::Unjudged];
            own.told += usize::from(told.clone().any(|outcome| !silent.contains(&outcome)));
        }
        let asked = line.source != Source::Drawn && !forms::is_form(&line.variant);
        let wrong = match answer {
            None if asked && of(Layer::L1) != Some(Outcome::Error) => {
                Some("has no answer there".to_owned())
            }
            Some(Answer::Returned { status, sha256 }) => {
                if status != 0 && said(&[Layer::L4, Layer::L5]) {
                    Some(format!("has status {status}, and its output is judged"))
                } else if sha256.is_some() && passes && of(Layer::L4).is_none() {
                    Some("has an output of which no truth is asked".to_owned())
                } else {
                    None
                }
            }
            Some(other) if passes => Some(format!("passes, and is said to be {}", other.words())),
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.problem(answers::FILE, format!("{words} {wrong}"));
        }
    }

    /// What the line's engine answered, which no other line has.
    fn answer_of(&mut self, line: &Line<'_>) -> Option<Answer> {
        let id = CaseId {
            kernel: line.kernel.to_string(),
            variant: line.variant.to_string(),
            case: line.case.to_string(),
        };
        let of_case = self.answers.0.get_mut(&id)?;
        let answer = of_case.remove(&*line.runtime);
        if of_case.is_empty() {
            self.answers.0.remove(&id);
        }
        answer
    }

    /// What contradicts the answers that no line was about, and the document.
    fn finish(mut self, conform: &Conformance, profile: Profile) -> Vec<(&'static str, String)> {
        for (id, of_case) in std::mem::take(&mut self.answers.0) {
            for runtime in of_case.keys() {
                let CaseId {
                    kernel,
                    variant,
                    case,
                } = &id;
                let what = format!("{case} of {kernel} ({variant}) on {runtime} was answered");
                self.problem(record::LINES, format!("{what}, and is not judged there"));
            }
        }
        self.failures(conform);
        // A truth covers cases that a device has no room for too.
        if profile.device().is_none() {
            self.truths(conform);
        }
        for envelope in &conform.envelope {
            for engine in &envelope.engines {
                let key = (engine.runtime.clone(), envelope.kernel.clone());
                let held = self.kernels.get(&key).map_or(0, |own| own.held);
                if engine.cases > held {
                    let (runtime, kernel) = &key;
                    let what = format!(
                        "the envelope of {kernel} on {runtime} has {} cases, and {held} held",
                        engine.cases
                    );
                    self.problem(report::FILE, what);
                }
            }
        }
        if self.more > 0 {
            let more = format!("and {} more of its kind", self.more);
            self.problems.push((record::LINES, more));
        }
        self.problems
    }

    /// Whether truths were asked about as many cases as the document says.
    fn truths(&mut self, conform: &Conformance) {
        let least = truths::ENOUGH;
        let judged = conform.truths.iter();
        for truth in judged.filter(|truth| truth.unjudged.is_none()) {
            let kernel = &truth.kernel;
            let said = truth.sources.iter().map(|asked| asked.cases).max();
            let said = said.unwrap_or_default();
            let mut wrong = Vec::new();
            for ((runtime, _), own) in self.kernels.iter().filter(|((_, id), _)| id == kernel) {
                if own.returned && !own.other && own.told < least {
                    wrong.push(format!("{kernel} is said to be judged, and on {runtime} {} cases are, where {least} are needed", own.told));
                }
                if said > own.cases {
                    wrong.push(format!("a truth is said to cover {said} cases of {kernel}, of which {runtime} was asked {}", own.cases));
                }
            }
            for what in wrong {
                self.problem(report::FILE, what);
            }
        }
    }

    /// Whether the failing cases that the document lists are those that the lines have, as many of each kind as are listed.
    fn failures(&mut self, conform: &Conformance) {
        let mut listed: BTreeMap<(String, String, Layer), u64> = BTreeMap::new();
        for entry in &conform.results {
            let Some(case) = &entry.case else { continue };
            let layer = format!("{:?}", entry.layer);
            let parts = [&entry.runtime, &entry.kernel, &entry.variant, case, &layer];
            if !entry.outcome.is_bad() || !self.bad.contains(&name(&parts.map(String::as_str))) {
                let what = format!(
                    "{case} of {} is listed as {} in {layer}, and no line says so",
                    entry.kernel, entry.outcome
                );
                self.problem(report::FILE, what);
            }
            let of = (entry.runtime.clone(), entry.kernel.clone(), entry.layer);
            *listed.entry(of).or_default() += 1;
        }
        for (of, bad) in std::mem::take(&mut self.bad_of) {
            let due = bad.min(record::MAX_LISTED);
            let listed = listed.get(&of).copied().unwrap_or_default();
            if listed != due {
                let (runtime, kernel, layer) = of;
                let what = format!(
                    "{listed} failures of {kernel} on {runtime} in {layer:?} are listed, and {due} are due"
                );
                self.problem(report::FILE, what);
            }
        }
    }
}
