//! A thread that terminates the instance whose deadline has passed. One per engine, one deadline at a time: an engine's
//! traits are not `Sync`, so its calls do not overlap.

use crate::ffi::Terminator;
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Stops calls at their deadline.
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    armed: Option<Armed>,
    /// When the thread wakes by itself; `None` while it waits to be woken.
    wakes_at: Option<Instant>,
    ended: bool,
}

struct Armed {
    deadline: Instant,
    terminator: Terminator,
}

impl Watchdog {
    /// Starts the thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let watched = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("wamr-watchdog".to_owned())
            .spawn(move || watched.watch())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Runs `call`, terminating it once `time` has passed. Says in the second value whether it was terminated,
    /// perhaps after `call` had come to its end.
    ///
    /// The terminator's instance must live until this returns.
    pub(crate) fn run<T>(
        &self,
        time: Duration,
        terminator: Terminator,
        call: impl FnOnce() -> T,
    ) -> (T, bool) {
        let Some(deadline) = Instant::now().checked_add(time) else {
            return (call(), false); // A deadline that the clock cannot express does not come.
        };
        let _disarm = self.arm(Armed {
            deadline,
            terminator,
        });
        let value = call();
        // Taken from under the thread: from here on it does not terminate the instance any more.
        let terminated = self.shared.lock().armed.take().is_none();
        (value, terminated)
    }

    fn arm(&self, armed: Armed) -> Disarm<'_> {
        let mut state = self.shared.lock();
        // A thread that wakes early enough by itself needs no waking: calls in a row with the same budget cost a lock.
        let wake = state.wakes_at.is_none_or(|at| armed.deadline < at);
        state.armed = Some(armed);
        drop(state);
        if wake {
            self.shared.changed.notify_one();
        }
        Disarm(&self.shared)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has nothing left to spoil.
            let _panic = thread.join();
        }
    }
}

/// Disarms even when the call panics: the instance may be gone afterwards.
struct Disarm<'a>(&'a Shared);

impl Drop for Disarm<'_> {
    fn drop(&mut self) {
        self.0.lock().armed = None;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut state = self.lock();
        while !state.ended {
            let now = Instant::now();
            if let Some(due) = state.armed.take_if(|armed| armed.deadline <= now) {
                // Under the lock, so that the call cannot return and drop the instance meanwhile.
                due.terminator.terminate();
            }
            state.wakes_at = state.armed.as_ref().map(|armed| armed.deadline);
            state = match state.wakes_at {
                Some(at) => {
                    self.changed
                        .wait_timeout(state, at.saturating_duration_since(now))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}
