//! All tests of the host, in one executable.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

mod bound;
#[path = "../../../../kernels/pack/tests/support/mod.rs"]
mod broken_packs;
mod failures;
mod measured;
mod packs;
mod policies;
mod state;
mod upgrades;

use kernel_abi::Status;
use runtime_call::Tensors;
use runtime_host::{Budget, Event, Host, HostBuilder, Trust};
use std::sync::{Arc, Mutex};

/// A host on wasmi with fuel, which trusts the tests' key: deterministic, and quick to build.
fn builder() -> HostBuilder {
    Host::builder()
        .engine(runtime_wasmi::runtime().unwrap())
        .budget(Budget::Fuel(1_000_000))
        .trust(Trust::list(packs::trusted()))
}

/// The native form of `scale`, which cannot know the factor: it answers zeros, so that tests see who answered.
fn zeros(kernel: &str, tensors: &Tensors<'_>) -> Option<Result<Vec<u8>, Status>> {
    let x = packs::first(tensors.a);
    match kernel {
        "scale" if x == packs::REFUSED => Some(Err(Status::INVALID_INPUT)),
        "scale" => Some(Ok(vec![0; tensors.a.len()])),
        _ => None,
    }
}

/// Every event of a host from now on.
fn events(host: &Host) -> Arc<Mutex<Vec<Event>>> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    host.subscribe(move |event| heard.lock().unwrap().push(event.clone()));
    events
}

/// The names of events, in order.
fn names(events: &Mutex<Vec<Event>>) -> Vec<&'static str> {
    events.lock().unwrap().iter().map(Event::name).collect()
}
