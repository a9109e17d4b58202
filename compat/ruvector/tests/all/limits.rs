//! Budgets and memory.

use crate::support::{CORE, changed, manager, manager_of, manifest, rmsnorm};
use ruvector_wasm::kernel::epoch::EpochDeadline;
use ruvector_wasm::kernel::error::KernelError;
use ruvector_wasm::kernel::manifest::KernelManifest;
use ruvector_wasm::kernel::runtime::{KernelRuntime, RuntimeConfig};
use std::panic::catch_unwind;

/// The core pack with other limits for all kernels. No signature stands in the way: the manager asks for none.
fn with_limit(name: &str, value: u64) -> KernelManifest {
    let text = changed(|manifest| {
        for kernel in manifest["kernels"].as_array_mut().unwrap() {
            kernel["resource_limits"][name] = value.into();
        }
    });
    KernelManifest::from_json(&text).unwrap()
}

#[test]
fn a_call_that_takes_too_long_ends_with_the_clients_error() {
    let long = rmsnorm(2048, 1024);
    let short = rmsnorm(3, 5);
    let manager = manager_of(
        CORE,
        with_limit("max_epoch_ticks", 1),
        RuntimeConfig::server(),
    );
    let error = long.run(&manager, "rmsnorm_f32").unwrap_err();
    assert!(matches!(error, KernelError::EpochDeadline), "{error}");
    // The next call has a budget of its own.
    short.run(&manager, "rmsnorm_f32").unwrap();

    // With interruption off it comes to its end.
    let manager = manager_of(
        CORE,
        with_limit("max_epoch_ticks", 1),
        RuntimeConfig::development(),
    );
    assert!(!manager.runtime().config().epoch.enabled);
    long.run(&manager, "rmsnorm_f32").unwrap();
}

/// A tick is 10 ms here; the client's has the length that its configuration says, so a manifest means a tenth on
/// embedded devices.
#[test]
fn ticks_have_no_length_of_their_own() {
    let tick = |config: RuntimeConfig| config.epoch.tick_interval();
    assert_eq!(tick(RuntimeConfig::server()), runtime_api::TICK);
    assert_eq!(tick(RuntimeConfig::embedded()), runtime_api::TICK / 10);
}

/// No thread of the client counts ticks, and nobody but the caller calls `tick`.
#[test]
fn the_clients_clock_stands_still() {
    let manager = manager(CORE);
    let epochs = manager.runtime().epoch_controller();
    rmsnorm(512, 1024).run(&manager, "rmsnorm_f32").unwrap();
    assert_eq!(epochs.current(), 0);
    assert!(!epochs.is_running());
    manager.runtime().tick();
    assert_eq!(epochs.current(), 1);
}

/// The client's deadline is a sum that wraps around: with the largest budget a call is over before it begins, or, where
/// overflow is checked, panics. This project refuses such a manifest.
#[test]
fn the_largest_budget_is_none() {
    let start = 1;
    let deadline = catch_unwind(|| EpochDeadline::new(start, u64::MAX));
    assert!(deadline.map_or(true, |deadline| deadline.is_exceeded(start)));
}

/// 4096 pages are asked for, the client's server grants 1024, its embedded device 64. The manager compares nothing; the
/// runtime here takes the lesser.
#[test]
fn the_client_grants_less_memory_than_the_core_pack_asks_for() {
    let asked = manifest(CORE).kernels[0].resource_limits.max_memory_pages;
    let config = RuntimeConfig::embedded();
    assert!(asked > RuntimeConfig::server().max_memory_pages);
    assert!(RuntimeConfig::server().max_memory_pages > config.max_memory_pages);

    let manager = manager_of(CORE, manifest(CORE), config.clone());
    // 2 MiB in and 2 MiB out are 64 pages, and there are the weights besides.
    let call = rmsnorm(512, 1024);
    let (descriptor, mut memory) = call.laid_out();
    let error = manager
        .execute("rmsnorm_f32", &descriptor, &mut memory)
        .unwrap_err();
    assert!(
        matches!(error, KernelError::MemoryAccessViolation { .. }),
        "{error}"
    );
    let half = rmsnorm(256, 1024);
    half.run(&manager, "rmsnorm_f32").unwrap();
}

/// The layout that the client checks fits its limit exactly; what the kernel host adds to it does not: the module's
/// stack and data, guard bands, the descriptor.
#[test]
fn what_the_client_lets_through_may_not_fit_the_kernel() {
    let call = rmsnorm(7, 1024);
    let (descriptor, mut memory) = call.laid_out();
    let pages = memory.len().div_ceil(65_536) as u64;
    assert!(descriptor.total_memory_required() <= memory.len());
    let manager = manager_of(
        CORE,
        with_limit("max_memory_pages", pages),
        RuntimeConfig::server(),
    );
    let error = manager
        .execute("rmsnorm_f32", &descriptor, &mut memory)
        .unwrap_err();
    assert!(
        matches!(error, KernelError::AllocationFailed { requested_bytes }
            if requested_bytes > memory.len()),
        "{error}"
    );
}
