//! Two modules beside each other on an engine.

use super::{
    Found, NotMeasured, Numbers, Pair,
    measured::{Failed, Number, drop_module},
};
use crate::statistics::Processes;
use assay_worker::{Launch, Worker};
use fastrand::Rng;
use runtime_api::{Budget, Info};
use std::time::{Duration, Instant};

/// Rounds of calls that are slow.
const FEWEST_ROUNDS: u32 = 4;
/// Rounds of calls that are fast.
const MOST_ROUNDS: u32 = 40;

impl Pair {
    /// Batches of both modules beside each other, in an order that changes: nanoseconds per call of the old and of the new one.
    fn time(
        &self,
        worker: &mut Worker,
        time: Duration,
        random: &mut Rng,
    ) -> std::result::Result<[Vec<f64>; 2], (Failed, bool)> {
        let both = [&self.old, &self.new];
        let blame = |index: usize| move |failed: Failed| (failed, index == 1);
        let mut modules = [0; 2];
        for (index, side) in both.iter().enumerate() {
            modules[index] = side.load(worker, Budget::None).map_err(blame(index))?;
        }
        let mut iterations = [0; 2];
        let mut values = [Vec::new(), Vec::new()];
        let mut spent = Duration::ZERO;
        let mut round = 0;
        while round <= FEWEST_ROUNDS || (round <= MOST_ROUNDS && spent < time * 2) {
            let start = Instant::now();
            let first = random.usize(..2);
            for index in [first, 1 - first] {
                let (value, calls) = both[index]
                    .batch(worker, modules[index], iterations[index])
                    .map_err(blame(index))?;
                iterations[index] = calls;
                // The first round is the warm-up.
                if round > 0 {
                    values[index].push(value);
                }
            }
            if round > 0 {
                spent += start.elapsed();
            }
            round += 1;
        }
        for (index, side) in both.iter().enumerate() {
            let module = modules[index];
            if side.prepared.case.base.is_none() {
                side.check(worker, module, Budget::None, false)
                    .map_err(blame(index))?;
            }
            side.check(worker, module, Budget::None, true)
                .and_then(|()| drop_module(worker, module))
                .map_err(blame(index))?;
        }
        Ok(values)
    }
}

/// An engine, its worker started when it is needed and again when it was lost.
pub(super) struct Engine<'a> {
    pub(super) launch: &'a Launch,
    pub(super) worker: Option<Worker>,
}

impl Engine<'_> {
    #[allow(clippy::too_many_arguments, reason = "what one step needs and fills")]
    pub(super) fn pair(
        &mut self,
        pair: &Pair,
        allowed: &dyn Fn(&Info, &Pair) -> bool,
        count: bool,
        time: Option<Duration>,
        random: &mut Rng,
        found: &mut Found,
        times: &mut [Processes; 2],
    ) {
        let mut none = |reason: String, lost: bool| {
            let (kernel, variant) = (&pair.new.subject.kernel, &pair.new.subject.variant);
            let known = found.not_measured.iter().any(|cell| {
                (&cell.runtime, &cell.kernel, &cell.variant) == (&self.launch.id, kernel, variant)
            });
            // Processes fail alike.
            if !known {
                found.not_measured.push(NotMeasured {
                    runtime: self.launch.id.clone(),
                    kernel: kernel.clone(),
                    variant: variant.clone(),
                    reason,
                    lost,
                });
            }
        };
        if self.worker.is_none() {
            match Worker::start(self.launch) {
                Ok(worker) => self.worker = Some(worker),
                Err(error) => return none(format!("failed to {error}"), false),
            }
        }
        let Some(worker) = &mut self.worker else {
            return;
        };
        if !allowed(worker.info(), pair) {
            return;
        }
        let mut failed = None;
        if count {
            let counted = pair
                .old
                .count(worker)
                .map_err(|failed| (failed, false))
                .and_then(|old| {
                    let new = pair.new.count(worker).map_err(|failed| (failed, true))?;
                    Ok((old, new))
                });
            match counted {
                Ok((old, new)) => {
                    let same =
                        |a: &Number, b: &Number| (a.quantity, &a.case) == (b.quantity, &b.case);
                    for new in new {
                        if let Some(old) = old.iter().find(|old| same(old, &new)) {
                            found.numbers.push(Numbers {
                                runtime: self.launch.id.clone(),
                                kernel: pair.new.subject.kernel.clone(),
                                variant: pair.new.subject.variant.clone(),
                                quantity: new.quantity,
                                case: new.case,
                                old: old.value,
                                new: new.value,
                            });
                        }
                    }
                }
                Err(what) => failed = Some(what),
            }
        }
        if failed.is_none()
            && let Some(time) = time
        {
            if worker.has_operation("time") {
                match pair.time(worker, time, random) {
                    Ok(values) => {
                        for (of, values) in times.iter_mut().zip(values) {
                            of.push(values);
                        }
                    }
                    Err(what) => failed = Some(what),
                }
            } else if count {
                none(
                    "the adapter does not know the optional operation `time`".to_owned(),
                    false,
                );
            }
        }
        if let Some((failed, lost)) = failed {
            none(failed.0, lost);
            // Modules of a pair that failed may still be there; a fresh process has none.
            self.worker = None;
        }
    }
}
