//! Timed calls: batches of all lanes beside each other, and the look at what they left.

use super::{
    Checked, Lane, Modules, Request, Session, WITHIN,
    part::{Part, has_goal},
};
use crate::{
    bench::{
        job::{Group, Job},
        record::{Key, Sample},
    },
    outcome::Outcome,
};
use assay_worker::{
    InstanceChoice,
    protocol::{Timed, Times},
};
use runtime_call::Call;
use std::time::{Duration, Instant};

/// Rounds of a cell that is slow.
pub(super) const FEWEST_ROUNDS: u32 = 3;
/// Rounds of a cell that is fast.
const MOST_ROUNDS: u32 = 40;
/// How many times as long the cells are measured that goals hold to narrow intervals.
const LONGER: u32 = 2;
/// How many instances take turns in such a cell: where the memory of one lies may make it slow, and the median of the rounds is then
/// that of the others.
const INSTANCES: u32 = 3;

impl Session<'_> {
    /// Batches of all lanes, round after round, in an order that changes; by hand and in batches of calls too where that is compared.
    pub(super) fn calls(
        &mut self,
        group: &Group,
        job: &Job,
        lanes: &mut Vec<Lane>,
        modules: &mut Modules,
    ) {
        if job.phases && self.part != Part::Twin {
            let mut quantities = vec!["hand"];
            if !job.batch.is_empty() && self.unknown("batch").is_none() {
                quantities.push("batch");
            }
            let more: Vec<Lane> = lanes
                .iter()
                .filter(|lane| lane.key.twin.is_none())
                .flat_map(|lane| quantities.iter().map(|quantity| lane.beside(quantity)))
                .collect();
            lanes.extend(more);
        }
        let mut round = 0;
        let mut spent = Duration::ZERO;
        let (longer, instances) = match !self.effort.quick && has_goal(&self.launch.id, group, job)
        {
            true => (LONGER, INSTANCES),
            false => (1, 1),
        };
        let mut instance = 1;
        let wanted = self.effort.time.saturating_mul(lanes.len() as u32 * longer);
        while round <= FEWEST_ROUNDS || (round <= MOST_ROUNDS * longer && spent < wanted) {
            if instance < instances && spent >= wanted * instance / instances {
                self.take_fresh_instances(job, lanes, modules);
                instance += 1;
            }
            let start = Instant::now();
            let mut order: Vec<usize> = (0..lanes.len()).collect();
            self.random.shuffle(&mut order);
            for index in order {
                let lane = &mut lanes[index];
                if lane.ended.is_none()
                    && let Err(ended) = self.batch(job, lane, round, modules)
                {
                    let lost = ended.0 == Outcome::Error;
                    lane.ended = Some(ended);
                    if lost {
                        for lane in lanes.iter_mut() {
                            lane.ended.get_or_insert((
                                Outcome::Error,
                                "the worker was lost beside this cell".to_owned(),
                            ));
                        }
                    }
                }
            }
            if lanes.iter().all(|lane| lane.ended.is_some()) {
                return;
            }
            if round > 0 {
                spent += start.elapsed();
            }
            round += 1;
        }
    }

    /// Gives all lanes instances that nothing was timed in yet, after a look at what the calls left in those before.
    fn take_fresh_instances(&mut self, job: &Job, lanes: &mut [Lane], modules: &mut Modules) {
        let mut each = |lane: &mut Lane, step: &mut dyn FnMut(&mut Self, &mut Lane) -> Checked| {
            if lane.ended.is_none()
                && let Err(ended) = step(self, lane)
            {
                lane.ended = Some(ended);
            }
        };
        for lane in lanes.iter_mut() {
            each(lane, &mut |session, lane| {
                session.check(job, lane, job.restore, modules)
            });
        }
        // What is timed beside a call shares its instance.
        for lane in lanes.iter_mut().filter(|lane| lane.key.quantity == "call") {
            each(lane, &mut |session, lane| {
                session
                    .place(job, lane.module, lane.budget, modules)
                    .map(|_| ())
            });
        }
        for lane in lanes {
            each(lane, &mut |session, lane| {
                session.batch(job, lane, 0, modules)
            });
        }
    }

    /// Checks what the timed calls left, and that a call still makes it of inputs that are written again.
    pub(super) fn left_and_again(
        &mut self,
        job: &Job,
        lane: &Lane,
        modules: &mut Modules,
    ) -> Checked {
        if !job.restore {
            self.check(job, lane, false, modules)?;
        }
        self.check(job, lane, true, modules)
    }

    fn batch(
        &mut self,
        job: &Job,
        lane: &mut Lane,
        round: u32,
        modules: &mut Modules,
    ) -> Result<(), (Outcome, String)> {
        if job.restore {
            self.worker
                .run_within(
                    lane.module,
                    InstanceChoice::Same,
                    lane.budget,
                    job.writing(),
                    WITHIN,
                )
                .map_err(|error| self.failed(error, modules))?;
        }
        let what = if lane.key.quantity == "batch" {
            if round == 0 {
                self.place_batch(job, lane, modules)?;
            }
            lane.batch_of_calls(job)
        } else {
            let call = Call {
                export: job.entry.clone(),
                arguments: vec![job.argument],
                budget: lane.budget,
            };
            match lane.key.quantity.as_str() {
                "hand" => Timed::Hand { call },
                _ => Timed::Call { call },
            }
        };
        let batch = self.effort.batch.as_nanos() as u64;
        let known = lane.iterations > 0;
        let start = Instant::now();
        let times = self
            .worker
            .time(lane.module, what, (lane.iterations, batch, 1), WITHIN)
            .map_err(|error| self.failed(error, modules))?;
        let took = start.elapsed();
        lane.warm_up += times.warm_up;
        lane.returned |= times.returned;
        for sample in self.samples(&times, &lane.key, round)? {
            if known {
                lane.requests.push(Request {
                    took,
                    reported: Duration::from_nanos(sample.nanoseconds),
                    calls: sample.iterations,
                });
            }
            lane.iterations = sample.iterations;
            lane.samples.push(sample);
        }
        Ok(())
    }

    /// The batches of a reply as samples, the first in round `from`.
    pub(super) fn samples(
        &self,
        times: &Times,
        key: &Key,
        from: u32,
    ) -> Result<Vec<Sample>, (Outcome, String)> {
        let mut samples = Vec::new();
        for series in &times.series {
            let quantity = match (key.quantity.as_str(), series.name.as_str()) {
                // A steady call is another thing than the first one of an instance.
                ("stages", "call") => "first".to_owned(),
                (traps, "trap") => traps.to_owned(),
                (traps, "call") if traps.starts_with("trap-") => format!("{traps}-call"),
                (_, name) => name.to_owned(),
            };
            for (round, batch) in series.batches.iter().enumerate() {
                if batch.iterations == 0 || batch.nanoseconds == 0 {
                    return Err((
                        Outcome::Error,
                        "the worker answered a batch of no time or no iterations".to_owned(),
                    ));
                }
                samples.push(Sample {
                    key: Key {
                        quantity: quantity.clone(),
                        ..key.clone()
                    },
                    process: self.process,
                    round: from + round as u32,
                    nanoseconds: batch.nanoseconds,
                    iterations: batch.iterations,
                });
            }
        }
        if samples.is_empty() {
            return Err((Outcome::Error, "the worker answered no batch".to_owned()));
        }
        Ok(samples)
    }
}
