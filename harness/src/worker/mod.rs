//! Engines run in worker processes: the versioned protocol, the server that a worker runs over an engine, and the
//! client that starts, watches and stops workers. `docs/worker-protocol.md` describes the wire for other languages.

mod client;
mod process;
pub mod protocol;
mod remote;
mod server;
mod system;
mod timing;

pub use client::{GRACE, Launch, RUNNER_VARIABLE, RunError, Worker, WorkerError};
pub use process::{MEMORY_VARIABLE, WorkerLimits};
pub use protocol::InstanceChoice;
pub use remote::Remote;
pub use server::serve;
