//! Engines run in worker processes: the versioned protocol, the server that a worker runs over an engine, and the
//! client that starts, watches and stops workers. `docs/worker-protocol.md` describes the wire for other languages.
//! WebAssembly has no processes: there both ends are in one.
//!
//! An adapter is an executable that calls [`serve`] over its [`Runtime`](runtime_api::Runtime), or [`main`] over several.

/// The document of the protocol, whose Rust is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/worker-protocol.md")]
struct Document;

mod client;
mod confinement;
mod digest;
mod error;
mod executable;
mod gather;
mod launch;
mod limits;
#[cfg(all(target_family = "wasm", feature = "browser"))]
pub mod page;
#[cfg(not(target_family = "wasm"))]
mod pipes;
#[cfg_attr(target_family = "wasm", path = "in_process.rs")]
mod process;
mod program;
pub mod protocol;
mod remote;
mod server;
mod start;
#[cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "there are no processes to contain")
)]
mod system;
mod texts;
mod timing;

pub use client::{GRACE, Worker};
pub use confinement::Confinement;
pub use error::{RunError, WorkerError};
pub use executable::{main, serve_process};
pub use launch::{Launch, RUNNER_VARIABLE, Stated};
pub use limits::{MEMORY_VARIABLE, TimeLimit, VariableError, WorkerLimits};
#[cfg(target_family = "wasm")]
pub use process::{Exchange, Peer};
pub use program::Program;
pub use protocol::InstanceChoice;
pub use remote::Remote;
pub use server::serve;
pub use system::{keep_to_oneself, outlive_large_files};
