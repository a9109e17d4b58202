//! The layers of a case, each reported separately because each failure means something else.

use super::{
    observe::{Ended, Observed, describe},
    subject::{Native, Prepared},
};
use crate::outcome::Outcome;
use kernel_abi::Status;
use kernel_cases::{
    case::Case,
    open,
    truth::{self, Verdict},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// The status or the trap is the expected one.
    L1,
    /// Output bytes are equal across all engines that run the same module, NaN as a class.
    L2,
    /// Output bytes are equal to the same source compiled natively.
    L3,
    /// The output is within the tolerance of the f64 oracle.
    L4,
    /// The output is what other people's libraries say.
    L5,
    /// Nothing outside output and scratch was written, and nothing the contract leaves open was read.
    L6,
    /// The properties that the contract promises hold, whatever the truth is.
    L7,
}

impl Layer {
    /// All layers.
    pub const ALL: [Layer; 7] = [
        Layer::L1,
        Layer::L2,
        Layer::L3,
        Layer::L4,
        Layer::L5,
        Layer::L6,
        Layer::L7,
    ];

    /// The layer in a word.
    pub const fn title(self) -> &'static str {
        match self {
            Layer::L1 => "status",
            Layer::L2 => "agreement",
            Layer::L3 => "same source",
            Layer::L4 => "truth",
            Layer::L5 => "external",
            Layer::L6 => "frame",
            Layer::L7 => "properties",
        }
    }
}

/// A layer of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// How it ended.
    pub outcome: Outcome,
    /// What differs, or why the layer does not apply.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub detail: String,
    /// Largest distance from the expectation in units in the last place, where that is measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_ulp: Option<f64>,
}

impl Judgement {
    fn pass() -> Self {
        Self::of(Outcome::Pass, String::new())
    }

    /// An outcome with its detail.
    pub fn of(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            detail: detail.into(),
            max_ulp: None,
        }
    }

    fn fail(detail: impl Into<String>) -> Self {
        Self::of(Outcome::Fail, detail)
    }
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass { max_ulp } => Self {
                max_ulp: Some(max_ulp),
                ..Self::pass()
            },
            Verdict::Fail(mismatch) => Self {
                max_ulp: mismatch.ulp,
                ..Self::fail(mismatch.to_string())
            },
            Verdict::NotApplicable(reason) => Self::of(Outcome::Unsupported, reason),
            Verdict::Unknown(reason) => Self::of(Outcome::Error, reason),
        }
    }
}

/// The layers of a case; one that says nothing about the case (L5 without a vector, L4 of a refused call) is left out.
pub type Layers = BTreeMap<Layer, Judgement>;

/// Judges a case on each of the engines that ran it, in the order of `observed`.
pub fn judge(prepared: &Prepared, observed: &[&Observed]) -> Vec<Layers> {
    let agreement = agreement(prepared, observed);
    // Engines mostly give the same bytes, and a truth takes long to compare with.
    let mut seen: Vec<(i32, &[u8], Layers)> = Vec::new();
    observed
        .iter()
        .zip(agreement)
        .map(|(observed, agreement)| {
            let mut layers = match &observed.ended {
                Ended::Status { status, output } => {
                    let output = output.as_deref().unwrap_or(prepared.native_output());
                    let same = |one: &&(i32, &[u8], Layers)| one.0 == *status && one.1 == output;
                    let mut layers = match seen.iter().find(same) {
                        Some((.., layers)) => layers.clone(),
                        None => {
                            let layers = of_answer(prepared, *status, output);
                            seen.push((*status, output, layers.clone()));
                            layers
                        }
                    };
                    add_of_call(&mut layers, prepared, observed, *status);
                    layers
                }
                _ => not_returned(prepared, observed),
            };
            layers.insert(Layer::L2, agreement);
            layers
        })
        .collect()
}

/// L7 of a case that is related to another one, on an engine that ran both; `None` if it is not, or if there is no answer.
pub fn related(
    prepared: &Prepared,
    observed: &Observed,
    other: (&Prepared, &Observed),
) -> Option<Judgement> {
    fn answer<'a>(prepared: &'a Prepared, observed: &'a Observed) -> Option<&'a [u8]> {
        match &observed.ended {
            Ended::Status { status: 0, output } => {
                Some(output.as_deref().unwrap_or(prepared.native_output()))
            }
            _ => None,
        }
    }
    let output = answer(prepared, observed)?;
    let other = (&other.0.case, answer(other.0, other.1)?);
    open::judge_relation(&prepared.case, output, other).map(Judgement::from)
}

/// Every layer that needs no other engine: all but L2's comparison.
pub fn judge_alone(prepared: &Prepared, observed: &Observed) -> Layers {
    let Ended::Status { status, output } = &observed.ended else {
        return not_returned(prepared, observed);
    };
    let output = output.as_deref().unwrap_or(prepared.native_output());
    let mut layers = of_answer(prepared, *status, output);
    add_of_call(&mut layers, prepared, observed, *status);
    layers
}

