//! Many modules, all engines: counts, and findings with what repeats them.

use super::{
    avoiding,
    generate::generate,
    judge::{Ended, Judgement, judge},
    session::{Answer, Seen, Session, Step, Subject},
};
use crate::{expectations::Ledger, parallel::Respondent, results::Folder};
use anyhow::{Context, Result};
use assay_worker::{Launch, WorkerError};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Instant,
};

/// Findings whose modules are kept; further ones are counted.
const MOST_KEPT: usize = 100;

/// What an engine did with all modules. `modules` is the sum of `agreed`, `unsupported`, `inconclusive`, `explained` and `disagreed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Modules shown to it.
    pub modules: u64,
    /// Calls whose results, traps and memories were compared with another engine's.
    pub calls_compared: u64,
    /// Modules with which it did as the others, to the end.
    pub agreed: u64,
    /// Modules for which it lacks a feature.
    pub unsupported: u64,
    /// Modules that it ended in a way that the specification leaves open.
    pub inconclusive: u64,
    /// Modules with which it is known, and explained, to differ.
    pub explained: u64,
    /// Modules with which it did otherwise than the others.
    pub disagreed: u64,
}

/// A disagreement that is not explained.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Number of the module, of the run's seed; absent for a module from a file.
    pub number: Option<u64>,
    /// Engine id to what it did, and what others did.
    pub disagreed: BTreeMap<String, String>,
    /// The command that repeats it; absent where no more modules are kept.
    pub repeat: Option<String>,
}

/// How often something other than agreement happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Engine id.
    pub runtime: String,
    /// `unsupported`, `inconclusive` or `explained`.
    pub outcome: &'static str,
    /// Why.
    pub reason: String,
    /// Modules.
    pub modules: u64,
}

/// What is kept of a finding, in `findings/NAME.json`, beside the module, `findings/NAME.wasm`.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    seed: Option<u64>,
    /// SHA-256 of the module as it was generated, before it was made smaller.
    generated_sha256: String,
    judgement: &'a Judgement,
    answers: &'a BTreeMap<String, Answer>,
}

/// Makes the command that shows a saved module to engines again.
pub type Repeat<'a> = dyn Fn(&Path) -> String + 'a;

/// An engine with its thread, which lives as long as its workers may: the end of the thread that started a worker ends the worker.
struct Engine {
    id: String,
    respondent: Respondent<Arc<Subject>, Answered>,
}

/// What an engine made of a module, and its id and version as its worker says them.
type Answered = (Result<Answer, WorkerError>, Option<(String, String)>);

impl Engine {
    fn start(launch: &Launch) -> Self {
        let launch = launch.clone();
        Self {
            id: launch.id.clone(),
            respondent: Respondent::start(move || {
                let mut session = Session::new(launch);
                move |subject: Arc<Subject>| {
                    let answer = session.answer(&subject);
                    (answer, session.identity())
                }
            }),
        }
    }
}

/// A run: engines, counts and findings.
pub struct Campaign<'a> {
    engines: Vec<Engine>,
    folder: &'a Folder,
    repeat: &'a Repeat<'a>,
    ledger: &'a Ledger,
    /// Engine id to counts.
    pub tallies: BTreeMap<String, Tally>,
    /// Engine id to why it cannot be started any more.
    pub lost: BTreeMap<String, String>,
    /// Disagreements.
    pub findings: Vec<Finding>,
    reasons: BTreeMap<(String, &'static str, String), u64>,
    /// Engine id to the id and the version that its worker states.
    identities: BTreeMap<String, (String, String)>,
}

impl<'a> Campaign<'a> {
    /// No module was shown yet. Findings go to `folder`; what `ledger` lists explains disagreements.
    pub fn new(
        launches: &[Launch],
        folder: &'a Folder,
        repeat: &'a Repeat<'a>,
        ledger: &'a Ledger,
    ) -> Self {
        Self {
            engines: launches.iter().map(Engine::start).collect(),
            folder,
            repeat,
            ledger,
            tallies: launches
                .iter()
                .map(|launch| (launch.id.clone(), Tally::default()))
                .collect(),
            lost: BTreeMap::new(),
            findings: Vec::new(),
            reasons: BTreeMap::new(),
            identities: BTreeMap::new(),
        }
    }

