//! `assay-wasmi-fast`, as `assay` starts it.

use assay_worker::{Launch, Worker};

/// Its client would refuse another id.
#[test]
fn it_serves_wasmi_with_its_default_dispatch() {
    let program = env!("CARGO_BIN_EXE_assay-wasmi-fast").into();
    Worker::start(&Launch::own("wasmi.fast", program, &["wasmi.fast"]).unwrap()).unwrap();
}
