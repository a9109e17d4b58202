//! Whether a call is as fast on inputs that it has not seen as on those that were timed, and no faster for each element than smaller calls are.
//! A kernel that skips what looks like the last call's, and an engine that does it for the kernel, show here.

use super::{Checked, Lane, Modules, Request, Session, WITHIN, nothing};
use crate::{
    bench::job::{Expect, Group, Job},
    clock::{self, Stand},
    outcome::Outcome,
    statistics::median,
};
use assay_worker::{InstanceChoice, protocol::Timed};
use runtime_call::{Call, Form, Frame, Read, Write};
use std::time::Duration;

/// Times around the ring; the fastest counts.
const ROUNDS: u8 = 3;
/// How many times as long a call may take in a ring as again and again on one input: what caches and predicted branches make of that.
const FACTOR: f64 = 4.0;
/// Nanoseconds that a call in a ring may take beyond that, for what a batch of few calls costs.
const BESIDE_NS: f64 = 2000.0;
/// How many times as fast a large call may be for each element as one that was timed in a ring.
const FASTER: f64 = 8.0;
/// What the quickest of many requests for times may take beside its calls.
const REQUEST: Duration = Duration::from_micros(500);
/// The same, shared by all: of few requests none may find a processor at once.
const CELL: Duration = Duration::from_millis(30);
/// A time that is longer than this many medians does not bear the median.
const NEAR: f64 = 1.5;
/// What two clocks may differ in.
const BEYOND: Duration = Duration::from_millis(1);

impl Lane {
    /// Nanoseconds of a call: the median of its batches.
    fn steady(&self) -> Option<f64> {
        let each = self.samples.iter();
        let each = each.map(|sample| sample.nanoseconds as f64 / sample.iterations as f64);
        median(&each.collect::<Vec<_>>())
    }
}

impl Session<'_> {
    /// That the times of a lane can be those of its calls.
    pub(super) fn is_no_trick(
        &mut self,
        group: &Group,
        job: &Job,
        lane: &Lane,
        modules: &mut Modules,
    ) -> Checked {
        held_against_the_clock(&lane.requests)?;
        let Some(steady) = lane.steady().filter(|_| lane.key.quantity == "call") else {
            return Ok(());
        };
        let key = (lane.key.budget, lane.key.twin);
        if job.ring.is_empty() {
            let small = self.per_element.get(&key).copied();
            return no_faster(steady / job.elements.max(1) as f64, small);
        }
        if self.process > 0 || self.unknown("batch").is_some() || self.is_native() {
            return Ok(());
        }
        let fastest = self.around(job, lane, modules)?;
        if fastest > FACTOR * steady + BESIDE_NS {
            return Err(suspicious(format!(
                "a call takes {steady:.0} ns again and again on one input, and {fastest:.0} ns on {} different ones",
                job.ring.len()
            )));
        }
        if group.subject.is_some() {
            self.per_element
                .insert(key, steady / job.elements.max(1) as f64);
        }
        Ok(())
    }

    /// Nanoseconds of a call in the fastest batch around the ring, with the output poisoned before each and checked after it.
    fn around(
        &mut self,
        job: &Job,
        lane: &Lane,
        modules: &mut Modules,
    ) -> Result<f64, (Outcome, String)> {
        let frames: Vec<&Frame> = job.ring.iter().filter_map(Expect::frame).collect();
        let call = Call {
            export: job.entry.clone(),
            arguments: frames
                .iter()
                .map(|frame| frame.descriptor_address())
                .collect(),
            budget: lane.budget,
        };
        let calls = frames.len() as u64;
        let same = InstanceChoice::Same;
        let mut fastest = f64::INFINITY;
        for round in 0..ROUNDS {
            let mut invocation = nothing();
            invocation.pages = frames.iter().map(|frame| frame.pages()).max().unwrap_or(0);
            for frame in &frames {
                invocation.writes.push(Write::Bytes {
                    at: frame.start(),
                    bytes: frame.image().to_vec(),
                });
                let output = frame.placed().output;
                // An output that is updated is an input.
                if !job.restore {
                    invocation.writes.push(Write::Fill {
                        at: output.offset,
                        length: output.size,
                        fill: 0xa5 ^ round,
                    });
                }
            }
            self.worker
                .run_within(lane.module, same, lane.budget, invocation, WITHIN)
                .map_err(|error| self.failed(error, modules))?;
            let what = Timed::Batch { call: call.clone() };
            let times = self
                .worker
                .time(lane.module, what, (calls, 0, 1), WITHIN)
                .map_err(|error| self.failed(error, modules))?;
            let batches = times.series.iter().flat_map(|series| &series.batches);
            for batch in batches.filter(|batch| batch.iterations > 0) {
                fastest = fastest.min(batch.nanoseconds as f64 / batch.iterations as f64);
            }
            let mut look = nothing();
            look.reads.extend(frames.iter().map(|frame| Read {
                at: frame.start(),
                length: frame.image().len() as u32,
                form: Form::Bytes,
            }));
            let observation = self
                .worker
                .run_within(lane.module, same, lane.budget, look, WITHIN)
                .map_err(|error| self.failed(error, modules))?;
            for (index, (due, after)) in job.ring.iter().zip(&observation.reads).enumerate() {
                due.check(&after.0).map_err(|what| {
                    let call = format!("call {index} of {calls} on different inputs");
                    (Outcome::Fail, format!("{call}: {what}"))
                })?;
            }
        }
        Ok(fastest)
    }
}

