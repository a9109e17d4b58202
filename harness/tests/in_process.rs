//! Workers inside WebAssembly, where they are no processes: the same conversation, and what becomes of it.

#![cfg(target_family = "wasm")] // elsewhere a worker is a process
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

use assay::registry::{self, Availability};
use assay_worker::{InstanceChoice, Launch, Remote, RunError, Worker, WorkerError};
use runtime_api::{
    Budget, BudgetKind, Error, Limits, Options, Runtime, Trap,
    suite::{assert_passes, unsupported},
};
use runtime_call::{Call, Invocation, Outcome};
use std::time::Duration;

fn wasmi() -> Launch {
    let engines = registry::engines();
    let wasmi = engines.iter().find(|engine| engine.id == "wasmi").unwrap();
    match &wasmi.availability {
        Availability::Ready(launch) => launch.clone(),
        Availability::Absent { reason, .. } => panic!("{reason}"),
    }
}

fn calls(export: &str, budget: Budget) -> Invocation {
    Invocation {
        pages: 0,
        writes: Vec::new(),
        calls: vec![Call {
            export: export.to_owned(),
            arguments: Vec::new(),
            budget,
        }],
        reads: Vec::new(),
    }
}

#[test]
fn wasmi_passes_the_suite_over_the_protocol() {
    let remote = Remote::start(&wasmi()).unwrap();
    assert_eq!(remote.info().id, "wasmi");
    assert_eq!(unsupported(&assert_passes(&remote)), [""; 0]);
}

#[test]
fn every_other_engine_is_absent_for_good() {
    for engine in registry::engines() {
        match engine.availability {
            Availability::Ready(_) => assert_eq!(engine.id, "wasmi"),
            Availability::Absent { reason, command } => {
                assert!(!reason.is_empty(), "{}", engine.id);
                assert_eq!(command, None, "{}: nothing adds it here", engine.id);
            }
        }
    }
}

#[test]
fn no_adapter_can_be_started() {
    let adapters = ["mine=/bin/run".to_owned()];
    let engines = registry::with_adapters(Vec::new(), &adapters).unwrap();
    let Availability::Ready(launch) = &engines[0].availability else {
        panic!("an adapter is for whoever starts it to judge");
    };
    let error = Worker::start(launch).err().unwrap();
    assert!(error.to_string().contains("no processes"), "{error}");
}

#[test]
fn a_call_is_stopped_by_its_budget_and_a_request_that_takes_too_long_is_lost() {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1)
            (func (export "endless") (result i32) (loop $again (br $again)) (i32.const 0)))"#,
    )
    .unwrap();
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::Epoch,
    };
    let budget = Budget::Epoch(20);
    let mut worker = Worker::start(&wasmi()).unwrap();
    let module = worker.load(&wasm, &options).unwrap();
    let endless = || calls("endless", budget);
    let ran = worker
        .run(
            module,
            InstanceChoice::Fresh,
            budget,
            endless(),
            Duration::from_secs(10),
        )
        .unwrap();
    let deadline = Trap::EpochDeadline;
    assert!(
        matches!(&ran.calls[..], [Outcome::Failed(Error::Trap { trap, .. })] if *trap == deadline),
        "{ran:?}"
    );

    // 200 ms of work, where 50 are allowed.
    let error = worker
        .run_within(
            module,
            InstanceChoice::Fresh,
            budget,
            endless(),
            Duration::from_millis(50),
        )
        .unwrap_err();
    assert!(
        matches!(error, RunError::Worker(WorkerError::TimedOut { .. })),
        "{error}"
    );
    let error = worker.load(&wasm, &options).unwrap_err();
    assert!(
        matches!(error, RunError::Worker(WorkerError::Crashed { .. })),
        "{error}"
    );
}
