//! A check has more than two outcomes, and only `pass` counts as a pass.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// The engine cannot do what the check needs, or the check does not apply, with the reason.
    Unsupported,
    /// The engine is not in this build, with the reason and the command that adds it.
    Absent,
    /// Nothing says what would be right, with the reason.
    Unjudged,
    /// It fails as listed in the expectations, with a reason.
    KnownFailure,
    /// The harness could not tell.
    Error,
    /// It does not hold.
    Fail,
}

impl Outcome {
    /// Whether this outcome forbids a good verdict.
    pub fn is_bad(self) -> bool {
        matches!(self, Outcome::Fail | Outcome::Error)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Pass => "pass",
            Outcome::Unsupported => "unsupported",
            Outcome::Absent => "absent",
            Outcome::Unjudged => "unjudged",
            Outcome::KnownFailure => "known-failure",
            Outcome::Error => "error",
            Outcome::Fail => "fail",
        })
    }
}

/// Whether a run holds as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whole {
    /// Everything that was asked for passed.
    Pass,
    /// Something did not.
    Fail,
}

impl Whole {
    /// Fails if anything is wrong.
    pub const fn of(wrong: bool) -> Self {
        if wrong { Whole::Fail } else { Whole::Pass }
    }

    /// Whether it holds.
    pub const fn passed(self) -> bool {
        matches!(self, Whole::Pass)
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.passed() { "pass" } else { "fail" })
    }
}

/// Outcomes counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// See [`Outcome::Pass`].
    pub pass: u64,
    /// See [`Outcome::Fail`].
    pub fail: u64,
    /// See [`Outcome::Unsupported`].
    pub unsupported: u64,
    /// See [`Outcome::Absent`].
    pub absent: u64,
    /// See [`Outcome::Unjudged`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unjudged: u64,
    /// See [`Outcome::KnownFailure`].
    pub known_failure: u64,
    /// See [`Outcome::Error`].
    pub error: u64,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Pass => &mut self.pass,
            Outcome::Fail => &mut self.fail,
            Outcome::Unsupported => &mut self.unsupported,
            Outcome::Absent => &mut self.absent,
            Outcome::Unjudged => &mut self.unjudged,
            Outcome::KnownFailure => &mut self.known_failure,
            Outcome::Error => &mut self.error,
        } += 1;
    }

    /// All outcomes.
    pub fn total(&self) -> u64 {
        let judged = self.pass + self.fail + self.known_failure + self.error;
        judged + self.unsupported + self.absent + self.unjudged
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