    /// Shows module `number` of `seed` to all engines. What disagrees is made smaller until `deadline`.
    ///
    /// # Errors
    /// If the module cannot be generated, or a finding cannot be written.
    pub fn generated(&mut self, seed: u64, number: u64, deadline: Instant) -> Result<()> {
        let generated = generate(seed, number, None).with_context(|| {
            format!("failed to generate module {number} of seed {seed}: wasm-smith makes none of these bytes")
        })?;
        let subject = Subject::new(generated.wasm);
        let (judgement, answers) = self.examine(&subject, true);
        self.count(&judgement);
        if !judgement.is_finding() {
            return Ok(());
        }
        let digest = sha256(&subject.wasm);
        let name = format!("seed-{seed}-{number}");
        let make = |length| generate(seed, number, Some(length)).map(|made| made.wasm);
        let smaller = self.shrink(generated.length, &make, &judgement, deadline);
        let (subject, judgement, answers) = smaller.unwrap_or((subject, judgement, answers));
        self.found(
            &name,
            Some((seed, number)),
            digest,
            &subject,
            &judgement,
            &answers,
        )
    }

    /// Shows a module from a file to all engines.
    ///
    /// # Errors
    /// If a finding cannot be written.
    pub fn given(&mut self, name: &str, wasm: Vec<u8>) -> Result<()> {
        let subject = Subject::new(wasm);
        let (judgement, answers) = self.examine(&subject, subject.features.is_ok());
        self.count(&judgement);
        if !judgement.is_finding() {
            return Ok(());
        }
        let digest = sha256(&subject.wasm);
        self.found(name, None, digest, &subject, &judgement, &answers)
    }

    /// What was neither agreement nor disagreement, and how often.
    pub fn reasons(&self) -> Vec<Reason> {
        self.reasons
            .iter()
            .map(|((runtime, outcome, reason), modules)| Reason {
                runtime: runtime.clone(),
                outcome,
                reason: reason.clone(),
                modules: *modules,
            })
            .collect()
    }

    /// Shows a module to all engines, and explains what is known of their differences.
    fn examine(&mut self, subject: &Subject, valid: bool) -> (Judgement, BTreeMap<String, Answer>) {
        let (judgement, answers) = self.show(subject, valid);
        let judgement = self.explain(subject, valid, judgement, &answers);
        (judgement, answers)
    }

    /// A disagreement is explained by a known defect if it is gone in the same module written so that it avoids the defect.
    fn explain(
        &mut self,
        subject: &Subject,
        valid: bool,
        judgement: Judgement,
        answers: &BTreeMap<String, Answer>,
    ) -> Judgement {
        let mut explained = BTreeMap::new();
        let disagreeing: Vec<String> = judgement.disagreeing().map(ToOwned::to_owned).collect();
        for id in disagreeing {
            let Some((engine, version)) = self.identities.get(&id).cloned() else {
                continue;
            };
            let known = self.ledger.fuzz().iter();
            for known in known.filter(|known| known.is_about(&engine) && known.is_for(&version)) {
                let gone = avoiding::written(known.what.avoid, &subject.wasm)
                    .is_some_and(|wasm| self.agrees(&id, wasm, valid));
                if gone {
                    let reason = known.reason.clone();
                    explained.insert(id.clone(), Ended::Explained { reason });
                    break;
                }
            }
        }
        if explained.is_empty() {
            return judgement;
        }
        // The others, without those that are known to be wrong.
        let others = answers
            .iter()
            .filter(|(id, _)| !explained.contains_key(*id))
            .map(|(id, answer)| (id.clone(), answer.clone()))
            .collect();
        let mut judgement = judge(&others, valid);
        judgement.engines.append(&mut explained);
        judgement
    }

    /// Whether an engine does as the others with a module.
    fn agrees(&mut self, id: &str, wasm: Vec<u8>, valid: bool) -> bool {
        let (judgement, _) = self.show(&Subject::new(wasm), valid);
        match judgement.engines.get(id) {
            Some(Ended::Agreed) => true,
            // What it was compared in, it did as the others.
            Some(Ended::Inconclusive { .. }) => judgement.compared.contains_key(id),
            _ => false,
        }
    }