fn suspicious(what: String) -> (Outcome, String) {
    (Outcome::Fail, format!("suspicious: {what}"))
}

/// Large calls have no ring of their own: memory would be what is measured. They are not faster for each element than a small one is.
fn no_faster(per_element: f64, small: Option<f64>) -> Checked {
    match small {
        Some(small) if per_element * FASTER < small => Err(suspicious(format!(
            "an element takes {per_element:.4} ns, and {small:.4} ns in a smaller call"
        ))),
        _ => Ok(()),
    }
}

/// Holds the times that the worker reported against those that passed here. On a busy machine most requests wait for a processor, and some
/// do not: of those that the median is made of, one at least took about as long as it is said to.
fn held_against_the_clock(requests: &[Request]) -> Checked {
    let each = |request: &Request| request.reported.as_nanos() as f64 / request.calls.max(1) as f64;
    let Some(middle) = median(&requests.iter().map(each).collect::<Vec<_>>()) else {
        return Ok(());
    };
    let near: Vec<&Request> = requests
        .iter()
        .filter(|request| each(request) <= NEAR * middle)
        .collect();
    let beside = REQUEST + CELL / near.len() as u32;
    let fits = |request: &&Request| {
        clock::stand(request.reported, request.took, BEYOND, beside) == Stand::Fits
    };
    if near.iter().any(fits) {
        return Ok(());
    }
    let sum = |time: fn(&Request) -> Duration| {
        let each = near.iter().map(|request| time(request));
        each.sum::<Duration>().as_secs_f64() * 1e3
    };
    Err(suspicious(format!(
        "the worker reports {:.1} ms in {} requests, which took {:.1} ms",
        sum(|request| request.reported),
        near.len(),
        sum(|request| request.took)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_bears_the_median_is_one_that_passed() {
        let request = |reported, took| Request {
            reported: Duration::from_micros(reported),
            took: Duration::from_micros(took),
            calls: 300,
        };
        let (honest, late) = (request(3600, 3700), request(3600, 19_000));
        let (short, long) = (request(180, 3700), request(9000, 3700));
        assert!(held_against_the_clock(&[]).is_ok());
        let most = |one, others: Request| {
            let mut all = vec![others; 40];
            all[7] = one;
            held_against_the_clock(&all)
        };
        assert!(most(honest, late).is_ok());
        assert!(most(short, short).is_err());
        // Once it says what it took, which is no time like the others.
        assert!(most(honest, short).is_err());
        assert!(most(long, long).is_err());
        // Nothing can be said of so few.
        assert!(held_against_the_clock(&[short; 3]).is_ok());
    }

    #[test]
    fn a_large_call_is_no_faster_for_each_element() {
        assert!(no_faster(0.5, Some(1.0)).is_ok());
        assert!(no_faster(0.5, None).is_ok());
        assert!(no_faster(0.1, Some(1.0)).is_err());
    }
}