/// L1 and L6, and of L4 what is promised of scratch: what depends on more than the answer.
fn add_of_call(layers: &mut Layers, prepared: &Prepared, observed: &Observed, status: i32) {
    let due = prepared.case.expect;
    let of_status = if status != due {
        Judgement::fail(format!(
            "status {} where {} is due",
            Status(status),
            Status(due)
        ))
    } else {
        held(&observed.lifecycle)
    };
    layers.insert(Layer::L1, of_status);
    layers.insert(Layer::L6, held(&observed.frame));
    if let Err(what) = &observed.scratch {
        let truth = layers.entry(Layer::L4).or_insert_with(Judgement::pass);
        if truth.outcome != Outcome::Fail {
            *truth = Judgement::fail(what.clone());
        }
    }
}

fn held(what: &Result<(), String>) -> Judgement {
    match what {
        Ok(()) => Judgement::pass(),
        Err(what) => Judgement::fail(what.clone()),
    }
}

/// L3, L4, L5 and the part of L7 that needs no other case: what follows from the answer alone.
fn of_answer(prepared: &Prepared, status: i32, output: &[u8]) -> Layers {
    let case = &prepared.case;
    let mut layers = Layers::new();
    if let Some(native) = &prepared.native {
        layers.insert(Layer::L3, same_source(case, native, status, output));
    }
    if !case.expects_output() {
        return layers;
    }
    if status != 0 {
        let missing = || Judgement::fail(format!("no output: status {}", Status(status)));
        layers.insert(Layer::L4, missing());
        if !case.external.is_empty() {
            layers.insert(Layer::L5, missing());
        }
        return layers;
    }
    let native = prepared.native.as_ref();
    let same_as_native = native.is_some_and(|native| output == native.output);
    let truth = match &prepared.native_truth {
        Some(verdict) if same_as_native => verdict.clone(),
        _ => truth::judge(case, output),
    };
    layers.insert(Layer::L4, truth.into());
    if !case.external.is_empty() {
        layers.insert(Layer::L5, external(prepared, output));
    }
    if let Some(verdict) = open::judge_properties(case, output) {
        layers.insert(Layer::L7, verdict.into());
    }
    layers
}

/// L3: what the same source gives natively.
fn same_source(case: &Case, native: &Native, status: i32, output: &[u8]) -> Judgement {
    if status != native.status {
        return Judgement::fail(format!(
            "status {} where the native build answers {}",
            Status(status),
            Status(native.status)
        ));
    }
    if status != 0 {
        return Judgement::pass();
    }
    match truth::bits_differ(case, &native.output, output) {
        None => Judgement::pass(),
        Some(mismatch) => Judgement {
            max_ulp: mismatch.ulp,
            ..Judgement::fail(format!("differs from the native build: {mismatch}"))
        },
    }
}

/// L5: every oracle that binds must hold; those that inform never fail, and alone they make no pass.
fn external(prepared: &Prepared, output: &[u8]) -> Judgement {
    let mut result: Option<Judgement> = None;
    for external in &prepared.case.external {
        let judgement = Judgement::from(truth::judge_external(&prepared.case, external, output));
        let judgement = Judgement {
            detail: if judgement.detail.is_empty() {
                String::new()
            } else {
                format!("oracle {}: {}", external.oracle, judgement.detail)
            },
            ..judgement
        };
        result = Some(match result {
            None => judgement,
            Some(worst) => {
                let max_ulp = match (worst.max_ulp, judgement.max_ulp) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    (a, b) => a.or(b),
                };
                // A binding pass beats an oracle that only informs; a failure beats both.
                let rank = |judgement: &Judgement| match judgement.outcome {
                    Outcome::Fail | Outcome::Error => 2,
                    Outcome::Pass => 1,
                    _ => 0,
                };
                let kept = if rank(&judgement) > rank(&worst) {
                    judgement
                } else {
                    worst
                };
                Judgement { max_ulp, ..kept }
            }
        });
    }
    result.unwrap_or_else(|| Judgement::of(Outcome::Error, "the vector names no oracle"))
}

/// The layers of a call that did not return: nothing that needs its result can hold.
fn not_returned(prepared: &Prepared, observed: &Observed) -> Layers {
    let what = describe(&observed.ended);
    let outcome = without_answer(&observed.ended);
    Layer::ALL
        .into_iter()
        .filter(|layer| match layer {
            Layer::L2 => false,
            Layer::L4 => prepared.case.expects_output(),
            Layer::L5 => prepared.case.expects_output() && !prepared.case.external.is_empty(),
            Layer::L3 => prepared.native.is_some(),
            Layer::L7 => false,
            Layer::L1 | Layer::L6 => true,
        })
        .map(|layer| (layer, Judgement::of(outcome, what.clone())))
        .collect()
}

