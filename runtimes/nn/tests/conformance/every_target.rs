//! What every target has, 32-bit devices and WebAssembly too: wasmi, with the kernels of the core pack and with ONNX in Rust. `assay nn --check` asks
//! other engines, where they are.

use runtime_api::{Budget, Runtime};
use runtime_host::{Host, OnFailure, Trust};
use runtime_nn::{
    Backend,
    backends::{Kernels, Native, Onnx},
    check::{self, Cell, Outcome},
};
use std::{path::Path, sync::Arc};

fn wasmi() -> Box<dyn Runtime> {
    runtime_wasmi::runtime().unwrap()
}

fn kernels() -> Kernels {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/packs");
    let host = Host::builder()
        .engine(wasmi())
        .trust(Trust::file(&packs.join("trusted_keys")))
        .on_failure(OnFailure::Refuse)
        .budget(Budget::Epoch(1000))
        .build()
        .unwrap();
    host.upgrade(&packs.join("core")).unwrap();
    Kernels::new(host)
}

/// All checks of wasmi with a backend hold.
fn held(backend: Arc<dyn Backend>) -> Cell {
    let cell = check::cell(&*wasmi(), &backend);
    let bad = cell.findings.iter();
    let bad: Vec<_> = bad.filter(|one| one.outcome != Outcome::Pass).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(cell.outputs.len(), 3);
    cell
}

#[test]
fn kernels_in_their_sandbox_answer_as_native_code_does() {
    let cells = [held(Arc::new(kernels())), held(Arc::new(Native::simd()))];
    assert_eq!(check::disagreements(&cells), [""; 0]);
}

#[test]
fn onnx_in_rust_answers() {
    held(Arc::new(Onnx));
}
