//! A kernel that fails repeatedly is not tried on every call.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// When a kernel is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// So many failures in a row; 0 never leaves it alone.
    pub failures: u32,
    /// After this time one call tries it again; if that one fails too, it rests as long again.
    pub rest: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 5,
            rest: Duration::from_secs(5),
        }
    }
}

/// What a breaker says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Try the kernel.
    Try,
    /// It rests.
    Rest,
}

/// The breaker of one kernel.
#[derive(Debug)]
pub(crate) struct Switch {
    rule: Breaker,
    since: Instant,
    in_a_row: AtomicU32,
    /// Nanoseconds after `since` until which the kernel rests; 0 while it does not.
    until: AtomicU64,
}

impl Switch {
    pub(crate) fn new(rule: Breaker) -> Self {
        Self {
            rule,
            since: Instant::now(),
            in_a_row: AtomicU32::new(0),
            until: AtomicU64::new(0),
        }
    }

    /// Whether to try; of the threads that ask after a rest, one is told to.
    pub(crate) fn asks(&self) -> Leave {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return Leave::Try;
        }
        let now = self.nanoseconds();
        let next = self.rests_until(now);
        let taken = now >= until
            && self
                .until
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if taken { Leave::Try } else { Leave::Rest }
    }

    /// The kernel served: whether it had been resting.
    pub(crate) fn served(&self) -> bool {
        // Two loads on the way that all calls go.
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        self.until.load(Ordering::Relaxed) != 0 && self.until.swap(0, Ordering::Relaxed) != 0
    }

    /// The kernel failed: whether it rests from now on and did not before.
    pub(crate) fn failed(&self) -> bool {
        let in_a_row = self
            .in_a_row
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        if self.rule.failures == 0 || in_a_row < self.rule.failures {
            return false;
        }
        let until = self.rests_until(self.nanoseconds());
        self.until.swap(until, Ordering::Relaxed) == 0
    }

    fn rests_until(&self, now: u64) -> u64 {
        let rest = u64::try_from(self.rule.rest.as_nanos()).unwrap_or(u64::MAX);
        now.saturating_add(rest).max(1)
    }

    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(rest: Duration) -> Switch {
        Switch::new(Breaker { failures: 2, rest })
    }

    #[test]
    fn it_rests_after_failures_in_a_row_and_not_before() {
        let switch = switch(Duration::from_secs(3600));
        assert!(!switch.failed());
        assert!(!switch.served());
        assert!(!switch.failed());
        assert_eq!(switch.asks(), Leave::Try);
        assert!(switch.failed());
        assert_eq!(switch.asks(), Leave::Rest);
        // Failures of calls that were in flight begin no second rest.
        assert!(!switch.failed());
    }

    #[test]
    fn after_the_rest_one_call_tries_and_decides() {
        let switch = switch(Duration::from_millis(1));
        assert!(!switch.failed() && switch.failed());
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(switch.asks(), Leave::Try);
        assert!(switch.served());
        assert_eq!(switch.asks(), Leave::Try);
    }

    #[test]
    fn none_at_all_is_a_choice() {
        let switch = Switch::new(Breaker {
            failures: 0,
            rest: Duration::ZERO,
        });
        assert!((0..100).all(|_| !switch.failed()));
        assert_eq!(switch.asks(), Leave::Try);
    }
}
