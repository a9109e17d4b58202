//! Kernels that fail after they passed everything.

use crate::{
    builder, events, names,
    packs::{Call, Habit, LOOPS, Packs, REFUSED, SPILLS, TRAPS, first},
    zeros,
};
use runtime_host::{
    Breaker, Budget, Error, Event, Host, OnFailure, Path, Reason, ServeError, Trust, Watch,
};
use std::time::{Duration, Instant};

/// Rolls back after three failures.
fn watch() -> Watch {
    Watch {
        window: Duration::from_secs(60),
        failures: 3,
        share: 0.05,
    }
}

#[test]
fn a_pack_that_traps_after_its_health_check_is_rolled_back_and_remembered() {
    let packs = Packs::new();
    let host = builder().native(zeros).watch(watch()).build().unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    let bad = packs.pack(2, Habit::TrapsAfterHealth);
    host.upgrade(&bad).unwrap();
    let heard = events(&host);
    let call = Call::new(&[5.0]);
    let paths: Vec<_> = (0..5)
        .map(|_| host.call("scale", &call.tensors()).unwrap())
        .map(|served| (served.path, served.generation))
        .collect();
    let native = (Path::Native, 2);
    let again = (Path::Kernel, 1);
    assert_eq!(paths, [native, native, native, again, again]);
    assert_eq!(
        names(&heard),
        ["degraded", "degraded", "degraded", "rolled back"]
    );
    // No loop of upgrade and rollback.
    assert!(matches!(
        host.upgrade(&bad),
        Err(Error::FailedBefore { .. })
    ));
    assert_eq!(host.upgrade(&packs.pack(3, Habit::Good)).unwrap(), 3);
    let totals = host.totals();
    assert_eq!(
        (totals.calls, totals.served, totals.degraded, totals.failed),
        (5, 2, 3, 0)
    );
}

#[test]
fn another_process_remembers_the_version_that_failed() {
    let packs = Packs::new();
    let trust = || Trust::list(crate::packs::trusted()).remembering(packs.path());
    let build = || {
        builder()
            .native(zeros)
            .watch(watch())
            .trust(trust())
            .build()
            .unwrap()
    };
    let host = build();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    let bad = packs.pack(2, Habit::TrapsAfterHealth);
    host.upgrade(&bad).unwrap();
    let call = Call::new(&[5.0]);
    for _ in 0..3 {
        host.call("scale", &call.tensors()).unwrap();
    }
    let other = build();
    assert!(matches!(
        other.prepare(&bad),
        Err(Error::FailedBefore { .. })
    ));
    other.forget_failures().unwrap();
    build().prepare(&bad).unwrap();
}

#[test]
fn few_failures_of_many_calls_roll_nothing_back() {
    let packs = Packs::new();
    let rule = Watch {
        share: 0.5,
        ..watch()
    };
    let host = builder().native(zeros).watch(rule).build().unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    host.upgrade(&packs.pack(2, Habit::Good)).unwrap();
    let (good, bad) = (Call::new(&[5.0]), Call::new(&[TRAPS]));
    for _ in 0..20 {
        assert_eq!(
            host.call("scale", &bad.tensors()).unwrap().path,
            Path::Native
        );
        for _ in 0..5 {
            assert_eq!(
                first(&host.call("scale", &good.tensors()).unwrap().output),
                10.0
            );
        }
    }
    assert_eq!(host.generation(), Some(2));
}

#[test]
fn a_loop_is_interrupted_and_degraded() {
    let packs = Packs::new();
    let wasmtime = Host::builder()
        .engine(runtime_wasmtime::pulley().unwrap())
        .budget(Budget::Epoch(100))
        .trust(Trust::list(crate::packs::trusted()));
    for builder in [builder(), wasmtime] {
        let host = builder.native(zeros).build().unwrap();
        host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
        let heard = events(&host);
        let began = Instant::now();
        let served = host.call("scale", &Call::new(&[LOOPS]).tensors()).unwrap();
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!((served.path, first(&served.output)), (Path::Native, 0.0));
        assert!(matches!(
            heard.lock().unwrap()[..],
            [Event::Degraded {
                reason: Reason::Budget,
                ..
            }]
        ));
        assert_eq!(host.instances(), 0);
        let served = host.call("scale", &Call::new(&[4.0]).tensors()).unwrap();
        assert_eq!((served.path, first(&served.output)), (Path::Kernel, 4.0));
    }
}

