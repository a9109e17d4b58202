//! Calls in batches, beside single ones.

use super::{Lane, Modules, Part, Session, WITHIN, nothing};
use crate::{bench::job::Job, outcome::Outcome};
use anyhow::Result;
use assay_worker::{InstanceChoice, protocol::Timed};
use runtime_call::{Call, Form, Frame, Invocation, Read, Write};

impl Lane {
    /// All calls of a batch.
    pub(super) fn batch_of_calls(&self, job: &Job) -> Timed {
        Timed::Batch {
            call: Call {
                export: job.entry.clone(),
                arguments: job.batch.iter().map(Frame::descriptor_address).collect(),
                budget: self.budget,
            },
        }
    }
}

impl Session<'_> {
    /// Says of the calls that they are not made in batches, where the worker does not know how.
    pub(super) fn refuse_batches(&mut self, job: &Job, lanes: &[Lane]) -> Result<()> {
        let Some(reason) = self.unknown("batch") else {
            return Ok(());
        };
        if job.batch.is_empty() || self.part == Part::Twin {
            return Ok(());
        }
        for lane in lanes.iter().filter(|lane| lane.key.twin.is_none()) {
            let key = lane.beside("batch").key;
            self.cell(job, key, Outcome::Unsupported, reason.clone(), 0)?;
        }
        Ok(())
    }

    /// Writes all frames of a batch to the instance that calls are timed in, none of them called yet.
    pub(super) fn place_batch(
        &mut self,
        job: &Job,
        lane: &Lane,
        modules: &mut Modules,
    ) -> Result<(), (Outcome, String)> {
        let invocation = Invocation {
            pages: job.batch.iter().map(Frame::pages).max().unwrap_or(0),
            writes: job
                .batch
                .iter()
                .map(|frame| Write::Bytes {
                    at: frame.start(),
                    bytes: frame.image().to_vec(),
                })
                .collect(),
            ..nothing()
        };
        let same = InstanceChoice::Same;
        self.worker
            .run_within(lane.module, same, lane.budget, invocation, WITHIN)
            .map(|_| ())
            .map_err(|error| self.failed(error, modules))
    }

    /// As [`check`](Self::check), of every call of the batch.
    pub(super) fn check_batch(
        &mut self,
        job: &Job,
        lane: &Lane,
        again: bool,
        modules: &mut Modules,
    ) -> Result<(), (Outcome, String)> {
        if again {
            self.place_batch(job, lane, modules)?;
            let once = (job.batch.len() as u64, 0, 1);
            self.worker
                .time(lane.module, lane.batch_of_calls(job), once, WITHIN)
                .map_err(|error| self.failed(error, modules))?;
        }
        let invocation = Invocation {
            reads: job
                .batch
                .iter()
                .map(|frame| Read {
                    at: frame.start(),
                    length: frame.image().len() as u32,
                    form: Form::Bytes,
                })
                .collect(),
            ..nothing()
        };
        let same = InstanceChoice::Same;
        let observation = self
            .worker
            .run_within(lane.module, same, lane.budget, invocation, WITHIN)
            .map_err(|error| self.failed(error, modules))?;
        for (index, (frame, after)) in job.batch.iter().zip(&observation.reads).enumerate() {
            job.check_frame(frame, &after.0)
                .map_err(|what| (Outcome::Fail, format!("call {index} of a batch: {what}")))?;
        }
        Ok(())
    }
}
