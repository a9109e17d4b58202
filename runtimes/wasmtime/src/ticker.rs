use runtime_api::{Error, Result, TICK};
use std::{thread, time::Instant};
use wasmtime::Engine;

/// Starts the thread that advances the engine's epoch every [`TICK`] of wall-clock time, for as long as the engine lives.
///
/// # Errors
/// [`Error::Adapter`] if there is no thread to be had.
pub(crate) fn start(engine: &Engine) -> Result<()> {
    let engine = engine.weak();
    let tick = move || {
        let mut due = Instant::now() + TICK;
        loop {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let Some(engine) = engine.upgrade() else {
                return;
            };
            engine.increment_epoch();
            // From the time due, so that small delays do not add up; but no more than one late tick is caught up: a call that began meanwhile
            // would lose the time of all others.
            due = (due + TICK).max(Instant::now());
        }
    };
    thread::Builder::new()
        .name("epoch-ticker".to_owned())
        .spawn(tick)
        .map(drop)
        .map_err(|error| Error::Adapter {
            message: format!("the epoch ticker does not start: {error}"),
        })
}
