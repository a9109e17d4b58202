//! The client against workers that misbehave: each ends as an error in bounded time.

use crate::support;
use assay_worker::{InstanceChoice, Launch, RunError, Worker, WorkerError};
use runtime_api::{Budget, BudgetKind, Limits, Options};
use runtime_call::{Call, Invocation, Outcome};
use std::time::{Duration, Instant};

fn launch(program: &str, arguments: &[&str]) -> Launch {
    Launch {
        id: "test".to_owned(),
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        folder: None,
        states_id: false,
        time_limit: None,
        stated: Default::default(),
    }
}

fn misbehaving(behaviour: &str) -> Worker {
    Worker::start(&support::adapter_launch(behaviour)).unwrap()
}

/// Calls a function that returns at once `times` times on one instance, within 50 ms each.
fn call(worker: &mut Worker, times: usize) -> Result<Vec<Outcome>, RunError> {
    let wasm =
        wat::parse_str(r#"(module (func (export "run") (result i32) (i32.const 7)))"#).unwrap();
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::Epoch,
    };
    let module = worker.load(&wasm, &options)?;
    let budget = Budget::Epoch(5);
    let calls = (0..times)
        .map(|_| Call {
            export: "run".to_owned(),
            arguments: Vec::new(),
            budget,
        })
        .collect();
    let invocation = Invocation {
        pages: 0,
        writes: Vec::new(),
        calls,
        reads: Vec::new(),
    };
    worker
        .run(
            module,
            InstanceChoice::Fresh,
            budget,
            invocation,
            Duration::ZERO,
        )
        .map(|observation| observation.calls)
}

#[test]
fn a_good_worker_answers_many_requests() {
    let _alone = crate::alone();
    let mut worker = misbehaving("honest");
    for _ in 0..20 {
        assert_eq!(call(&mut worker, 4), Ok(vec![Outcome::Returned(7); 4]));
    }
}

#[test]
fn a_hanging_call_is_killed_half_a_second_after_its_budgets() {
    let _alone = crate::alone();
    let mut worker = misbehaving("hang");
    let start = Instant::now();
    let result = call(&mut worker, 4);
    let elapsed = start.elapsed();
    assert!(
        matches!(result, Err(RunError::Worker(WorkerError::TimedOut { .. }))),
        "{result:?}"
    );
    // Five budgets of 50 ms and 500 ms of grace; the rest is for a loaded machine.
    assert!(elapsed >= Duration::from_millis(750), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(1750), "{elapsed:?}");
    // The worker is gone, and says so again instead of hanging.
    assert!(matches!(call(&mut worker, 1), Err(RunError::Worker(_))));
}

#[test]
fn a_crash_names_the_signal() {
    let _alone = crate::alone();
    let result = call(&mut misbehaving("crash"), 4);
    let Err(RunError::Worker(WorkerError::Crashed { status, .. })) = &result else {
        panic!("{result:?}");
    };
    assert!(status.contains("SIGABRT"), "{status}");
}

#[test]
fn what_is_not_the_protocol_is_refused_with_what_was_said() {
    let _alone = crate::alone();
    let result = call(&mut misbehaving("nonsense"), 4);
    let Err(RunError::Worker(WorkerError::Protocol { message, .. })) = &result else {
        panic!("{result:?}");
    };
    assert!(message.contains("all is well"), "{message}");
}

#[test]
fn executables_that_are_no_workers_are_refused_at_hello() {
    let _alone = crate::alone();
    let missing = Worker::start(&launch("/nonexistent/worker", &[]));
    assert!(matches!(missing, Err(WorkerError::Start { .. })));
    let leaves = Worker::start(&launch("true", &[]));
    assert!(matches!(leaves, Err(WorkerError::Crashed { .. })));
    let echoes = Worker::start(&launch("cat", &[]));
    assert!(matches!(echoes, Err(WorkerError::Protocol { .. })));
    let floods = Worker::start(&launch("yes", &[]));
    assert!(matches!(floods, Err(WorkerError::Protocol { .. })));
    let complains = Worker::start(&launch("sh", &["-c", "echo 'no engine here' >&2; exit 3"]));
    let Err(WorkerError::Crashed { status, stderr, .. }) = complains else {
        panic!("a worker that exits is no worker");
    };
    assert!(
        status.contains('3') && stderr.contains("no engine here"),
        "{status} {stderr}"
    );
}

#[test]
fn an_engine_of_this_project_must_be_what_it_is_called() {
    let _alone = crate::alone();
    let program = env!("CARGO_BIN_EXE_assay").into();
    let mut impostor = Launch::own("test", program, &["worker", "wasmi"]).unwrap();
    impostor.states_id = false;
    assert!(Worker::start(&impostor).is_ok());
    impostor.states_id = true;
    let Err(WorkerError::Protocol { message, .. }) = Worker::start(&impostor) else {
        panic!("`wasmi` passed for `test`");
    };
    assert!(message.contains("`wasmi`"), "{message}");
}

#[test]
fn a_line_without_an_end_costs_no_more_than_the_protocol_allows() {
    let _alone = crate::alone();
    let start = Instant::now();
    let endless = Worker::start(&launch("sh", &["-c", "exec tr '\\0' x < /dev/zero"]));
    let Err(WorkerError::Protocol { message, .. }) = endless else {
        panic!("an endless line is no hello");
    };
    assert!(message.contains("longer"), "{message}");
    assert!(start.elapsed() < Duration::from_secs(20));
}
