//! A thread that ends grace periods.

use crate::pool::locked;
use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

/// When to act next.
#[derive(Default)]
struct Due {
    at: Option<Instant>,
    ended: bool,
}

/// What the thread and the host share.
#[derive(Default)]
pub(crate) struct Clock {
    due: Mutex<Due>,
    changed: Condvar,
}

impl Clock {
    /// Sets when to act next, in place of what was set before.
    pub(crate) fn set(&self, at: Option<Instant>) {
        locked(&self.due).at = at;
        self.changed.notify_one();
    }

    /// Waits until it is time to act: whether there is somebody to act for.
    fn wait(&self) -> bool {
        let mut due = locked(&self.due);
        loop {
            if due.ended {
                return false;
            }
            let now = Instant::now();
            due = match due.at {
                Some(at) if at <= now => {
                    due.at = None;
                    return true;
                }
                Some(at) => {
                    let waited = self.changed.wait_timeout(due, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(due);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

/// The thread. It ends with the host. WebAssembly has none: what served before is kept until the next activation.
pub(crate) struct Keeper {
    clock: Arc<Clock>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread, which calls `act` whenever the clock says so.
    pub(crate) fn start(
        clock: Arc<Clock>,
        act: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        if cfg!(target_family = "wasm") {
            return Ok(Self {
                clock,
                thread: None,
            });
        }
        let waited = Arc::clone(&clock);
        let thread = std::thread::Builder::new()
            .name("kernel-host-keeper".to_owned())
            .spawn(move || {
                while waited.wait() {
                    act();
                }
            })?;
        Ok(Self {
            clock,
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        locked(&self.clock.due).ended = true;
        self.clock.changed.notify_one();
        if let Some(thread) = self.thread.take()
            // A subscriber may drop the last host on this very thread.
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic of the thread has nothing left to spoil.
            let _panic = thread.join();
        }
    }
}
