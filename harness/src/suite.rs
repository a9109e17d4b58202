//! What engines are asked each by itself: what a suite is, and the one way in which suites are run.
//!
//! Conformance is none: its answers are compared between engines, so it goes case by case over all of them (`conform/run.rs`).

use crate::{output::Output, parallel};
use assay_worker::Launch;

/// Questions that an engine is asked by itself.
pub trait Suite: Sync {
    /// What is found on an engine.
    type Findings: Send;
    /// One word before the progress.
    const NAME: &'static str;
    /// What its steps are, in the plural.
    const STEPS: &'static str;
    /// Whether all engines are asked at once, because most of the time is spent waiting; else as many as there are processors.
    const WAITS: bool = false;

    /// Steps on one engine.
    fn steps(&self) -> usize {
        1
    }

    /// Asks an engine everything, in workers of its own; `done` gets how many steps were taken.
    fn run(&self, launch: &Launch, done: &(dyn Fn(usize) + Sync)) -> Self::Findings;
}

/// Asks all engines, side by side; what was found, in their order.
pub fn on_all<S: Suite>(suite: &S, launches: &[Launch], output: &Output) -> Vec<S::Findings> {
    let at_once = if S::WAITS {
        launches.len()
    } else {
        parallel::processors()
    };
    let steps = launches.len() * suite.steps();
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {}, {{elapsed}}", S::STEPS);
    let progress = output.progress_bar(S::NAME, steps as u64, &template);
    let found = parallel::each(launches, at_once, |launch| {
        suite.run(launch, &|taken| progress.inc(taken as u64))
    });
    progress.finish_and_clear();
    found
}
