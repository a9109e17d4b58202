//! How what an engine did is judged.

use super::plan::{Due, Step};
use crate::outcome::Outcome;
use runtime_api::{Error, Stage, Trap};
use runtime_call::Outcome as Ended;

/// How a check ended, and what there is to say about it.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    pub(super) detail: String,
}

pub(super) fn judged(outcome: Outcome, detail: impl Into<String>) -> Judged {
    Judged {
        outcome,
        detail: detail.into(),
    }
}

pub(super) fn pass() -> Judged {
    judged(Outcome::Pass, "")
}

/// How a step that was made is judged; `None` if its results are wrong, which are to be shown.
pub(super) fn judge(step: &Step, ended: &Ended) -> Option<Judged> {
    Some(match (&step.due, ended) {
        (Due::Unexplained(message), _) => judged(
            Outcome::Error,
            format!(
                "the harness does not know what class of trap \"{}\" is",
                message.escape_debug()
            ),
        ),
        (Due::Returned, Ended::Returned(1)) => pass(),
        (Due::Returned, Ended::Returned(_)) => return None,
        (Due::Trap(_), Ended::Failed(Error::Unsupported { .. }))
        | (Due::Returned, Ended::Failed(Error::Unsupported { .. })) => {
            judged(Outcome::Unsupported, words(ended))
        }
        (
            due @ Due::Trap(_),
            Ended::Failed(Error::Trap {
                stage: Stage::Call,
                trap,
            }),
        ) => trapped(trap, due),
        (Due::Trap(_), _) | (Due::Returned, Ended::Failed(_)) => {
            judged(Outcome::Fail, words(ended))
        }
    })
}

pub(super) fn trapped(trap: &Trap, due: &Due) -> Judged {
    match due {
        Due::Trap(class) if class == trap => pass(),
        Due::Unexplained(message) => judged(
            Outcome::Error,
            format!(
                "the harness does not know what class of trap \"{}\" is",
                message.escape_debug()
            ),
        ),
        Due::Trap(_) | Due::Returned => judged(Outcome::Fail, format!("trap {trap}")),
    }
}

pub(super) fn words(ended: &Ended) -> String {
    match ended {
        Ended::Returned(_) => "returned".to_owned(),
        Ended::Failed(error) => format!("failed to {error}"),
    }
}