    /// All engines side by side.
    fn show(&mut self, subject: &Subject, valid: bool) -> (Judgement, BTreeMap<String, Answer>) {
        let subject = Arc::new(subject.clone());
        let asked: Vec<_> = self
            .engines
            .iter()
            .filter(|engine| !self.lost.contains_key(&engine.id))
            .filter(|engine| engine.respondent.ask(Arc::clone(&subject)))
            .collect();
        let answers: Vec<_> = asked
            .iter()
            .filter_map(|engine| Some((engine.id.clone(), engine.respondent.answer()?)))
            .collect();
        let mut kept = BTreeMap::new();
        for (id, (answer, identity)) in answers {
            if let Some(identity) = identity {
                self.identities.insert(id.clone(), identity);
            }
            let answer = answer.unwrap_or_else(|error| {
                let message = format!("failed to {error}");
                self.lost.insert(id.clone(), message.clone());
                let did = "start".to_owned();
                let seen = Seen::Crashed { message };
                Answer::Steps(vec![Step { did, seen }])
            });
            kept.insert(id, answer);
        }
        let mut judgement = judge(&kept, valid);
        if valid && let Err(refused) = &subject.features {
            // It is valid by construction, and within all limits: the harness's own check is one of those compared.
            let what = format!("refuses a valid module: {refused}");
            judgement
                .engines
                .insert("pre-pass".to_owned(), Ended::Disagreed { what });
        }
        (judgement, kept)
    }

    fn count(&mut self, judgement: &Judgement) {
        for (id, ended) in &judgement.engines {
            let tally = self.tallies.entry(id.clone()).or_default();
            tally.modules += 1;
            tally.calls_compared += judgement.compared.get(id).copied().unwrap_or_default();
            let (count, reason) = match ended {
                Ended::Agreed => (&mut tally.agreed, None),
                Ended::Disagreed { .. } => (&mut tally.disagreed, None),
                Ended::Unsupported { reason } => {
                    (&mut tally.unsupported, Some(("unsupported", reason)))
                }
                Ended::Inconclusive { reason } => {
                    (&mut tally.inconclusive, Some(("inconclusive", reason)))
                }
                Ended::Explained { reason } => (&mut tally.explained, Some(("explained", reason))),
            };
            *count += 1;
            if let Some((outcome, reason)) = reason {
                let key = (id.clone(), outcome, reason.clone());
                *self.reasons.entry(key).or_default() += 1;
            }
        }
    }

    /// The smallest module found, of fewer random bytes, with which the same engines disagree.
    fn shrink(
        &mut self,
        length: usize,
        make: &dyn Fn(usize) -> Option<Vec<u8>>,
        judgement: &Judgement,
        deadline: Instant,
    ) -> Option<(Subject, Judgement, BTreeMap<String, Answer>)> {
        let wanted: BTreeSet<String> = judgement.disagreeing().map(ToOwned::to_owned).collect();
        let mut best = None;
        let mut length = length;
        let mut step = length / 2;
        while step >= 8 {
            if Instant::now() >= deadline {
                return best;
            }
            let tried = make(length - step).map(Subject::new);
            let tried = tried.map(|subject| {
                let (judgement, answers) = self.examine(&subject, true);
                (subject, judgement, answers)
            });
            match tried {
                Some((subject, judgement, answers))
                    if judgement
                        .disagreeing()
                        .eq(wanted.iter().map(String::as_str)) =>
                {
                    length -= step;
                    best = Some((subject, judgement, answers));
                }
                _ => {}
            }
            step = (step / 2).min(length / 2);
        }
        best
    }

    fn found(
        &mut self,
        name: &str,
        source: Option<(u64, u64)>,
        generated_sha256: String,
        subject: &Subject,
        judgement: &Judgement,
        answers: &BTreeMap<String, Answer>,
    ) -> Result<()> {
        let disagreed = judgement
            .engines
            .iter()
            .filter_map(|(id, ended)| match ended {
                Ended::Disagreed { what } => Some((id.clone(), what.clone())),
                _ => None,
            })
            .collect();
        let mut finding = Finding {
            number: source.map(|(_, number)| number),
            disagreed,
            repeat: None,
        };
        if self.findings.len() < MOST_KEPT {
            let module = format!("findings/{name}.wasm");
            self.folder.file(&module, &subject.wasm)?;
            finding.repeat = Some((self.repeat)(&self.folder.path().join(&module)));
            let record = Record {
                finding: &finding,
                seed: source.map(|(seed, _)| seed),
                generated_sha256,
                judgement,
                answers,
            };
            self.folder
                .document(&format!("findings/{name}.json"), &record)?;
        }
        self.findings.push(finding);
        Ok(())
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}
