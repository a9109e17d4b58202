//! Engines run in worker processes: the versioned protocol, the server that a worker runs over an engine, and the
//! client that starts, watches and stops workers. `docs/worker-protocol.md` describes the wire for other languages.
//! WebAssembly has no processes: there both ends are in one.

mod client;
mod confinement;
mod limits;
#[cfg(all(target_family = "wasm", feature = "browser"))]
pub(crate) mod page;
#[cfg_attr(target_family = "wasm", path = "in_process.rs")]
mod process;
pub mod protocol;
mod remote;
mod server;
#[cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "there are no processes to contain")
)]
mod system;
mod timing;

pub use client::{GRACE, Launch, RUNNER_VARIABLE, RunError, Worker, WorkerError};
pub use confinement::Confinement;
pub use limits::{MEMORY_VARIABLE, WorkerLimits};
pub use protocol::InstanceChoice;
pub use remote::Remote;
pub use server::serve;
