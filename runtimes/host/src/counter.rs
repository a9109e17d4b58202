//! Counts that many threads add to at once.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Parts of a counter, a power of two: threads beyond that share.
pub(crate) const SHARDS: usize = 16;

/// A place of its own in the cache for each part.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(AtomicU64);

/// A count in parts, so that threads do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Counter([Part; SHARDS]);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0[shard()].0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self) -> u64 {
        let parts = self.0.iter();
        parts.map(|part| part.0.load(Ordering::Relaxed)).sum()
    }
}

/// Which part the calling thread uses: threads take turns when they first ask.
pub(crate) fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    SHARD.with(|shard| match shard.get() {
        usize::MAX => {
            let taken = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            shard.set(taken);
            taken
        }
        known => known,
    })
}
