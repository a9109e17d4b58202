//! That what was timed gave what is due.

use super::{Lane, Modules, Session, WITHIN, nothing};
use crate::{bench::job::Job, outcome::Outcome};
use assay_worker::InstanceChoice;
use kernel_abi::export;
use runtime_call::{Call, Outcome as Returned};

/// Elements of the smallest tensors that native code of others gets: the way to it is not that of an engine.
pub(super) const OTHERS_ELEMENTS: u64 = 65_536;

impl Session<'_> {
    /// Whether it is native code of others, which an adapter brings. Its outputs are near those of this project's.
    pub(super) fn is_of_others(&self) -> bool {
        self.is_native() && !self.launch.states_id
    }

    /// Checks what the timed calls left in their own instance; with `again`, inputs are written again and one more call is made
    /// first.
    pub(super) fn check(
        &mut self,
        job: &Job,
        lane: &Lane,
        again: bool,
        modules: &mut Modules,
    ) -> Result<(), (Outcome, String)> {
        let fail = |what: String| (Outcome::Fail, what);
        if !lane.samples.is_empty() && lane.returned != job.returned() {
            return Err(fail(format!(
                "a timed call returned {} where {} is due",
                lane.returned,
                job.returned()
            )));
        }
        if lane.key.quantity == "batch" {
            return self.check_batch(job, lane, again, modules);
        }
        let mut invocation = if again { job.writing() } else { nothing() };
        if again {
            invocation.calls.push(Call {
                export: job.entry.clone(),
                arguments: vec![job.argument],
                budget: lane.budget,
            });
        }
        invocation.reads.extend(job.check_read());
        let cleanup = job.check_read().is_none();
        if cleanup {
            invocation.calls.push(Call {
                export: export::CLEANUP.to_owned(),
                arguments: Vec::new(),
                budget: lane.budget,
            });
        }
        let observation = self
            .worker
            .run_within(
                lane.module,
                InstanceChoice::Same,
                lane.budget,
                invocation,
                WITHIN,
            )
            .map_err(|error| self.failed(error, modules))?;
        for (index, call) in observation.calls.iter().enumerate() {
            let due = if again && index == 0 {
                job.returned()
            } else {
                0
            };
            match call {
                Returned::Returned(value) if *value == due => {}
                Returned::Returned(value) => {
                    return Err(fail(format!(
                        "the call after timing returned {value} where {due} is due"
                    )));
                }
                Returned::Failed(error) => return Err(fail(format!("failed to {error}"))),
            }
        }
        match observation.reads.first() {
            Some(after) if self.is_of_others() => job.expect.check_near(&after.0).map_err(fail),
            Some(after) => job.check(&after.0).map_err(fail),
            None if cleanup => Ok(()),
            None => Err(fail("nothing was read back".to_owned())),
        }
    }
}
