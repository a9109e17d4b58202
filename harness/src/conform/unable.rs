//! What tells of an engine that could not work, and nothing of the kernel that it was asked about.

use super::{
    forms,
    observe::{Ended, Observed},
    subject::Subject,
};
use crate::outcome::Outcome;
use runtime_api::{Error, Info};

/// Why a run says nothing of its kernel, if it does not: the worker was lost, or the engine failed by itself, as for want of memory.
pub(super) fn in_case(observed: &Observed) -> Option<String> {
    match &observed.ended {
        Ended::Lost(reason) => Some(reason.clone()),
        Ended::Stopped(error @ Error::Adapter { .. }) => Some(format!("failed to {error}")),
        _ => None,
    }
}

/// What the refusal of a module is, of an engine that states all that the module needs: what it cannot it says before it knows which module is
/// judged, or a module that it would fail is one that nobody judges. Code that a pack brings is not asked of it.
pub(super) fn refusal(
    info: Option<&Info>,
    subject: &Subject,
    refused: (Outcome, String),
) -> (Outcome, String) {
    match refused {
        (Outcome::Unsupported, reason)
            if info.is_some_and(forms::compiles) && !forms::is_form(&subject.variant) =>
        {
            let why = "and states all that the module needs, so that it may not refuse it";
            (Outcome::Fail, format!("{reason}, {why}"))
        }
        other => other,
    }
}
