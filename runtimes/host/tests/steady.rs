//! The way that nearly all calls go takes no memory. In an executable of its own: threads of other tests would take the places of these.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

#[path = "all/packs.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod packs;

use crate::packs::{Call, Habit, Packs, first, trusted};
use metrics_exporter_prometheus::PrometheusBuilder;
use runtime_host::{Budget, Host, Measure, Runtime, Sizes, Trust};
use std::sync::atomic::{AtomicU64, Ordering};

const THREADS: u64 = 4;
/// wasmi has a stack of two allocations for each call that runs at one time, and makes one when there are so many for the first time. When that is, the
/// scheduler decides.
const WASMI_STACKS: u64 = 2 * (THREADS - 1);

fn call(host: &Host, length: u32) -> f32 {
    let sizes = Sizes {
        a: 4 * length,
        output: 4 * length,
        ..Sizes::default()
    };
    let mut got = 0.0;
    let served = host.call_in_place(
        "scale",
        &length.to_le_bytes(),
        sizes,
        false,
        &mut |_, bytes| bytes.fill(0x3f),
        &mut |output| got = first(output),
    );
    assert!(served.is_ok());
    got
}

fn host(engine: Box<dyn Runtime>, budget: Budget) -> Host {
    Host::builder()
        .engine(engine)
        .trust(Trust::list(trusted()))
        .budget(budget)
        .measure(Measure::Counts)
        .build()
        .unwrap()
}

/// Cranelift compiles for two architectures only; Pulley, behind the same calls, interprets on the others.
fn wasmtime() -> runtime_api::Result<Box<dyn Runtime>> {
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        runtime_wasmtime::cranelift()
    } else {
        runtime_wasmtime::pulley()
    }
}

#[test]
fn calls_in_place_of_known_shapes_allocate_nothing() {
    let packs = Packs::new();
    let pack = packs.pack(2, Habit::Good);
    // Counts that somebody reads.
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        let fuel = Budget::Fuel(1_000_000);
        for (host, most) in [
            (host(runtime_wasmi::runtime().unwrap(), fuel), WASMI_STACKS),
            (host(wasmtime().unwrap(), Budget::Epoch(1000)), 0),
        ] {
            host.upgrade(&pack).unwrap();
            let taken = AtomicU64::new(0);
            // Each thread has an instance and layouts of its own, made once.
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        let mut sum = 0.0;
                        (1..=4).for_each(|length| sum += call(&host, length));
                        let counted = allocation_counter::measure(|| {
                            for _ in 0..100 {
                                (1..=4).for_each(|length| sum += call(&host, length));
                            }
                        });
                        taken.fetch_add(counted.count_total, Ordering::Relaxed);
                        assert!(sum > 0.0);
                    });
                }
            });
            assert!(taken.load(Ordering::Relaxed) <= most, "{taken:?}");
            // The counter counts: an output of its own is memory.
            let tensors = Call::new(&[1.0]);
            let counted = allocation_counter::measure(|| {
                host.call("scale", &tensors.tensors()).unwrap();
            });
            assert!(counted.count_total > 0);
        }
    });
}
