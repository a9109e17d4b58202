//! One kernel call: what a kernel host and every harness worker are made of. `runtime-host` serves packs with it.
//!
//! - [`Frame`] lays regions and guard bands out in linear memory and checks afterwards that nothing but the
//!   output and the scratch changed;
//! - [`Invocation`] is one exchange with an instance (writes, calls, reads), [`execute`] carries it out;
//! - [`call`] does both for an application: tensors in, output or one error out;
//! - [`Placed`] is a call whose tensors are filled and read where they lie, [`call_batch`] makes many of them at once;
//! - [`Image`] resets an instance for the next caller;
//! - [`KernelHost`] goes on after a failure: it logs, releases the instance, asks a native reference and counts the call as
//!   degraded.
#![forbid(unsafe_code)]

mod arrangement;
pub mod base64_bytes;
mod call;
mod digest;
mod frame;
mod invocation;
mod placed;
mod recovery;
mod reset;

pub use arrangement::{Arrangement, Content, Part};
pub use call::{CallError, call, initialise};
pub use digest::Digest;
pub use frame::{Fill, Frame, Output, PlaceError, Tensors, Violation};
pub use invocation::{Call, Fetched, Form, Invocation, Observation, Outcome, Read, Write, execute};
pub use placed::{BatchError, Placed, Sizes, Tensor, call_batch};
pub use recovery::{Contract, Failure, KernelHost, Metrics, Native, Path, Served};
pub use reset::Image;
