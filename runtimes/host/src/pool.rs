//! Instances that wait for calls.

use crate::{
    counter::{Apart, SHARDS, shard},
    live::{Caller, Live, Shape},
    terms::Terms,
};
use runtime_api::{Instance, Module};
use runtime_call::CallError;
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
    atomic::{AtomicUsize, Ordering},
};

/// How many instances are alive: serving or waiting. Clones are the same count.
#[derive(Clone, Default)]
pub(crate) struct Alive(Arc<Counted>);

#[derive(Default)]
struct Counted {
    count: AtomicUsize,
    /// Who hears of every change.
    told: OnceLock<Box<dyn Fn(usize) + Send + Sync>>,
}

impl Alive {
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Who hears of every change from now on; the first who asks for it.
    pub(crate) fn tell(&self, told: impl Fn(usize) + Send + Sync + 'static) {
        self.0.told.get_or_init(|| Box::new(told))(self.count());
    }

    /// Counts one more, until it is dropped.
    pub(crate) fn one_more(&self) -> OneAlive {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        self.changed();
        OneAlive(self.clone())
    }

    fn changed(&self) {
        if let Some(told) = self.0.told.get() {
            told(self.count());
        }
    }
}

/// One of those that are alive.
pub(crate) struct OneAlive(Alive);

impl Drop for OneAlive {
    fn drop(&mut self) {
        self.0.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.changed();
    }
}

/// An instance that any thread may take.
struct Waiting {
    live: Live<Box<dyn Instance + Send>>,
    _alive: OneAlive,
}

/// Instances of one kernel that go from thread to thread. Each thread has a place that it looks at first, so that threads meet only when they are
/// more than there are places; then one takes another place, or an instance for this call alone.
#[derive(Default)]
pub(crate) struct Pool {
    // Boxed, so that an instance goes in and out as a pointer.
    places: [Apart<Mutex<Option<Box<Waiting>>>>; SHARDS],
}

impl Pool {
    /// Serves a call with an instance that waits, or a fresh one. One that failed is dropped.
    pub(crate) fn serve(
        &self,
        module: &dyn Module,
        alive: &Alive,
        terms: &Terms,
        shape: &Shape<'_>,
        caller: &mut dyn Caller,
    ) -> Result<(), Box<CallError>> {
        let mut place = self.free_place();
        let waiting = place.as_mut().and_then(|place| place.take());
        let mut taken = match waiting {
            Some(waiting) => waiting,
            None => fresh(module, alive, terms)?,
        };
        let served = taken.live.serve(terms, shape, caller);
        if let Some(place) = place.as_mut()
            && taken.live.goes_on(terms, &served)
        {
            **place = Some(taken);
        }
        served
    }

    /// A place that nobody uses now, the calling thread's own first.
    fn free_place(&self) -> Option<MutexGuard<'_, Option<Box<Waiting>>>> {
        let own = shard();
        (0..SHARDS).find_map(
            |step| match self.places[(own + step) % SHARDS].0.try_lock() {
                Ok(place) => Some(place),
                // A caller panicked while it filled its tensors; the instance went with it.
                Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            },
        )
    }
}

#[cold]
fn fresh(module: &dyn Module, alive: &Alive, terms: &Terms) -> Result<Box<Waiting>, CallError> {
    Ok(Box::new(Waiting {
        live: Live::new(module.instantiate_movable(terms.budget)?, terms)?,
        _alive: alive.one_more(),
    }))
}

/// What is behind the lock is whole at every step, so that a panic of a caller spoils nothing.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
