//! Measuring: engines in processes of their own, timed by loops in their workers, outputs checked before a time counts.
//! docs/measuring.md describes the method.
//!
//! `job` says what is measured, `session` drives one process, `run` orders them, `record` is what they leave, `tables` derives
//! everything that is shown, from records alone; `native` is the yardstick.

pub mod compare;
pub mod job;
pub mod native;
pub mod record;
mod run;
mod session;
pub mod tables;
mod text;

pub(crate) use job::reference_case;

pub use run::{Outcome, Request, Step, run};
pub use tables::Tables;
