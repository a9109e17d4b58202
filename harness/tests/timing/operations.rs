//! The optional operations `time` and `facts` of a worker, asked directly.

use assay_worker::{
    InstanceChoice, Launch, RunError, Worker,
    protocol::{Batch, Timed, Times},
};
use runtime_api::{Budget, BudgetKind, Error, Limits, Options, Trap};
use runtime_call::{Call, Form, Invocation, Read, Write};
use std::time::Duration;

const MODULE: &str = r#"(module (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0))
    (func (export "run") (param i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.store (i32.const 0) (global.get $calls))
      (local.get 0))
    (func (export "status") (param i32) (result i32)
      (i32.store (i32.const 4) (i32.add (i32.load (i32.const 4)) (i32.const 1)))
      (local.get 0))
    (func (export "trap") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then unreachable))
      (local.get 0)))"#;

const WITHIN: Duration = Duration::from_secs(60);

/// A worker with the module loaded and an instance of it.
fn worker(metering: BudgetKind) -> (Worker, u64) {
    worker_of("wasmi", metering)
}

fn worker_of(engine: &str, metering: BudgetKind) -> (Worker, u64) {
    let program = env!("CARGO_BIN_EXE_assay").into();
    let launch = Launch::own(engine, program, &["worker", engine]).unwrap();
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
fn loading_from_a_cache_is_refused_where_an_engine_has_no_code_to_keep() {
    let _alone = crate::alone();
    let (mut worker, module) = worker(BudgetKind::None);
    let refused = worker.time(module, Timed::LoadCached, (1, 0, 3), WITHIN);
    assert!(
        matches!(refused, Err(RunError::Engine(Error::Unsupported { .. }))),
        "{refused:?}"
    );
}

#[test]
#[cfg_attr(
    not(feature = "wasmtime"),
    ignore = "needs the feature `wasmtime` of assay"
)]
fn loading_from_a_cache_is_timed() {
    let _alone = crate::alone();
    let (mut worker, module) = worker_of("wasmtime.pulley", BudgetKind::Epoch);
    let times = worker
        .time(module, Timed::LoadCached, (2, 0, 3), WITHIN)
        .unwrap();
    assert_eq!(times.series[0].name, "load-cached");
    assert_eq!(batches(&times), [2, 2, 2]);
}

