//! What a trap costs, with one module in the process and with many.

use super::{Modules, Session, WITHIN, amount};
use crate::{
    bench::{
        job::{Expect, Group, Job},
        record::Record,
    },
    outcome::Outcome,
};
use anyhow::Result;
use assay_worker::protocol::Timed;
use runtime_call::Call;
use std::time::Duration;

/// Instances that trap one after the other.
const INSTANCES: u64 = 32;
/// Batches.
const ROUNDS: u32 = 10;
/// Modules that are loaded, and the name of the time.
const MODULES: [(u32, &str); 2] = [(1, "trap-1"), (1000, "trap-1000")];
/// How long it may take to load them.
const LOADING: Duration = Duration::from_secs(20);
/// The same in a desk check, which does it in the first process only.
const QUICK_LOADING: Duration = Duration::from_secs(3);

impl Session<'_> {
    /// Times traps, as untrusted code is compiled. `refused` says why nothing is timed here.
    pub(super) fn traps(
        &mut self,
        group: &Group,
        job: &Job,
        refused: Option<String>,
        modules: &mut Modules,
    ) -> Result<()> {
        let Expect::Trap { alive } = job.expect else {
            return Ok(());
        };
        let kind = self.usual();
        let refused = refused.or_else(|| self.unknown("traps"));
        let within = if self.effort.quick {
            QUICK_LOADING
        } else {
            LOADING
        };
        for (count, quantity) in MODULES {
            let key = self.key(group, job, kind, None, quantity);
            if let Some(reason) = &refused {
                self.cell(job, key, Outcome::Unsupported, reason.clone(), 0)?;
                continue;
            }
            let too_many = self.effort.within_a_minute || (self.effort.quick && self.process > 0);
            if count > 1 && too_many {
                continue;
            }
            let budget = amount(kind);
            let what = Timed::Traps {
                call: Call {
                    export: job.entry.clone(),
                    arguments: vec![job.argument],
                    budget,
                },
                alive,
                budget,
                modules: count,
                within_ms: within.as_millis() as u64,
            };
            let timed = self
                .load(group, kind, None, modules)
                .and_then(|module| {
                    self.worker
                        .time(module, what, (INSTANCES, 0, ROUNDS), WITHIN)
                        .map_err(|error| self.failed(error, modules))
                })
                .and_then(|times| {
                    if times.returned == job.returned() {
                        return Ok((self.samples(&times, &key, 1)?, times.warm_up));
                    }
                    Err((
                        Outcome::Fail,
                        format!(
                            "a fresh instance after a trap returned {} where {} is due",
                            times.returned,
                            job.returned()
                        ),
                    ))
                });
            match timed {
                Ok((samples, warm_up)) => {
                    self.cell(job, key, Outcome::Pass, String::new(), warm_up)?;
                    for sample in samples {
                        (self.sink)(Record::Sample(sample))?;
                    }
                }
                Err((outcome, detail)) => self.cell(job, key, outcome, detail, 0)?,
            }
        }
        Ok(())
    }
}
