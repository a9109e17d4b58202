//! How good the harness itself is: faults are planted into a pack's own modules, one in each, and each mutant is judged as `conform` would.
//!
//! What survives is shown to a search for a call that tells it from the original: it is wrong then, and the harness missed it, or nothing was
//! found, and it may be the same function written otherwise.

mod draw;
mod fault;
mod judge;
mod mutant;
mod report;
mod run;
mod search;

pub use fault::Kind;
pub use judge::Death;
pub use mutant::Place;
pub use report::{FILE, Fate, Judged, OfKind, Report, text};
pub use run::{Asked, run};

#[cfg(all(test, feature = "wasmi"))]
mod tests;
