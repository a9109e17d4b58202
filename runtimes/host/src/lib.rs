//! The kernel host: what an application embeds to call kernels, and what every harness worker uses.
//!
//! - [`Frame`] lays regions and guard bands out in linear memory and checks afterwards that nothing but the
//!   output and the scratch changed;
//! - [`Invocation`] is one exchange with an instance (writes, calls, reads), [`execute`] carries it out;
//! - [`call`] does both for an application: tensors in, output or one error out;
//! - [`KernelHost`] goes on after a failure: it logs, releases the instance, asks a native reference and counts the call as
//!   degraded.
#![forbid(unsafe_code)]

pub mod base64_bytes;
mod call;
mod frame;
mod invocation;
mod recovery;

pub use call::{CallError, call};
pub use frame::{Fill, Frame, Output, PlaceError, Tensors, Violation};
pub use invocation::{Call, Fetched, Form, Invocation, Observation, Outcome, Read, Write, execute};
pub use recovery::{Contract, Failure, KernelHost, Metrics, Native, Path, Served};
