//! The shared adapter suite over every id of this crate, and what each may leave unsupported.

#![cfg(not(target_family = "wasm"))] // the crate is empty there

use runtime_api::{
    BudgetKind, Error, Kind, Limits, Options, PACK_FEATURES, Runtime,
    suite::{assert_passes, unsupported},
};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn cranelift() {
    let runtime = runtime_wasmtime::cranelift().unwrap();
    assert_identity(&*runtime, "wasmtime.cranelift", Kind::Jit);
    assert_eq!(runtime.info().capabilities.features, PACK_FEATURES);
    assert_eq!(unsupported(&assert_passes(&*runtime)), [""; 0]);
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn pooling() {
    let runtime = runtime_wasmtime::pooling().unwrap();
    assert_identity(&*runtime, "wasmtime.pooling", Kind::Jit);
    assert_eq!(runtime.info().capabilities.features, PACK_FEATURES);
    assert_eq!(unsupported(&assert_passes(&*runtime)), [""; 0]);
}

#[test]
fn pulley() {
    let runtime = runtime_wasmtime::pulley().unwrap();
    assert_identity(&*runtime, "wasmtime.pulley", Kind::Interpreter);
    assert_eq!(runtime.info().capabilities.features, PACK_FEATURES);
    assert_eq!(unsupported(&assert_passes(&*runtime)), [""; 0]);
}

/// Nothing that takes a module panics over one: the suite's check is for compilation alone.
#[test]
fn lengths_near_4_gib_are_refused() {
    let runtime = runtime_wasmtime::pulley().unwrap();
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::Epoch,
    };
    let wasm = b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f";
    for refused in [
        runtime.compile(wasm, &options).map(drop),
        runtime.validate(wasm),
        runtime.precompile(wasm, &options).map(drop),
    ] {
        assert!(
            matches!(refused, Err(Error::Rejected { .. })),
            "{refused:?}"
        );
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn winch() {
    let runtime = runtime_wasmtime::winch().unwrap();
    assert_identity(&*runtime, "wasmtime.winch", Kind::Jit);
    let findings = assert_passes(&*runtime);
    // funcref is all that Winch knows of reference types, so none of this feature's checks apply.
    let expected = [
        "limit.table.sum",
        "limit.table.grow",
        "trap.table.get",
        "trap.table.set",
        "trap.table.fill",
        "budget.table-growth",
        "feature.reference-types",
    ];
    let unsupported = unsupported(&findings);
    if has_all_of_winch_simd() {
        assert_eq!(unsupported, expected);
    } else {
        // Less of SIMD is implemented elsewhere.
        assert!(
            expected.iter().all(|name| unsupported.contains(name)),
            "{unsupported:?}"
        );
    }
}

fn assert_identity(runtime: &dyn Runtime, id: &str, kind: Kind) {
    let info = runtime.info();
    assert_eq!((info.id.as_str(), info.kind), (id, kind));
    let lock = include_str!("../../../Cargo.lock");
    let locked = format!("name = \"wasmtime\"\nversion = \"{}\"", info.version);
    assert!(lock.contains(&locked), "{}", info.version);
}

#[cfg(target_arch = "x86_64")]
fn has_all_of_winch_simd() -> bool {
    std::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_all_of_winch_simd() -> bool {
    false
}
