//! Counters and latencies through the `metrics` facade.

/// What is told to the recorder of the `metrics` facade. Where an application has installed none, telling costs a branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// Nothing.
    Off,
    /// Counts: calls by how they were answered, instances, upgrades, rollbacks.
    #[default]
    Counts,
    /// Counts, and how long each call took: two looks at the clock per call.
    Latency,
}

pub(crate) use handles::{Handles, activated, rolled_back};

#[cfg(feature = "metrics")]
mod handles {
    use super::Measure;
    use crate::error::Reason;
    use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
    use std::time::{Duration, Instant};

    /// The handles of one kernel of one generation, looked up once.
    pub(crate) struct Handles {
        calls: Counter,
        served: Counter,
        degraded: Vec<Counter>,
        failed: Vec<Counter>,
        seconds: Option<Histogram>,
        instances: Gauge,
    }

    impl Handles {
        pub(crate) fn new(
            measure: Measure,
            kernel: &str,
            engine: &str,
            generation: u64,
        ) -> Option<Self> {
            if measure == Measure::Off {
                return None;
            }
            let labels = [
                ("kernel", kernel.to_owned()),
                ("engine", engine.to_owned()),
                ("generation", generation.to_string()),
            ];
            let by_reason = |name: &'static str| {
                let reasons = Reason::ALL.iter();
                let counters = reasons.map(|reason| {
                    let mut labels = labels.to_vec();
                    labels.push(("reason", reason.as_str().to_owned()));
                    counter!(name, &labels)
                });
                counters.collect()
            };
            Some(Self {
                calls: counter!("kernel_host_calls_total", &labels),
                served: counter!("kernel_host_served_total", &labels),
                degraded: by_reason("kernel_host_degraded_total"),
                failed: by_reason("kernel_host_failed_total"),
                seconds: (measure == Measure::Latency)
                    .then(|| histogram!("kernel_host_call_seconds", &labels)),
                instances: gauge!("kernel_host_instances", &labels),
            })
        }

        /// When a call begins, where that matters.
        pub(crate) fn start(&self) -> Option<Instant> {
            self.seconds.is_some().then(Instant::now)
        }

        pub(crate) fn served(&self, started: Option<Instant>) {
            self.calls.increment(1);
            self.served.increment(1);
            self.took(started.map(|started| started.elapsed()));
        }

        pub(crate) fn degraded(&self, reason: Reason) {
            self.calls.increment(1);
            increment(&self.degraded, reason);
        }

        pub(crate) fn failed(&self, reason: Reason) {
            self.calls.increment(1);
            increment(&self.failed, reason);
        }

        pub(crate) fn instances(&self, alive: usize) {
            self.instances.set(alive as f64);
        }

        fn took(&self, time: Option<Duration>) {
            if let (Some(seconds), Some(time)) = (&self.seconds, time) {
                seconds.record(time.as_secs_f64());
            }
        }
    }

    /// The counters are in the order of [`Reason::ALL`].
    fn increment(counters: &[Counter], reason: Reason) {
        let index = Reason::ALL.iter().position(|known| *known == reason);
        if let Some(counter) = index.and_then(|index| counters.get(index)) {
            counter.increment(1);
        }
    }

    pub(crate) fn activated(measure: Measure) {
        if measure != Measure::Off {
            counter!("kernel_host_upgrades_total").increment(1);
        }
    }

    pub(crate) fn rolled_back(measure: Measure) {
        if measure != Measure::Off {
            counter!("kernel_host_rollbacks_total").increment(1);
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod handles {
    use super::Measure;
    use crate::error::Reason;
    use std::time::Instant;

    /// There is nobody to tell.
    pub(crate) enum Handles {}

    impl Handles {
        pub(crate) fn new(_: Measure, _: &str, _: &str, _: u64) -> Option<Self> {
            None
        }

        pub(crate) fn start(&self) -> Option<Instant> {
            match *self {}
        }

        pub(crate) fn served(&self, _: Option<Instant>) {
            match *self {}
        }

        pub(crate) fn degraded(&self, _: Reason) {
            match *self {}
        }

        pub(crate) fn failed(&self, _: Reason) {
            match *self {}
        }

        pub(crate) fn instances(&self, _: usize) {
            match *self {}
        }
    }

    pub(crate) fn activated(_: Measure) {}

    pub(crate) fn rolled_back(_: Measure) {}
}
