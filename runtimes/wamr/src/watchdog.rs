//! A thread that terminates instances whose deadlines have passed. One per engine; calls from several threads have a deadline each.

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
    /// As many as there are calls at once: few.
    armed: Vec<Armed>,
    next_id: u64,
    /// When the thread wakes by itself; `None` while it waits to be woken.
    wakes_at: Option<Instant>,
    ended: bool,
}

struct Armed {
    id: u64,
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
        let armed = self.arm(deadline, terminator);
        let value = call();
        // Taken from under the thread: from here on it does not terminate the instance any more.
        let terminated = !armed.shared.disarm(armed.id);
        (value, terminated)
    }

    fn arm(&self, deadline: Instant, terminator: Terminator) -> Disarm<'_> {
        let mut state = self.shared.lock();
        // A thread that wakes early enough by itself needs no waking: calls in a row with the same budget cost a lock.
        let wake = state.wakes_at.is_none_or(|at| deadline < at);
        let id = state.next_id;
        state.next_id += 1;
        state.armed.push(Armed {
            id,
            deadline,
            terminator,
        });
        drop(state);
        if wake {
            self.shared.changed.notify_one();
        }
        Disarm {
            shared: &self.shared,
            id,
        }
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
struct Disarm<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Disarm<'_> {
    fn drop(&mut self) {
        self.shared.disarm(self.id);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was still armed.
    fn disarm(&self, id: u64) -> bool {
        let armed = &mut self.lock().armed;
        let at = armed.iter().position(|armed| armed.id == id);
        at.map(|at| armed.swap_remove(at)).is_some()
    }

    fn watch(&self) {
        let mut state = self.lock();
        while !state.ended {
            let now = Instant::now();
            for due in state.armed.extract_if(.., |armed| armed.deadline <= now) {
                // Under the lock, so that the call cannot return and drop the instance meanwhile.
                due.terminator.terminate();
            }
            state.wakes_at = state.armed.iter().map(|armed| armed.deadline).min();
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
