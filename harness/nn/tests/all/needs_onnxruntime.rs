//! ONNX Runtime, where ORT_DYLIB_PATH names its library.

use crate::conformance::{assert_all_pass, engines};
use runtime_nn::{
    Backend,
    backends::{Onnx, OnnxRuntime},
    check,
};
use std::sync::Arc;

#[test]
#[ignore = "needs ORT_DYLIB_PATH"]
fn onnx_runtime_on_every_engine() {
    let backend: Arc<dyn Backend> = Arc::new(OnnxRuntime::open().unwrap());
    let cells: Vec<_> = engines()
        .iter()
        .map(|engine| check::cell(&**engine, &backend))
        .collect();
    cells.iter().for_each(assert_all_pass);
    assert_eq!(check::disagreements(&cells), [""; 0]);
}

/// Two libraries, one interface: the same inputs, and both refuse what the other refuses.
#[test]
#[ignore = "needs ORT_DYLIB_PATH"]
fn both_onnx_backends_say_the_same_of_a_graph() {
    let runtime = OnnxRuntime::open().unwrap();
    for model in check::models::all() {
        let parts = [model.onnx.to_vec()];
        let load = |backend: &dyn Backend| backend.load(&parts, runtime_nn::Target::Cpu).unwrap();
        assert_eq!(load(&runtime).inputs(), load(&Onnx).inputs());
    }
    for bytes in [&b"\x08"[..], b"\x08\x09", b"", b"{}"] {
        let parts = [bytes.to_vec()];
        let refused = |backend: &dyn Backend| {
            backend
                .load(&parts, runtime_nn::Target::Cpu)
                .err()
                .is_some()
        };
        assert!(refused(&runtime) && refused(&Onnx), "{bytes:?}");
    }
}
