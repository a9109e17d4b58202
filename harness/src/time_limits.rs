//! How long a run may take, and a module on an engine in it: whoever made a pack does not decide how long its verdict is waited for.

use crate::machine;
use assay_worker::TimeLimit;
use runtime_api::TICK;
use std::time::Duration;

/// What the limit of a run is of, as it is said where it was reached.
pub(crate) const OF_RUN: &str = "the run (--time-limit)";
/// Seconds that a run may take, unless asked otherwise: with the writing of its report less than ten minutes.
const RUN: u64 = 540;
/// Seconds that a module may take on an engine, at least and at most, unless asked otherwise.
const MODULE: (u64, u64) = (60, 135);
/// Deadlines of its manifest that a module may take on an engine, where that is between the two.
const DEADLINES: u32 = 16;
/// How many times as much a deep run may take, and one on a machine that is emulated.
const LONGER: u64 = 10;

/// How long a run may take, and a module on an engine in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// Of the run.
    pub run: TimeLimit,
    /// What was asked for, to be asked for again.
    pub asked: Asked,
    longer: u64,
}

/// Limits that were asked for, in seconds; `None` for the usual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Of the run.
    pub run: Option<u64>,
    /// Of a module on an engine.
    pub module: Option<u64>,
}

impl TimeLimits {
    /// Limits of a run that begins now. A search takes its own `seconds` besides.
    pub fn begin(asked: Asked, deep: bool, search: u64) -> Self {
        let longer = match deep || machine::emulated().is_some() {
            true => LONGER,
            false => 1,
        };
        let seconds = asked.run.unwrap_or(RUN * longer + search);
        Self {
            run: TimeLimit::new(OF_RUN, Duration::from_secs(seconds)),
            asked,
            longer,
        }
    }

    /// The limit of what goes before the verdict's own cases: a third of what is left, so that something is judged in any case.
    pub fn of_preparation(&self, what: &'static str) -> TimeLimit {
        TimeLimit::new(what, self.run.left() / 3)
    }

    /// The limit of a module that begins on an engine now, whose calls may take so many ticks by its manifest.
    pub fn of_module(&self, ticks: u64) -> TimeLimit {
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        let deadlines = TICK.saturating_mul(ticks).saturating_mul(DEADLINES);
        let seconds = deadlines.as_secs().clamp(MODULE.0, MODULE.1) * self.longer;
        let seconds = self.asked.module.unwrap_or(seconds);
        TimeLimit::new(
            "a module on an engine (--module-time-limit)",
            Duration::from_secs(seconds),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_from_the_manifest_unless_they_are_asked_for() {
        let usual = TimeLimits::begin(Asked::default(), false, 7);
        let deep = TimeLimits::begin(Asked::default(), true, 0);
        let seconds = |limit: TimeLimit| limit.time().as_secs();
        assert_eq!(seconds(usual.run), RUN * usual.longer + 7);
        assert_eq!(seconds(deep.run), RUN * LONGER);
        // A tick is 10 ms.
        for (ticks, due) in [(1, 60), (500, 80), (60_000, 135), (u64::MAX, 135)] {
            assert_eq!(seconds(usual.of_module(ticks)), due * usual.longer);
        }
        let (run, module) = (Some(5), Some(2));
        let asked = TimeLimits::begin(Asked { run, module }, true, 7);
        assert_eq!((seconds(asked.run), seconds(asked.of_module(1))), (5, 2));
        assert!(!asked.run.is_reached());
        assert!(TimeLimit::new("it", Duration::ZERO).is_reached());
    }
}