#[test]
fn calls_are_made_as_often_as_they_are_said_to_be() {
    let _alone = crate::alone();
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
    let _alone = crate::alone();
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
            call: call("trap", 0),
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
    let _alone = crate::alone();
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
fn batches_count_their_calls_and_stop_at_a_status() {
    let _alone = crate::alone();
    let (mut worker, module) = worker(BudgetKind::None);
    for kind in ["batch", "inplace", "reset", "traps", "footprint"] {
        assert!(worker.has_operation(kind), "{kind}");
    }
    let batch = |arguments: &[u32]| Timed::Batch {
        call: Call {
            export: "status".to_owned(),
            arguments: arguments.to_vec(),
            budget: Budget::None,
        },
    };
    let made = |worker: &mut Worker| {
        let invocation = Invocation {
            pages: 0,
            writes: Vec::new(),
            calls: Vec::new(),
            reads: vec![Read { at: 4, ..counter() }],
        };
        let same = InstanceChoice::Same;
        let observation = worker
            .run_within(module, same, Budget::None, invocation, WITHIN)
            .unwrap();
        u32::from_le_bytes(observation.reads[0].0.as_slice().try_into().unwrap())
    };
    // Whole batches: 7 calls are three of three.
    let times = worker
        .time(module, batch(&[0; 3]), (7, 0, 2), WITHIN)
        .unwrap();
    assert_eq!(times.series[0].name, "batch");
    assert_eq!(batches(&times), [9, 9]);
    assert_eq!(made(&mut worker), 18);
    let times = worker
        .time(module, batch(&[0; 3]), (0, 1_000_000, 2), WITHIN)
        .unwrap();
    let all = times.warm_up + batches(&times).iter().sum::<u64>();
    assert_eq!(u64::from(made(&mut worker)), 18 + all);
    let nothing = worker.time(module, batch(&[]), (1, 0, 1), WITHIN);
    assert!(matches!(
        nothing,
        Err(RunError::Engine(Error::Adapter { .. }))
    ));
    let status = worker.time(module, batch(&[0, 9, 0]), (1, 0, 1), WITHIN);
    let due = Error::trap(runtime_api::Stage::Call, Trap::KernelStatus { code: 9 });
    assert_eq!(status, Err(RunError::Engine(due)));
}

#[test]
fn bytes_in_place_stay_as_they_were() {
    let _alone = crate::alone();
    let (mut worker, module) = worker(BudgetKind::None);
    run(
        &mut worker,
        module,
        InstanceChoice::Same,
        vec![call("run", 1); 3],
    )
    .unwrap();
    let what = Timed::InPlace { at: 0, length: 64 };
    let times = worker.time(module, what, (5, 0, 2), WITHIN).unwrap();
    assert_eq!(
        (times.series[0].name.as_str(), batches(&times)),
        ("in-place", vec![5, 5])
    );
    let same = InstanceChoice::Same;
    assert_eq!(run(&mut worker, module, same, Vec::new()).unwrap(), 3);
    let outside = Timed::InPlace {
        at: 65_535,
        length: u32::MAX,
    };
    let refused = worker.time(module, outside, (1, 0, 1), WITHIN);
    assert!(matches!(
        refused,
        Err(RunError::Engine(Error::Access { .. }))
    ));
}

#[test]
fn a_reset_is_timed_of_an_instance_that_still_serves() {
    let _alone = crate::alone();
    let (mut worker, module) = worker(BudgetKind::None);
    let reset = |heap_base| Timed::Reset {
        heap_base,
        budget: Budget::None,
        invocation: Invocation {
            pages: 2,
            writes: Vec::new(),
            calls: vec![call("run", 3)],
            reads: vec![counter()],
        },
    };
    let times = worker.time(module, reset(1024), (4, 0, 2), WITHIN).unwrap();
    assert_eq!(
        (times.series[0].name.as_str(), batches(&times)),
        ("reset", vec![4, 4])
    );
    assert_eq!(times.series[1].name, "pooled");
    // The count is in a global, which no reset undoes: a call before the resets, and one in each of two times four invocations.
    assert_eq!((times.returned, &times.reads[0].0), (3, &vec![9, 0, 0, 0]));
    let outside = worker.time(module, reset(u32::MAX), (1, 0, 1), WITHIN);
    assert!(matches!(
        outside,
        Err(RunError::Engine(Error::Access { .. }))
    ));
}

#[test]
fn traps_are_timed_among_as_many_modules_as_were_asked_for_or_not_at_all() {
    let _alone = crate::alone();
    let (mut worker, module) = worker(BudgetKind::Epoch);
    let budget = Budget::Epoch(1000);
    let traps = |export: &str, argument, modules, within_ms| Timed::Traps {
        call: Call {
            export: export.to_owned(),
            arguments: vec![argument],
            budget,
        },
        alive: 6,
        budget,
        modules,
        within_ms,
    };
    let times = worker
        .time(module, traps("trap", 0, 100, 60_000), (8, 0, 3), WITHIN)
        .unwrap();
    let names: Vec<&str> = times.series.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["call", "trap"]);
    assert_eq!(batches(&times), [8, 8, 8]);
    assert_eq!(times.returned, 6);
    let [calls, all] = [0, 1].map(|index| times.series[index].batches.clone());
    let longer = |(call, all): (&Batch, &Batch)| all.nanoseconds > call.nanoseconds;
    assert!(calls.iter().zip(&all).all(longer));

    let mut refused = |what| match worker.time(module, what, (8, 0, 1), WITHIN) {
        Err(RunError::Engine(error)) => error,
        other => panic!("{other:?}"),
    };
    for count in [0, 1001] {
        let error = refused(traps("trap", 0, count, 60_000));
        assert!(matches!(error, Error::Adapter { .. }), "{error}");
    }
    // What returns, and what traps otherwise, is no time of a trap.
    let error = refused(traps("trap", 5, 1, 60_000));
    assert!(error.to_string().contains("returned 5"), "{error}");
    let late = refused(traps("trap", 0, 1000, 0));
    assert!(matches!(late, Error::Unsupported { .. }), "{late}");
}

#[cfg(target_os = "linux")]
#[test]
fn instances_that_use_more_memory_have_a_larger_footprint() {
    let _alone = crate::alone();
    const PAGES: u64 = 20;
    let (mut worker, module) = worker(BudgetKind::None);
    let invocation = || Invocation {
        pages: PAGES as u32,
        writes: vec![Write::Bytes {
            at: 0,
            bytes: vec![7; PAGES as usize * 65_536],
        }],
        calls: vec![call("run", 1)],
        reads: Vec::new(),
    };
    let mut footprint = |count| worker.footprint(module, count, Budget::None, invocation(), WITHIN);
    let measured = footprint(16).unwrap();
    let used = measured.rss_per_used_instance_bytes;
    assert!(
        (PAGES * 65_536..2 * PAGES * 65_536).contains(&used),
        "{measured:?}"
    );
    assert!(measured.rss_per_instance_bytes < used, "{measured:?}");
    for count in [0, 65] {
        assert!(footprint(count).is_err());
    }
}

#[test]
fn facts_tell_the_fuel_of_the_last_call() {
    let _alone = crate::alone();
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
