//! Reports on a terminal: text with tables, in colour where it is taken.

mod conformance;
mod coverage;
mod envelope;
mod matrix;
mod qualification;
mod traps;

pub use conformance::text as conformance;
pub use qualification::text as qualification;
pub use traps::text as traps;
