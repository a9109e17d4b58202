//! Deadlines: one thread of the process looks at the clock and interrupts calls that are overdue.

use runtime_api::TICK;
use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};
use wasmer::Interrupter;

/// How often the thread looks at the clock.
const PERIOD: Duration = Duration::from_millis(TICK.as_millis() as u64 / 2);

/// How soon it interrupts again: an interrupt that meets a run-time routine (growing a memory) instead of wasm code is lost.
const RETRY: Duration = Duration::from_millis(1);

/// The calls under way; more than one only if a process uses instances from several threads.
static WATCHED: Mutex<Vec<Watched>> = Mutex::new(Vec::new());

struct Watched {
    id: u64,
    deadline: Instant,
    interrupter: Interrupter,
    interrupted: bool,
}

/// A call under a deadline.
pub(crate) struct Watch {
    id: u64,
}

impl Watch {
    /// Interrupts what runs in the interrupter's store from `deadline` on, until [`Watch::end`].
    ///
    /// # Errors
    /// If the system gives no thread to watch from.
    pub(crate) fn begin(interrupter: Interrupter, deadline: Instant) -> std::io::Result<Self> {
        start_thread()?;
        let mut watched = watched();
        let id = watched.last().map_or(0, |last| last.id + 1);
        watched.push(Watched {
            id,
            deadline,
            interrupter,
            interrupted: false,
        });
        Ok(Self { id })
    }

    /// Ends the watch; whether an interrupt was sent. If so its signal may still be on its way, and the store must not
    /// be entered again, even if the call had just come to its end.
    pub(crate) fn end(self) -> bool {
        let mut watched = watched();
        let position = watched.iter().position(|call| call.id == self.id);
        position.is_some_and(|position| watched.remove(position).interrupted)
    }
}

fn watched() -> MutexGuard<'static, Vec<Watched>> {
    // The list is whole after every statement: a panic elsewhere does not spoil it.
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start_thread() -> std::io::Result<()> {
    static STARTED: OnceLock<()> = OnceLock::new();
    if STARTED.get().is_none() {
        let watch = || {
            let mut pause = PERIOD;
            loop {
                thread::sleep(pause);
                let overdue = interrupt_overdue(Instant::now());
                pause = if overdue { RETRY } else { PERIOD };
            }
        };
        // Two threads at once would each send interrupts: needless, and harmless.
        thread::Builder::new()
            .name("deadline".to_owned())
            .spawn(watch)?;
        STARTED.get_or_init(|| ());
    }
    Ok(())
}

/// Whether there was any.
fn interrupt_overdue(now: Instant) -> bool {
    // Held while interrupting: once `end` has the lock, no further interrupt can be sent for its call.
    let mut watched = watched();
    let overdue = watched.iter_mut().filter(|call| call.deadline <= now);
    overdue
        .map(|call| {
            call.interrupter.interrupt();
            call.interrupted = true;
        })
        .count()
        > 0
}
