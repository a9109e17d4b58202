//! Engines with backends that need nothing but Rust, and faults that were planted.

use runtime_api::{Budget, Runtime};
use runtime_host::{Host, OnFailure, Trust};
use runtime_nn::{
    Backend,
    backends::{Kernels, Native, Onnx},
    check::{self, Cell, Outcome},
};
use std::{path::Path, sync::Arc};

pub(crate) fn engines() -> Vec<Box<dyn Runtime>> {
    let mut engines = vec![
        runtime_wasmtime::pulley().unwrap(),
        runtime_wasmi::runtime().unwrap(),
    ];
    if let Ok(cranelift) = runtime_wasmtime::cranelift() {
        engines.insert(0, cranelift);
    }
    engines
}

/// The core pack on an engine, with a budget that a busy machine leaves enough of.
pub(crate) fn kernels(engine: Box<dyn Runtime>) -> Arc<dyn Backend> {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/packs");
    let host = Host::builder()
        .engine(engine)
        .trust(Trust::file(&packs.join("trusted_keys")))
        .on_failure(OnFailure::Refuse)
        .budget(Budget::Epoch(1000))
        .build()
        .unwrap();
    host.upgrade(&packs.join("core")).unwrap();
    Arc::new(Kernels::new(host))
}

#[track_caller]
pub(crate) fn assert_all_pass(cell: &Cell) {
    let bad = cell
        .findings
        .iter()
        .filter(|finding| finding.outcome != Outcome::Pass);
    let bad: Vec<_> = bad.collect();
    assert!(bad.is_empty(), "{} {}: {bad:#?}", cell.engine, cell.backend);
    assert!(cell.findings.len() > 3);
}

#[test]
fn kernels_and_native_code_on_every_engine_with_the_same_bits() {
    let mut cells = Vec::new();
    for engine in engines() {
        cells.push(check::cell(
            &*engine,
            &kernels(runtime_wasmi::runtime().unwrap()),
        ));
        let native: Arc<dyn Backend> = Arc::new(Native::simd());
        cells.push(check::cell(&*engine, &native));
    }
    cells.iter().for_each(assert_all_pass);
    assert_eq!(check::disagreements(&cells), [""; 0]);
    // Sums in another order are other bits, so this comparison can fail.
    let base: Arc<dyn Backend> = Arc::new(Native::base());
    cells.push(check::cell(&*runtime_wasmi::runtime().unwrap(), &base));
    assert!(!check::disagreements(&cells).is_empty());
}

#[test]
fn onnx_on_every_engine_with_the_same_bits() {
    let onnx: Arc<dyn Backend> = Arc::new(Onnx);
    let cells: Vec<_> = engines()
        .iter()
        .map(|engine| check::cell(&**engine, &onnx))
        .collect();
    cells.iter().for_each(assert_all_pass);
    assert_eq!(check::disagreements(&cells), [""; 0]);
}

#[test]
fn planted_backends_end_in_error_codes_on_every_engine() {
    for engine in engines() {
        assert_all_pass(&check::planted(&*engine));
    }
}

/// Winch links functions as well; no engine is left out silently.
#[cfg(target_arch = "x86_64")]
#[test]
fn winch_is_no_exception() {
    let native: Arc<dyn Backend> = Arc::new(Native::simd());
    let winch = runtime_wasmtime::winch().unwrap();
    assert_all_pass(&check::cell(&*winch, &native));
}
