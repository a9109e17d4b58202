//! Counts that many threads add to at once.

use crate::pool::locked;
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

/// Parts of a counter, each for one thread; threads beyond that share the last.
pub(crate) const SHARDS: usize = 16;
const SHARED: usize = SHARDS - 1;

/// What has a line of the processors' caches to itself: threads that use neighbours do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

/// A count in parts, so that threads do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Counter([Apart<AtomicU64>; SHARDS]);

impl Counter {
    pub(crate) fn add_one(&self) {
        let shard = shard();
        let part = &self.0[shard].0;
        if shard == SHARED {
            part.fetch_add(1, Ordering::Relaxed);
        } else {
            // This thread is the only one that writes here: it needs no step that others cannot come between, which costs as much as
            // everything else that is counted of a call.
            part.store(part.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        let parts = self.0.iter();
        parts.map(|part| part.0.load(Ordering::Relaxed)).sum()
    }
}

/// Parts that no thread has.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// Parts that threads have had so far.
static TAKEN: Mutex<usize> = Mutex::new(0);

/// A part that is one thread's own until that thread ends.
struct Lease(usize);

impl Lease {
    fn take() -> Self {
        if let Some(free) = locked(&FREE).pop() {
            return Self(free);
        }
        let mut taken = locked(&TAKEN);
        let own = *taken;
        *taken = (own + 1).min(SHARED);
        Self(own)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.0 != SHARED {
            // The lock hands on what was counted, too.
            locked(&FREE).push(self.0);
        }
    }
}

/// Which part the calling thread uses: [`SHARED`], or one that no other thread uses while this one lives.
pub(crate) fn shard() -> usize {
    thread_local! {
        static LEASE: Lease = Lease::take();
    }
    // A thread that ends may call once more, from what it drops.
    LEASE.try_with(|lease| lease.0).unwrap_or(SHARED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, sync::Barrier, thread};

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads")]
    fn threads_at_once_share_no_part_but_the_last_and_lose_no_count() {
        let counter = Counter::default();
        for threads in [3, 2 * SHARDS] {
            let all_have_one = Barrier::new(threads);
            let before = counter.sum();
            let count = || {
                let own = shard();
                all_have_one.wait();
                (0..10_000).for_each(|_| counter.add_one());
                own
            };
            let shards: Vec<usize> = thread::scope(|scope| {
                let threads: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .collect()
            });
            assert_eq!(counter.sum() - before, threads as u64 * 10_000);
            let own: Vec<_> = shards.iter().filter(|shard| **shard != SHARED).collect();
            assert_eq!(own.len(), own.iter().collect::<BTreeSet<_>>().len());
        }
    }
}
