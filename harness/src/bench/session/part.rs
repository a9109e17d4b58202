//! What a process of an engine is for.

use crate::{
    bench::{
        job::{Group, Job, budget_size},
        record::Twin,
    },
    registry::CRANELIFT,
};

/// What a process of an engine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Part {
    /// All cells.
    Everything,
    /// The cells in which the engine is compared with itself, once more.
    Twin,
    /// More processes for the cells that goals hold to narrow intervals: what differs between processes no length of batches averages out.
    Goals,
}

impl Part {
    /// How a process of its own that compares the engine with itself stands in keys.
    pub(in crate::bench) fn twin(self) -> Option<Twin> {
        (self == Part::Twin).then_some(Twin::Apart)
    }

    /// Whether a process for this part has anything to do in a group.
    pub(in crate::bench) fn has(self, engine: &str, group: &Group) -> bool {
        group.jobs.iter().any(|job| self.wants(engine, group, job))
    }

    pub(super) fn wants(self, engine: &str, group: &Group, job: &Job) -> bool {
        match self {
            Part::Everything => true,
            Part::Twin => job.apart,
            Part::Goals => has_goal(engine, group, job),
        }
    }
}

/// Whether a goal holds these cells to a narrow interval: calls beside calls by hand, and what budgets cost on the fastest engine.
pub(super) fn has_goal(engine: &str, group: &Group, job: &Job) -> bool {
    let budgets = group.variant == "base" && job.size == budget_size(false) && engine == CRANELIFT;
    budgets || job.phases
}
