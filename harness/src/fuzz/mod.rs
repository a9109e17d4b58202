//! Differential fuzzing: random valid modules on all engines, whose results, traps and memories must be the same.
//!
//! Modules come from wasm-smith, with the features that packs may use, no imports, canonical NaNs, and a counter inside that ends
//! them: nothing they do depends on an engine, except where the specification leaves it to the engine (how deep calls may nest, what
//! a budget pays for). Such a module counts as inconclusive on that engine from there on.

mod avoiding;
mod campaign;
mod generate;
mod judge;
mod session;

pub use campaign::{Campaign, Finding, Reason, Repeat, Tally};
pub use generate::{Generated, generate};
pub use judge::{Ended, Judgement, judge};
pub use session::{Answer, MODULE_TIME, Memory, Plan, Seen, Session, Step, Subject};