/// What a call is that gave no status.
fn without_answer(ended: &Ended) -> Outcome {
    match ended {
        Ended::Lost(_) => Outcome::Error,
        Ended::NotAsked(_) => Outcome::Unsupported,
        // What an engine cannot it says before: by its features, its budgets and its limits, and when a module is loaded.
        Ended::Status { .. } | Ended::Stopped(_) => Outcome::Fail,
    }
}

/// What engines must agree on.
#[derive(PartialEq, Eq, Hash)]
enum Answer {
    Status(i32, Vec<u8>),
    Stopped(String),
}

impl Answer {
    /// The output counts only with status 0.
    fn returned(prepared: &Prepared, status: i32, output: &[u8]) -> Self {
        let bytes = if status == 0 {
            truth::canonical(&prepared.case, output)
        } else {
            Vec::new()
        };
        Answer::Status(status, bytes)
    }
}

/// Whether all engines answered with the same bytes, as they mostly do: no NaN has to be looked for then.
fn are_alike(observed: &[&Observed]) -> bool {
    let mut answers = observed.iter().map(|observed| match &observed.ended {
        Ended::Status { status, output } => {
            Some((*status, output.as_ref().filter(|_| *status == 0)))
        }
        _ => None,
    });
    let first = answers.next().flatten();
    first.is_some() && answers.all(|other| other == first)
}

/// L2: all engines give the same answer. Where they do not, the engines outside the majority fail; where there is no
/// strict majority the native build of the same source has a vote, and if that decides nothing all fail. One engine
/// alone agrees with nobody.
fn agreement(prepared: &Prepared, observed: &[&Observed]) -> Vec<Judgement> {
    if observed.len() > 1 && are_alike(observed) {
        let judged = observed.iter().map(|observed| match &observed.nan_bits {
            Some(what) => Judgement::fail(what.clone()),
            None => Judgement::pass(),
        });
        return judged.collect();
    }
    let answers: Vec<Option<Answer>> = observed
        .iter()
        .map(|observed| match &observed.ended {
            Ended::Status { status, output } => {
                let output = output.as_deref().unwrap_or(prepared.native_output());
                Some(Answer::returned(prepared, *status, output))
            }
            Ended::Lost(_) | Ended::NotAsked(_) => None,
            Ended::Stopped(runtime_api::Error::Trap { stage, trap }) => {
                Some(Answer::Stopped(format!("{stage:?} {}", trap.name())))
            }
            Ended::Stopped(other) => Some(Answer::Stopped(other.to_string())),
        })
        .collect();
    let mut groups: HashMap<&Answer, usize> = HashMap::new();
    for answer in answers.iter().flatten() {
        *groups.entry(answer).or_default() += 1;
    }
    let comparable: usize = groups.values().sum();
    let native = prepared.native.as_ref();
    let native = native.map(|native| Answer::returned(prepared, native.status, &native.output));
    let majority = groups
        .iter()
        .find(|(_, size)| **size * 2 > comparable)
        .map(|(answer, _)| *answer)
        .or_else(|| {
            let votes = |answer: &Answer| usize::from(native.as_ref() == Some(answer));
            groups
                .iter()
                .find(|(answer, size)| (**size + votes(answer)) * 2 > comparable + 1)
                .map(|(answer, _)| *answer)
        });

    observed
        .iter()
        .zip(&answers)
        .map(|(observed, answer)| {
            if let Some(what) = &observed.nan_bits {
                return Judgement::fail(what.clone());
            }
            let Some(answer) = answer else {
                return Judgement::of(without_answer(&observed.ended), describe(&observed.ended));
            };
            if comparable < 2 {
                return Judgement::of(
                    Outcome::Unsupported,
                    "no other engine ran this case: nothing to agree with",
                );
            }
            match majority {
                Some(majority) if majority == answer => Judgement::pass(),
                Some(Answer::Status(0, theirs)) => match answer {
                    Answer::Status(0, ours) => {
                        let mismatch = truth::bits_differ(&prepared.case, theirs, ours);
                        Judgement {
                            max_ulp: mismatch.as_ref().and_then(|mismatch| mismatch.ulp),
                            ..Judgement::fail(format!(
                                "differs from most engines: {}",
                                mismatch.map_or_else(String::new, |mismatch| mismatch.to_string())
                            ))
                        }
                    }
                    _ => Judgement::fail(format!(
                        "{} where most engines return an output",
                        describe(&observed.ended)
                    )),
                },
                Some(_) => Judgement::fail(format!(
                    "{}, unlike most engines",
                    describe(&observed.ended)
                )),
                None => Judgement::fail(format!(
                    "{}: the engines fall into {} groups without a majority",
                    describe(&observed.ended),
                    groups.len()
                )),
            }
        })
        .collect()
}
