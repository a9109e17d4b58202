//! Times that a worker reports, held against the clock of this process.

use std::time::Duration;

/// How many times as long as it reports a request may take, beside what it takes without any call.
const FACTOR: u32 = 2;

/// How reported times stand to those that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// They can be those of the calls.
    Fits,
    /// More is reported than passed.
    More,
    /// Much less is reported than passed: it is not, or the machine was busy meanwhile.
    Less,
}

/// Holds times that were reported against those that passed. Two clocks may differ by `beyond`; `beside` is what passes besides calls.
pub(crate) fn stand(
    reported: Duration,
    took: Duration,
    beyond: Duration,
    beside: Duration,
) -> Stand {
    if reported > took + beyond {
        Stand::More
    } else if reported * FACTOR + beside < took {
        Stand::Less
    } else {
        Stand::Fits
    }
}
