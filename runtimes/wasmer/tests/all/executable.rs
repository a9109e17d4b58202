//! `assay-wasmer`, as `assay` starts it.

use assay_worker::{Launch, Worker};
use runtime_api::{BudgetKind, Form, Limits, Options};

fn start() -> Worker {
    let program = env!("CARGO_BIN_EXE_assay-wasmer").into();
    let launch = Launch::own("wasmer.llvm", program, &["wasmer.llvm"]).unwrap();
    Worker::start(&launch).unwrap()
}

#[test]
fn it_shows_what_llvm_gets_and_what_it_makes_of_it() {
    let wasm = include_bytes!("../../../../fixtures/packs/core/kernels/kv_unpack_q8.wasm");
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::Epoch,
    };
    let mut worker = start();
    let mut show = |form| worker.inspect(wasm, &options, form).unwrap();
    let before = show(Form::LlvmIrUnoptimized);
    let after = show(Form::LlvmIr);
    assert!(before.contains("define ") && after.contains("define "));
    assert_ne!(before, after);
    let code = show(Form::Asm);
    assert!(code.contains("ret"), "{code}");
}
