//! What came of a fault that was planted once.

use super::LATE;
use crate::machine;
use runtime_api::{TICK, Trap};
use std::time::Duration;

/// What a try came to.
pub(super) enum Tried {
    /// The engine told what happened.
    Told(String),
    /// It did not.
    Not(String),
    /// It did not, and a busy machine explains it, or a slow kernel that took the fuel before.
    Busy(String),
    /// Nobody can tell.
    Error(String),
}

/// A call that has no end is over at its deadline, by this process's clock: not much later, and no tick earlier than one that had begun.
pub(super) fn in_time(budget: Duration, took: Duration) -> Tried {
    if took + 2 * TICK < budget {
        return Tried::Not(format!(
            "it ended after {took:.0?} of a budget of {budget:.0?}"
        ));
    }
    if took > budget + LATE && machine::emulated().is_none() {
        return Tried::Busy(format!(
            "it ended {:.0?} after its budget of {budget:.0?}",
            took - budget
        ));
    }
    Tried::Told(format!(
        "ended after {took:.0?} of a budget of {budget:.0?}"
    ))
}

/// Traps, one of which is due, in words.
pub(super) fn either(traps: &[Trap]) -> String {
    let names: Vec<String> = traps.iter().map(ToString::to_string).collect();
    names.join(" or ")
}
