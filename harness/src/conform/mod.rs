//! Conformance: every kernel of a pack on every engine, judged in six layers on vectors, edge cases and generated cases.
//!
//! `kernel_cases` says what is run and what is right. `subject` places cases in memory, `device` limits that; `observe` runs one on one engine;
//! `judge` derives the layers; `run` drives it all; `record` keeps it, `answers` what every engine said, for targets to be compared.
//! `coverage` says which code the cases ran. `request` is what is asked for, `suite` the whole of a run, `report` its document.

pub mod answers;
pub mod coverage;
pub mod device;
pub mod forms;
pub mod judge;
pub mod observe;
pub mod plan;
pub mod record;
pub mod report;
pub mod request;
pub mod run;
pub mod search;
pub mod shrink;
pub mod subject;
pub mod suite;
