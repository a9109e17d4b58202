//! A rise of failures after an activation, which rolls back by itself.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// When a pack that was activated is taken back without being asked: within the grace period, so many failures of its kernels within
/// a window, if they are such a share of the calls in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// How far back failures count.
    pub window: Duration,
    /// Fewer than these are no rise; 0 never rolls back.
    pub failures: u32,
    /// Their share of the calls in the window, 0 to 1, from which on it is a rise.
    pub share: f64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            failures: 3,
            share: 0.05,
        }
    }
}

/// Failures kept at most: more than any sensible rule asks for.
const MOST_KEPT: usize = 4096;

/// A failure, with how many calls there had been by then.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    calls: u64,
}

/// The failures of one generation.
#[derive(Debug)]
pub(crate) struct Failures {
    rule: Watch,
    marks: Mutex<VecDeque<Mark>>,
}

impl Failures {
    pub(crate) fn new(rule: Watch) -> Self {
        Self {
            rule,
            marks: Mutex::default(),
        }
    }

    /// Notes a failure at a time, when `calls` calls had been made: whether it is a rise, in words.
    pub(crate) fn note(&self, at: Instant, calls: u64) -> Option<String> {
        if self.rule.failures == 0 {
            return None;
        }
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.push_back(Mark { at, calls });
        let is_old = |mark: &Mark| at.saturating_duration_since(mark.at) > self.rule.window;
        while marks.len() > MOST_KEPT || marks.front().is_some_and(is_old) {
            marks.pop_front();
        }
        let failures = marks.len() as u64;
        // The first failure is a call of the window itself.
        let first = marks.front().map_or(calls, |mark| mark.calls);
        let calls = calls.saturating_sub(first) + 1;
        let share = failures as f64 / calls.max(failures) as f64;
        (failures >= u64::from(self.rule.failures) && share >= self.rule.share).then(|| {
            format!(
                "{failures} failures in {:?}, {:.1} % of the calls between them",
                self.rule.window,
                100.0 * share
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures() -> Failures {
        Failures::new(Watch {
            window: Duration::from_secs(10),
            failures: 3,
            share: 0.5,
        })
    }

    #[test]
    fn many_of_few_calls_are_a_rise() {
        let failures = failures();
        let start = Instant::now();
        assert!(failures.note(start, 10).is_none());
        assert!(failures.note(start, 11).is_none());
        assert!(failures.note(start, 12).is_some());
    }

    #[test]
    fn few_of_many_calls_and_old_ones_are_none() {
        let start = Instant::now();
        let rare = failures();
        assert!((0..20_u64).all(|index| rare.note(start, index * 1000).is_none()));
        let old = failures();
        for index in 0..20 {
            let at = start + Duration::from_secs(6 * index);
            assert!(old.note(at, index).is_none());
        }
    }
}
