//! `assay-wamr`, as `assay` starts it.

use assay_worker::{Launch, Worker, WorkerError};

fn start(id: &str, arguments: &[&str]) -> Result<Worker, WorkerError> {
    let program = env!("CARGO_BIN_EXE_assay-wamr").into();
    Worker::start(&Launch::own(id, program, arguments).unwrap())
}

#[test]
fn it_serves_the_interpreter() {
    start("wamr.fast", &["wamr.fast"]).unwrap();
}

mod needs_wamrc {
    #[test]
    #[ignore = "needs assay-wamrc"]
    fn it_serves_machine_code() {
        let compiler = crate::common::compiler();
        super::start("wamr.aot", &["wamr.aot", compiler.to_str().unwrap()]).unwrap();
    }
}

/// What is asked for wrongly ends as a usage error, and what cannot be opened says why.
#[test]
fn it_serves_nothing_else() {
    for arguments in [
        &[][..],
        &["wamr"],
        &["wamr.aot"],
        &["wamr.fast", "assay-wamrc"],
        &["wamr.fast", "--code-cache"],
    ] {
        match start("wamr.fast", arguments) {
            Err(WorkerError::Crashed { status, stderr, .. }) => {
                assert!(status.contains(": 2"), "{arguments:?}: {status}");
                assert!(stderr.contains("usage: ENGINE"), "{stderr}");
            }
            Err(other) => panic!("{arguments:?}: {other}"),
            Ok(_) => panic!("{arguments:?} was served"),
        }
    }
    match start("wamr.aot", &["wamr.aot", "no-such-compiler"]) {
        Err(WorkerError::Crashed { status, stderr, .. }) => {
            assert!(status.contains(": 5"), "{status}");
            assert!(stderr.contains("wamr.aot: "), "{stderr}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was served without a compiler"),
    }
}
