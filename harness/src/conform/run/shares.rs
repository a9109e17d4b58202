//! Who does what next: engines side by side, and where none is left to begin, the modules of one between several workers of it.

use crate::registry::SLOW_COMPILERS;
use assay_worker::Launch;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left of a run.
pub(super) struct Shares {
    engines: Vec<Share>,
    /// Which engine begins when.
    order: Vec<usize>,
    /// How many began.
    begun: AtomicUsize,
    /// Modules of each engine.
    modules: usize,
}

struct Share {
    /// The module that is next.
    next: AtomicUsize,
    /// Whether several workers may be there at once: an engine from outside may be a device that there is once.
    divides: bool,
}

impl Shares {
    /// Of so many modules on each engine.
    pub(super) fn of(launches: &[Launch], modules: usize) -> Self {
        // What takes long before its first call begins first.
        let mut order: Vec<usize> = (0..launches.len()).collect();
        order.sort_by_key(|&index| !SLOW_COMPILERS.contains(&launches[index].id.as_str()));
        let engines = launches.iter().map(|launch| Share {
            next: AtomicUsize::new(0),
            divides: launch.states_id,
        });
        Self {
            engines: engines.collect(),
            order,
            begun: AtomicUsize::new(0),
            modules,
        }
    }

    /// An engine that has modules left, and whether it begins now: one that has not begun, else the one that has most left. `None` where a worker
    /// would find nothing to do.
    pub(super) fn engine(&self) -> Option<(usize, bool)> {
        if let Some(&engine) = self.order.get(self.begun.fetch_add(1, Ordering::Relaxed)) {
            return Some((engine, true));
        }
        let divided = self.engines.iter().enumerate();
        let left = divided
            .filter(|(_, share)| share.divides)
            .map(|(engine, share)| (share.left(self.modules), engine));
        let (most, engine) = left.max()?;
        (most > 0).then_some((engine, false))
    }

    /// The next module of an engine.
    pub(super) fn module(&self, engine: usize) -> Option<usize> {
        let next = self.engines[engine].next.fetch_add(1, Ordering::Relaxed);
        (next < self.modules).then_some(next)
    }
}

impl Share {
    fn left(&self, modules: usize) -> usize {
        modules.saturating_sub(self.next.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::AHEAD;

    #[test]
    fn slow_compilers_begin_and_what_is_left_is_divided_but_outside() {
        let own = |id| Launch::own(id, "assay".into(), &[]).unwrap();
        let outside = Launch::foreign("device", "device".into(), Vec::new());
        let shares = Shares::of(&[own("a"), outside, own(AHEAD)], 3);
        assert_eq!(shares.engine(), Some((2, true)));
        assert_eq!(shares.engine(), Some((0, true)));
        assert_eq!((shares.module(0), shares.module(2)), (Some(0), Some(0)));
        assert_eq!(shares.module(2), Some(1));
        assert_eq!(shares.engine(), Some((1, true)));
        // Two of `a` are left, one of the other, and all three of the device, which one worker has.
        assert_eq!(shares.engine(), Some((0, false)));
        assert_eq!(
            (shares.module(0), shares.module(0), shares.module(0)),
            (Some(1), Some(2), None)
        );
        assert_eq!(shares.engine(), Some((2, false)));
        assert_eq!((shares.module(2), shares.module(2)), (Some(2), None));
        assert_eq!(shares.engine(), None);
        assert_eq!(shares.module(1), Some(0));
    }
}
