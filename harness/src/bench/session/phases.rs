//! What is known of a module besides its steady call: the phases of an invocation, and numbers without noise.

use super::{FUEL, Modules, Part, Session, WITHIN, amount, calls::FEWEST_ROUNDS, nothing};
use crate::{
    bench::{
        job::{Expect, Group, Job},
        record::{Fact, Record},
    },
    outcome::Outcome,
};
use anyhow::Result;
use assay_worker::{
    InstanceChoice,
    protocol::{Timed, Times},
};
use runtime_api::{Budget, BudgetKind};
use runtime_call::{Call, Invocation, Outcome as Returned, Read};
use std::collections::BTreeMap;

/// Batches of a phase.
const ROUNDS: u32 = 10;
/// Instances that exist at the same time where stages are timed.
const INSTANCES: u64 = 32;

impl Session<'_> {
    /// Everything of an invocation but the steady call.
    pub(super) fn phases(
        &mut self,
        group: &Group,
        job: &Job,
        kind: BudgetKind,
        module: u64,
        modules: &mut Modules,
    ) -> Result<()> {
        let usual = self.usual();
        let invocation = job.whole(amount(kind));
        for (name, what, how) in self.timed(group, job, kind, &invocation) {
            let key = self.key(group, job, kind, None, name);
            let unknown = match name {
                "in-place" => self.unknown("inplace"),
                "reset" => self.unknown("reset"),
                _ => None,
            };
            if let Some(reason) = unknown {
                self.cell(job, key, Outcome::Unsupported, reason, 0)?;
                continue;
            }
            let calls = matches!(name, "stages" | "path" | "reuse" | "reset");
            let timed = self
                .worker
                .time(module, what, how, WITHIN)
                .map_err(|error| self.failed(error, modules))
                .and_then(|times| {
                    if calls {
                        checked(job, &times)?;
                    }
                    Ok((self.samples(&times, &key, 1)?, times.warm_up))
                });
            match timed {
                Ok((samples, warm_up)) => {
                    self.cell(job, key, Outcome::Pass, String::new(), warm_up)?;
                    for sample in samples {
                        (self.sink)(Record::Sample(sample))?;
                    }
                }
                Err((outcome, detail)) => {
                    self.cell(job, key, outcome, detail, 0)?;
                    if outcome == Outcome::Error {
                        return Ok(());
                    }
                }
            }
        }
        if kind == usual && self.part == Part::Everything {
            self.footprint(group, job, module, invocation, modules)?;
        }
        Ok(())
    }

    /// The phases that are timed: their names, what a worker does for them, and iterations, least time and batches.
    fn timed(
        &self,
        group: &Group,
        job: &Job,
        kind: BudgetKind,
        invocation: &Invocation,
    ) -> Vec<(&'static str, Timed, (u64, u64, u32))> {
        let budget = amount(kind);
        let batch = self.effort.batch.as_nanos() as u64;
        let few = (1, 0, if self.effort.quick { 1 } else { FEWEST_ROUNDS });
        let many = (0, batch, ROUNDS);
        let copied = job.check_read().filter(|read| read.length > 0);
        let mut all = vec![
            (
                "stages",
                Timed::Stages {
                    budget,
                    invocation: invocation.clone(),
                },
                (INSTANCES, 0, ROUNDS),
            ),
            (
                "path",
                Timed::Path {
                    budget,
                    invocation: invocation.clone(),
                },
                many,
            ),
            (
                "reuse",
                Timed::Reuse {
                    budget,
                    invocation: invocation.clone(),
                },
                many,
            ),
        ];
        // Of a real kernel, and as untrusted code is compiled: it takes some engines long.
        if group.subject.is_some() && kind == self.usual() {
            all.push(("validate", Timed::Validate, few));
            all.push(("compile", Timed::Compile, few));
            if self.worker.has_operation("code") {
                all.push(("load-cached", Timed::LoadCached, few));
            }
        }
        if let Some(Read { at, length, .. }) = copied {
            all.push(("write", Timed::Write { at, length }, many));
            all.push(("read", Timed::Read { at, length }, many));
            all.push(("in-place", Timed::InPlace { at, length }, many));
        }
        if let Expect::Frame { frame, .. } = &job.expect {
            let what = Timed::Reset {
                heap_base: frame.start(),
                budget,
                invocation: invocation.clone(),
            };
            all.push(("reset", what, many));
        }
        if self.part == Part::Goals {
            all.retain(|(name, ..)| matches!(*name, "path" | "reset"));
        }
        all
    }

    /// A number that is no time.
    pub(super) fn fact(
        &mut self,
        group: &Group,
        case: &str,
        metering: Option<BudgetKind>,
        quantity: &str,
        value: u64,
    ) -> Result<()> {
        (self.sink)(Record::Fact(Fact {
            runtime: self.launch.id.clone(),
            version: self.info.version.clone(),
            process: self.process,
            kernel: group.kernel.clone(),
            variant: group.variant.clone(),
            case: case.to_owned(),
            metering,
            quantity: quantity.to_owned(),
            value,
        }))
    }

    /// Numbers without noise: sizes of code, fuel of a call; and the memory of the process so far.
    pub(super) fn facts(&mut self, group: &Group, modules: &Modules) -> Result<()> {
        if !self.worker.has_operation("facts") {
            return Ok(());
        }
        let mut process_said = false;
        for ((kind, twin), module) in modules {
            let (None, Some(module)) = (twin, module) else {
                continue;
            };
            let Ok(facts) = self.worker.facts(*module) else {
                return Ok(());
            };
            if let Some(value) = facts.code_bytes {
                self.fact(group, "", Some(*kind), "code_bytes", value)?;
            }
            if !std::mem::replace(&mut process_said, true) {
                let of_process = [
                    ("peak_rss_bytes", facts.peak_rss_bytes),
                    ("clock_step_ns", facts.clock_step_ns),
                ];
                for (quantity, value) in of_process {
                    if let Some(value) = value {
                        self.fact(group, "", None, quantity, value)?;
                    }
                }
            }
            if *kind != BudgetKind::Fuel {
                continue;
            }
            for job in group.jobs.iter().filter(|job| job.budgets) {
                let budget = Budget::Fuel(FUEL);
                let mut scratch = BTreeMap::new();
                if self.place(job, *module, budget, &mut scratch).is_err() {
                    continue;
                }
                let invocation = Invocation {
                    calls: vec![Call {
                        export: job.entry.clone(),
                        arguments: vec![job.argument],
                        budget,
                    }],
                    reads: job.check_read().into_iter().collect(),
                    ..nothing()
                };
                let same = InstanceChoice::Same;
                let Ok(observation) = self
                    .worker
                    .run_within(*module, same, budget, invocation, WITHIN)
                else {
                    continue;
                };
                let right = observation.calls.first() == Some(&Returned::Returned(job.returned()))
                    && observation
                        .reads
                        .first()
                        .is_some_and(|after| job.check(&after.0).is_ok());
                let left = self
                    .worker
                    .facts(*module)
                    .ok()
                    .and_then(|facts| facts.fuel_left);
                if let (true, Some(left)) = (right, left) {
                    let used = FUEL.saturating_sub(left);
                    self.fact(group, &job.case, Some(*kind), "fuel", used)?;
                }
            }
        }
        Ok(())
    }
}

/// What the last of the timed invocations returned and read.
fn checked(job: &Job, times: &Times) -> Result<(), (Outcome, String)> {
    if times.returned != job.returned() {
        return Err((
            Outcome::Fail,
            format!(
                "a timed call returned {} where {} is due",
                times.returned,
                job.returned()
            ),
        ));
    }
    match (job.output_read(), times.reads.first()) {
        (None, _) => Ok(()),
        (Some(_), Some(output)) => job
            .check_output_read(&output.0)
            .map_err(|what| (Outcome::Fail, what)),
        (Some(_), None) => Err((Outcome::Fail, "nothing was read back".to_owned())),
    }
}
