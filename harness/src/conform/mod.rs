//! Conformance: every kernel of a pack on every engine, judged in seven layers on vectors, edge cases and generated cases.
//!
//! `kernel_cases` says what is run and what is right. `subject` and `placement` place cases in memory, `device` limits that; `observe` runs one on fresh instances of one
//! engine, `sequence` many on one instance, `exports` asks what needs no tensors; `judge` derives the layers; `run` drives it all; `record` keeps it, `answers` what every engine said, for targets to be compared.
//! `envelope` says which shapes and parameters held, `coverage` which code the cases ran, `search` looks for cases that run more, `long` makes those that may be longer than a tile, `workspace` those with much scratch. `own_code` finds a truth that is the judged module itself. `request` is what is asked for, `suite` the whole of a run, `report` its document.

pub mod answers;
pub mod cases;
pub mod coverage;
pub mod device;
pub mod envelope;
mod exports;
pub mod forms;
mod interpreted;
mod inverse;
pub mod judge;
mod long;
pub mod observe;
pub mod oracle;
mod own_code;
pub mod placement;
pub mod plan;
pub mod planted;
pub mod record;
pub mod report;
pub mod request;
pub mod run;
pub mod search;
pub mod sequence;
pub mod shrink;
pub mod standard;
pub mod subject;
pub mod suite;
#[cfg(test)]
mod support;
pub mod truths;
mod unable;
mod workspace;
