//! How much memory instances take, and in how little a kernel runs.

use super::{Modules, Session, WITHIN, amount};
use crate::{
    bench::job::{Group, Job},
    outcome::Outcome,
};
use anyhow::Result;
use assay_worker::{InstanceChoice, RunError};
use kernel_abi::export;
use runtime_api::{Budget, BudgetKind, Limits, Options};
use runtime_call::{Call, Invocation, Outcome as Returned};

/// Instances among which resident memory is shared out.
const INSTANCES: u64 = 64;

impl Session<'_> {
    /// Resident memory of an instance, new and used.
    pub(super) fn footprint(
        &mut self,
        group: &Group,
        job: &Job,
        module: u64,
        invocation: Invocation,
        modules: &mut Modules,
    ) -> Result<()> {
        let kind = self.usual();
        let quantity = "rss_per_instance_bytes";
        let measured = match self.unknown("footprint") {
            Some(reason) => Err((Outcome::Unsupported, reason)),
            None => self
                .worker
                .footprint(module, INSTANCES, amount(kind), invocation, WITHIN)
                .map_err(|error| self.failed(error, modules)),
        };
        match measured {
            Ok(footprint) => {
                for (quantity, bytes) in [
                    (quantity, footprint.rss_per_instance_bytes),
                    (
                        "rss_per_used_instance_bytes",
                        footprint.rss_per_used_instance_bytes,
                    ),
                ] {
                    self.fact(group, &job.case, Some(kind), quantity, bytes)?;
                }
                Ok(())
            }
            Err((outcome, detail)) => {
                let key = self.key(group, job, kind, None, quantity);
                self.cell(job, key, outcome, detail, 0)
            }
        }
    }

    /// The smallest memory in which each kernel runs its smallest real case: in so many pages its output is right, in one less it
    /// does not run. It does not change from process to process.
    pub(super) fn smallest_memory(&mut self, group: &Group, modules: &mut Modules) -> Result<()> {
        for job in &group.jobs {
            if group.subject.is_none() || group.variant != "base" || job.size != "small" {
                continue;
            }
            let quantity = "smallest_pages";
            let found = if self.info.capabilities.memory_limit {
                self.smallest_pages(group, job, modules)
            } else {
                Err((
                    Outcome::Unsupported,
                    "the engine does not limit memory, so there is no telling how little is enough"
                        .to_owned(),
                ))
            };
            match found {
                Ok(pages) => self.fact(group, &job.case, None, quantity, pages.into())?,
                Err((outcome, detail)) => {
                    let key = self.key(group, job, BudgetKind::None, None, quantity);
                    self.cell(job, key, outcome, detail, 0)?;
                }
            }
        }
        Ok(())
    }

    fn smallest_pages(
        &mut self,
        group: &Group,
        job: &Job,
        modules: &mut Modules,
    ) -> Result<u32, (Outcome, String)> {
        let mut smallest = job.pages;
        if !self.runs_in(group, job, smallest, modules)? {
            return Err((
                Outcome::Fail,
                format!(
                    "it has no right output in the {smallest} pages that module and tensors ask for"
                ),
            ));
        }
        while smallest > 1 && self.runs_in(group, job, smallest - 1, modules)? {
            smallest -= 1;
        }
        Ok(smallest)
    }

    /// Whether a kernel gives the right output in a memory of at most so many pages.
    fn runs_in(
        &mut self,
        group: &Group,
        job: &Job,
        pages: u32,
        modules: &mut Modules,
    ) -> Result<bool, (Outcome, String)> {
        let options = Options {
            limits: Limits {
                max_memory_pages: pages,
                ..group.limits
            },
            metering: BudgetKind::None,
        };
        let budget = Budget::None;
        let call = |export: &str, arguments: &[u32]| Call {
            export: export.to_owned(),
            arguments: arguments.to_vec(),
            budget,
        };
        let mut calls: Vec<Call> = job
            .init
            .iter()
            .map(|init| call(export::INIT, init))
            .collect();
        calls.push(call(&job.entry, &[job.argument]));
        let invocation = Invocation {
            pages,
            calls,
            reads: job.check_read().into_iter().collect(),
            ..job.writing()
        };
        let module = match self.worker.load(&group.wasm, &options) {
            Ok(module) => module,
            Err(RunError::Engine(_)) => return Ok(false),
            Err(error) => return Err(self.failed(error, modules)),
        };
        let fresh = InstanceChoice::Fresh;
        let ran = self
            .worker
            .run_within(module, fresh, budget, invocation, WITHIN);
        let ran = match ran {
            Err(error @ RunError::Worker(_)) => return Err(self.failed(error, modules)),
            Err(RunError::Engine(_)) => None,
            Ok(observation) => Some(observation),
        };
        self.worker
            .drop_module(module)
            .map_err(|error| self.failed(error, modules))?;
        Ok(ran.is_some_and(|ran| {
            ran.pages <= pages
                && ran.calls.iter().all(|call| *call == Returned::Returned(0))
                && ran
                    .reads
                    .first()
                    .is_some_and(|after| job.check(&after.0).is_ok())
        }))
    }
}
