//! The optional operations `time` and `facts` of a worker, asked directly.

#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

mod support;

use assay::worker::{
    InstanceChoice, Launch, RunError, Worker,
    protocol::{Timed, Times},
};
use runtime_api::{Budget, BudgetKind, Error, Limits, Options, Trap};
use runtime_host::{Call, Form, Invocation, Read};
use std::time::Duration;

const MODULE: &str = r#"(module (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0))
    (func (export "run") (param i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.store (i32.const 0) (global.get $calls))
      (local.get 0))
    (func (export "trap") (param i32) (result i32) unreachable))"#;

const WITHIN: Duration = Duration::from_secs(60);

/// A worker with the module loaded and an instance of it.
fn worker(metering: BudgetKind) -> (Worker, u64) {
    let program = env!("CARGO_BIN_EXE_assay").into();
    let launch = Launch::own("wasmi", program, &["worker", "wasmi"]).unwrap();
    let mut worker = Worker::start(&launch).unwrap();
    assert!(worker.has_operation("time") && worker.has_operation("facts"));
    let options = Options {
        limits: Limits::default(),
        metering,
    };
    let module = worker
        .load(&wat::parse_str(MODULE).unwrap(), &options)
        .unwrap();
    run(&mut worker, module, InstanceChoice::Fresh, Vec::new()).unwrap();
    (worker, module)
}

fn call(export: &str, argument: u32) -> Call {
    Call {
        export: export.to_owned(),
        arguments: vec![argument],
        budget: Budget::None,
    }
}

/// Makes the calls and answers how often `run` was called on this instance.
fn run(
    worker: &mut Worker,
    module: u64,
    instance: InstanceChoice,
    calls: Vec<Call>,
) -> Result<u32, RunError> {
    let invocation = Invocation {
        pages: 0,
        writes: Vec::new(),
        calls,
        reads: vec![counter()],
    };
    let observation = worker.run_within(module, instance, Budget::None, invocation, WITHIN)?;
    let bytes = observation.reads[0].0.as_slice();
    Ok(u32::from_le_bytes(bytes.try_into().unwrap()))
}

fn counter() -> Read {
    Read {
        at: 0,
        length: 4,
        form: Form::Bytes,
    }
}

fn batches(times: &Times) -> Vec<u64> {
    times.series[0]
        .batches
        .iter()
        .map(|batch| batch.iterations)
        .collect()
}

#[test]
fn calls_are_made_as_often_as_they_are_said_to_be() {
    let (mut worker, module) = worker(BudgetKind::None);
    let what = || Timed::Call {
        call: call("run", 5),
    };
    let times = worker.time(module, what(), (7, 0, 3), WITHIN).unwrap();
    assert_eq!(batches(&times), [7, 7, 7]);
    assert_eq!((times.returned, times.warm_up), (5, 0));
    let made = |worker: &mut Worker| run(worker, module, InstanceChoice::Same, Vec::new()).unwrap();
    assert_eq!(made(&mut worker), 21);

    // Found out: batches last as long as they should, and every call is counted.
    let times = worker
        .time(module, what(), (0, 2_000_000, 2), WITHIN)
        .unwrap();
    assert!(times.series[0].batches[0].nanoseconds >= 2_000_000);
    let all: u64 = times.warm_up + batches(&times).iter().sum::<u64>();
    assert_eq!(u64::from(made(&mut worker)), 21 + all);

    let what = Timed::Hand {
        call: call("run", 5),
    };
    let times = worker.time(module, what, (11, 0, 1), WITHIN).unwrap();
    assert_eq!(times.series[0].name, "hand");
    assert_eq!(u64::from(made(&mut worker)), 21 + all + 11);
}

#[test]
fn a_trap_ends_the_instance_and_refusals_do_not() {
    let (mut worker, module) = worker(BudgetKind::None);
    let refused = |error: &Result<Times, RunError>| match error {
        Err(RunError::Engine(error)) => error.clone(),
        other => panic!("{other:?}"),
    };
    let mut time = |what, how| worker.time(module, what, how, WITHIN);
    let missing = time(
        Timed::Call {
            call: call("no", 1),
        },
        (1, 0, 1),
    );
    assert!(matches!(refused(&missing), Error::Export { .. }));
    let outside = Timed::Read {
        at: u32::MAX,
        length: u32::MAX,
    };
    assert!(matches!(
        refused(&time(outside, (1, 0, 1))),
        Error::Access { .. }
    ));
    let endless = time(Timed::Compile, (1, 0, u32::MAX));
    assert!(matches!(refused(&endless), Error::Adapter { .. }));
    let fuel = Call {
        budget: Budget::Fuel(9),
        ..call("run", 1)
    };
    let other_kind = time(Timed::Call { call: fuel }, (1, 0, 1));
    assert!(matches!(refused(&other_kind), Error::Unsupported { .. }));
    assert!(
        time(
            Timed::Call {
                call: call("run", 1)
            },
            (1, 0, 1)
        )
        .is_ok()
    );
    let trapped = time(
        Timed::Call {
            call: call("trap", 1),
        },
        (1, 0, 1),
    );
    assert!(matches!(
        refused(&trapped),
        Error::Trap {
            trap: Trap::Unreachable,
            ..
        }
    ));
    let gone = time(
        Timed::Call {
            call: call("run", 1),
        },
        (1, 0, 1),
    );
    assert!(matches!(refused(&gone), Error::Adapter { .. }));
}

#[test]
fn invocations_are_of_fresh_instances_or_of_one() {
    let (mut worker, module) = worker(BudgetKind::None);
    let invocation = || Invocation {
        pages: 2,
        writes: Vec::new(),
        calls: vec![call("run", 0)],
        reads: vec![counter()],
    };
    let budget = Budget::None;
    let path = Timed::Path {
        budget,
        invocation: invocation(),
    };
    let times = worker.time(module, path, (4, 0, 2), WITHIN).unwrap();
    assert_eq!(times.reads[0].0, 1_u32.to_le_bytes());
    let reuse = Timed::Reuse {
        budget,
        invocation: invocation(),
    };
    let times = worker.time(module, reuse, (4, 0, 2), WITHIN).unwrap();
    assert_eq!(times.reads[0].0, 8_u32.to_le_bytes());
    let stages = Timed::Stages {
        budget,
        invocation: invocation(),
    };
    let times = worker
        .time(module, stages, (u64::MAX, 0, 2), WITHIN)
        .unwrap();
    assert_eq!(times.reads[0].0, 1_u32.to_le_bytes());
    let names: Vec<&str> = times
        .series
        .iter()
        .map(|series| series.name.as_str())
        .collect();
    let stages = [
        "lookup",
        "instantiate",
        "resolve",
        "memory",
        "call",
        "fetch",
        "drop",
    ];
    assert_eq!(names, stages);
    // What a message may ask for is bounded.
    assert!(times.series.iter().all(|series| series.batches.len() == 2));
    assert!(batches(&times).iter().all(|iterations| *iterations <= 64));
}

#[test]
fn facts_tell_the_fuel_of_the_last_call() {
    let (mut worker, module) = worker(BudgetKind::Fuel);
    let mut used = || {
        let fueled = Call {
            budget: Budget::Fuel(1_000_000),
            ..call("run", 1)
        };
        run(&mut worker, module, InstanceChoice::Same, vec![fueled]).unwrap();
        let facts = worker.facts(module).unwrap();
        assert!(facts.clock_step_ns.unwrap() >= 1);
        1_000_000 - facts.fuel_left.unwrap()
    };
    let first = used();
    assert!((1..1000).contains(&first), "{first}");
    assert_eq!(used(), first);
}