#[test]
fn every_kind_of_failure_has_its_reason() {
    let packs = Packs::new();
    let host = builder().on_failure(OnFailure::Refuse).build().unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    let reason = |x: f32| match host.call("scale", &Call::new(&[x]).tensors()) {
        Err(ServeError::Failed { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(TRAPS), Reason::Trap);
    assert_eq!(reason(LOOPS), Reason::Budget);
    assert_eq!(reason(SPILLS), Reason::Contract);
    assert_eq!(reason(REFUSED), Reason::Caller);
    let large = Call::new(&vec![1.0; 2 << 20]);
    assert!(matches!(
        host.call("scale", &large.tensors()),
        Err(ServeError::Place(_))
    ));
    let totals = host.totals();
    assert_eq!((totals.calls, totals.failed), (5, 5));
}

#[test]
fn a_callers_mistakes_count_against_no_kernel() {
    let packs = Packs::new();
    let rule = Breaker {
        failures: 2,
        rest: Duration::from_secs(3600),
    };
    let host = builder()
        .native(zeros)
        .breaker(rule)
        .watch(watch())
        .build()
        .unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    host.upgrade(&packs.pack(2, Habit::Good)).unwrap();
    let refused = Call::new(&[REFUSED]);
    let large = Call::new(&vec![1.0; 2 << 20]);
    for _ in 0..10 {
        assert!(host.call("scale", &refused.tensors()).is_err());
        assert!(host.call("scale", &large.tensors()).is_err());
    }
    let served = host.call("scale", &Call::new(&[1.0]).tensors()).unwrap();
    assert_eq!((served.path, served.generation), (Path::Kernel, 2));
}

#[test]
fn a_kernel_that_fails_repeatedly_is_left_alone_and_tried_again() {
    let packs = Packs::new();
    let rule = Breaker {
        failures: 2,
        rest: Duration::from_millis(200),
    };
    let never = Watch {
        failures: 0,
        ..watch()
    };
    let host = builder()
        .native(zeros)
        .breaker(rule)
        .watch(never)
        .build()
        .unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    let heard = events(&host);
    let (good, bad) = (Call::new(&[3.0]), Call::new(&[TRAPS]));
    for _ in 0..2 {
        host.call("scale", &bad.tensors()).unwrap();
    }
    // It would serve this one, and is not asked.
    assert_eq!(
        host.call("scale", &good.tensors()).unwrap().path,
        Path::Native
    );
    let last = heard.lock().unwrap().last().cloned();
    assert!(
        matches!(
            last,
            Some(Event::Degraded {
                reason: Reason::Breaker,
                ..
            })
        ),
        "{last:?}"
    );
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        host.call("scale", &good.tensors()).unwrap().path,
        Path::Kernel
    );
    assert_eq!(
        names(&heard),
        ["degraded", "degraded", "resting", "degraded", "recovered"]
    );
}

#[test]
fn one_tenants_trap_touches_no_other() {
    let packs = Packs::new();
    let never = Watch {
        failures: 0,
        ..watch()
    };
    let rule = Breaker {
        failures: 0,
        rest: Duration::ZERO,
    };
    let host = builder()
        .native(zeros)
        .watch(never)
        .breaker(rule)
        .build()
        .unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    std::thread::scope(|scope| {
        for tenant in 0..4_u8 {
            let host = &host;
            scope.spawn(move || {
                let x = if tenant == 0 {
                    TRAPS
                } else {
                    f32::from(tenant)
                };
                let call = Call::new(&[x, 1.0]);
                for _ in 0..500 {
                    let served = host.call("scale", &call.tensors()).unwrap();
                    let due = if tenant == 0 {
                        Path::Native
                    } else {
                        Path::Kernel
                    };
                    assert_eq!(served.path, due);
                    assert_eq!(first(&served.output), if tenant == 0 { 0.0 } else { x });
                }
            });
        }
    });
}

#[test]
fn callers_that_do_not_trust_each_other_see_nothing_of_each_other() {
    let packs = Packs::new();
    let leaky = packs.pack(1, Habit::Leaks);
    let second = |host: Host| {
        host.upgrade(&leaky).unwrap();
        host.call("scale", &Call::new(&[100.0]).tensors()).unwrap();
        first(
            &host
                .call("scale", &Call::new(&[2.0]).tensors())
                .unwrap()
                .output,
        )
    };
    // The planted fault shows where instances are kept.
    assert_eq!(second(builder().build().unwrap()), 102.0);
    assert_eq!(second(builder().isolate(true).build().unwrap()), 2.0);
}
