//! The kernel host: what an application embeds to run signed packs of kernels. `docs/host.md` shows how, in 40 lines.
//!
//! - [`Host::prepare`] verifies a pack, chooses an engine for each kernel, compiles, and asks the pack's signed vectors: what runs is
//!   not touched by any of it;
//! - [`Host::activate`] puts it in the place of what runs, in one step. Calls in flight finish on what they began with;
//! - [`Host::call`] and [`Host::call_in_place`] serve from any number of threads, and fall back as [`OnFailure`] says;
//! - [`Host::rollback`] goes back to the pack before, until the grace period is over; a rise of failures does so by itself
//!   ([`Watch`]), and the version that failed is remembered;
//! - [`Host::subscribe`] hears of all of it, `tracing` logs it, the `metrics` facade counts it.
//!
//! What the engines and the calls are is `runtime-api` and `runtime-call`; what a pack is, `kernel-pack`.
//!
//! WebAssembly has no threads: there nobody ends a grace period by the clock ([`Host::rollback`] still refuses once it is over), and an
//! engine whose instances stay on one thread cannot be served.
#![forbid(unsafe_code)]

mod bound;
mod breaker;
mod builder;
mod class;
mod compiled;
mod counter;
mod error;
mod event;
mod failed;
mod fallback;
mod generation;
mod health;
mod host;
mod index;
mod keeper;
mod live;
mod measure;
mod pool;
mod serve;
mod settings;
mod slot;
mod tensors;
mod terms;
mod trust;
mod watch;

pub use breaker::Breaker;
pub use builder::HostBuilder;
pub use class::DeviceClass;
pub use error::{Error, Reason, ServeError};
pub use event::Event;
pub use fallback::{Native, OnFailure};
pub use generation::Prepared;
pub use health::Health;
pub use host::{Host, PrepareOptions, Served, ServedInPlace};
pub use measure::Measure;
pub use slot::{Path, Totals};
pub use trust::Trust;
pub use watch::Watch;

// What calls are made of.
pub use runtime_api::{Budget, Runtime};
pub use runtime_call::{CallError, Output, Sizes, Tensor, Tensors};
