//! What `conform` says of a module, as soon as something does not hold.

use crate::{
    conform::{
        judge::{self, Judgement, Layer},
        observe::Ended,
        run::{Session, Work},
        subject::Subject,
    },
    outcome::Outcome,
};
use runtime_api::{Error, Trap};
use serde::{Deserialize, Serialize};

/// Why a module does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// The layers that fail; `coverage` where it is code that no case ran any more.
    pub layers: Vec<String>,
    /// The first case that fails, or `edge:module`.
    pub case: String,
    /// What is wrong.
    pub detail: String,
}

/// How many times as long a call may take once more that was ended by its deadline.
const PATIENCE: u64 = 10;

fn is_deadline(ended: &Ended) -> bool {
    let Ended::Stopped(Error::Trap { trap, .. }) = ended else {
        return false;
    };
    *trap == Trap::EpochDeadline
}

/// Judges a module by all cases of `work`, one after the other until one fails, then by their sequences and the checks of a module as a whole.
///
/// # Errors
/// The reason why the harness could not tell.
pub(super) fn judge(
    session: &mut Session<'_>,
    work: &Work,
    subject: &Subject,
) -> Result<Option<Death>, String> {
    let died = |layer: &str, case: &str, detail: String| Death {
        layers: vec![layer.to_owned()],
        case: case.to_owned(),
        detail,
    };
    let loaded = match session.load(subject) {
        Ok(loaded) => loaded,
        Err((Outcome::Fail, reason)) => return Ok(Some(died("load", "", reason))),
        Err((_, reason)) => return Err(reason),
    };
    let mut all_alone = Vec::with_capacity(work.cases.len());
    for prepared in &work.cases {
        let (mut observed, mut alone) = session.one(subject, loaded, prepared);
        if is_deadline(&observed.ended) {
            // Perhaps the machine was busy.
            let patient = Subject {
                ticks: subject.ticks.saturating_mul(PATIENCE),
                ..subject.clone()
            };
            let loaded = session.load(&patient).map_err(|(_, reason)| reason)?;
            (observed, alone) = session.one(&patient, loaded, prepared);
        }
        if let Ended::Lost(reason) = &observed.ended {
            return Err(reason.clone());
        }
        let mut layers = judge::judge_alone(prepared, &observed);
        // Of agreement one engine alone can only tell that NaN bits do not matter.
        if let Some(what) = observed.nan_bits {
            layers.insert(Layer::L2, Judgement::of(Outcome::Fail, what));
        }
        let bad = layers
            .iter()
            .filter(|(_, judgement)| judgement.outcome.is_bad());
        let bad: Vec<_> = bad.collect();
        if let Some((_, first)) = bad.first() {
            return Ok(Some(Death {
                layers: bad.iter().map(|(layer, _)| format!("{layer:?}")).collect(),
                case: prepared.case.name.clone(),
                detail: first.detail.clone(),
            }));
        }
        all_alone.push(alone);
    }
    let identity = session.identity(subject, loaded);
    for sequence in &work.sequences {
        let fresh = (&all_alone[..], identity.as_ref());
        let ran = session.sequence(subject, loaded, work, fresh, sequence);
        let bad = ran.layers.iter();
        let bad: Vec<_> = bad.filter(|(_, one)| one.outcome.is_bad()).collect();
        if let Some((_, first)) = bad.first() {
            if ran.lost {
                return Err(first.detail.clone());
            }
            return Ok(Some(Death {
                layers: bad.iter().map(|(layer, _)| format!("{layer:?}")).collect(),
                case: sequence.name.clone(),
                detail: first.detail.clone(),
            }));
        }
    }
    let (module, _) = session.module(subject, loaded, &work.cases);
    match module.outcome {
        Outcome::Pass => Ok(None),
        Outcome::Fail => Ok(Some(died("L1", "edge:module", module.detail))),
        _ => Err(module.detail),
    }
}
