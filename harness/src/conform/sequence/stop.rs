//! Why a sequence ends early.

use crate::conform::{
    judge::Layer,
    observe::{Ended, describe},
};
use std::fmt;

/// Why a sequence ended early.
#[derive(Debug)]
pub(in crate::conform) struct Stop {
    /// Which step, from 1.
    pub(in crate::conform) step: usize,
    pub(super) what: String,
    pub(in crate::conform) why: Why,
}

#[derive(Debug)]
pub(in crate::conform) enum Why {
    /// A layer does not hold.
    Wrong(Layer, String),
    /// A call did not return.
    Ended(Ended),
}

impl Why {
    /// A worker that made fewer calls than asked, or read less, has told nothing.
    pub(super) fn missing() -> Self {
        let what = "the worker made or read less than it was asked";
        Why::Ended(Ended::Lost(what.to_owned()))
    }

    /// The same, of one call of several.
    pub(super) fn of(self, call: &str) -> Self {
        match self {
            Why::Wrong(layer, what) => Why::Wrong(layer, format!("{call}: {what}")),
            ended => ended,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} of one instance, {}: ", self.step, self.what)?;
        match &self.why {
            Why::Wrong(_, what) => f.write_str(what),
            Why::Ended(ended) => write!(f, "the call did not return: {}", describe(ended)),
        }
    }
}
