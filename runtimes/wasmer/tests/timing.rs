//! Deadlines: whatever endless code does, a signal stops it in time, and a fresh instance works afterwards.

#![allow(clippy::unwrap_used)] // the lint knows tests by their attribute, and their helpers have none

use runtime_api::{Budget, BudgetKind, Error, Limits, Module, Options, Stage, Trap};
use std::time::{Duration, Instant};

/// Interruptions per kind of code.
const ROUNDS: usize = 40;

/// From the deadline to control back. Held at the 90th percentile here, because of what else runs on a machine
/// that runs tests; 12 000 rounds on an otherwise busy machine of two cores gave at most 16 ms at the 99th.
const LATENCY: Duration = Duration::from_millis(50);

/// Endless code of several kinds: each spends its time somewhere else when the signal comes.
const ENDLESS: [(&str, &str); 8] = [
    ("branches", "(loop (br 0))"),
    (
        "loads and stores",
        "(loop (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1))) (br 0))",
    ),
    (
        "floats",
        "(local f64) (loop (local.set 0 (f64.sqrt (f64.add (local.get 0) (f64.const 1)))) (br 0))",
    ),
    (
        "calls",
        "(loop (drop (call $fibonacci (i32.const 12))) (br 0))",
    ),
    (
        "indirect calls",
        "(loop (drop (call_indirect (type $unary) (i32.const 3) (i32.const 0))) (br 0))",
    ),
    (
        "memory growth",
        "(loop (drop (memory.grow (i32.const 1))) (br 0))",
    ),
    (
        "memory fill",
        "(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 60000)) (br 0))",
    ),
    (
        "tables",
        "(loop (table.fill (i32.const 1) (table.get (i32.const 0)) (i32.const 100)) (drop (table.grow (ref.null func) (i32.const 1))) (br 0))",
    ),
];

fn compile(body: &str, metering: BudgetKind) -> Box<dyn Module> {
    let text = format!(
        r#"(module
             (type $unary (func (param i32) (result i32)))
             (memory (export "memory") 1)
             (table 200 funcref)
             (elem (i32.const 0) $fibonacci)
             (func $fibonacci (type $unary)
               (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                 (then (local.get 0))
                 (else (i32.add (call $fibonacci (i32.sub (local.get 0) (i32.const 1)))
                                (call $fibonacci (i32.sub (local.get 0) (i32.const 2)))))))
             (func (export "fibonacci") (result i32) (call $fibonacci (i32.const 10)))
             (func (export "spin") (param i32) (result i32)
               (loop (drop (call $fibonacci (i32.const 5)))
                 (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
               (i32.const 7))
             (func (export "run") (result i32) {body} (i32.const 7)))"#
    );
    let runtime = runtime_wasmer::llvm().unwrap();
    let options = Options {
        limits: Limits::default(),
        metering,
    };
    runtime
        .compile(&wat::parse_str(text).unwrap(), &options)
        .unwrap()
}

/// A call that ends just when it is interrupted ends well or as overdue; if well, no late signal reaches the next call.
#[test]
fn calls_that_end_at_the_deadline_leave_nothing_behind() {
    let module = compile("", BudgetKind::Epoch);
    let generous = Budget::Epoch(1000);
    let (mut well, mut overdue) = (0, 0);
    // As many turns as fit: ever more until the call is overdue, then ever fewer until it ends well.
    let mut turns = 1000.0;
    for round in 0..500 {
        let mut instance = module.instantiate(generous).unwrap();
        let spin = instance.entry("spin", 1).unwrap();
        let fibonacci = instance.entry("fibonacci", 0).unwrap();
        match instance.call(spin, &[turns as u32], Budget::Epoch(1)) {
            Ok(result) => {
                assert_eq!(result, 7);
                for _ in 0..1000 {
                    let next = instance.call(fibonacci, &[], generous);
                    assert_eq!(next, Ok(55), "round {round}");
                }
                well += 1;
                turns *= if overdue == 0 { 1.5 } else { 1.02 };
            }
            Err(error) => {
                assert_eq!(error, Error::trap(Stage::Call, Trap::EpochDeadline));
                overdue += 1;
                turns /= 1.02;
            }
        }
    }
    assert!(
        well > 0 && overdue > 0,
        "{well} ended well, {overdue} overdue"
    );
    println!("{well} ended well, {overdue} overdue");
}

#[test]
fn endless_code_is_stopped_in_time_and_a_fresh_instance_works() {
    for (kind, body) in ENDLESS {
        let module = compile(body, BudgetKind::Epoch);
        let mut late = Vec::new();
        for round in 0..ROUNDS {
            let mut instance = module.instantiate(Budget::Epoch(100)).unwrap();
            let run = instance.entry("run", 0).unwrap();
            let budget = Budget::Epoch(1);
            let start = Instant::now();
            let error = instance.call(run, &[], budget).unwrap_err();
            late.push(start.elapsed().saturating_sub(budget.time().unwrap()));
            assert_eq!(
                error,
                Error::trap(Stage::Call, Trap::EpochDeadline),
                "{kind}, round {round}"
            );

            let mut fresh = module.instantiate(Budget::Epoch(100)).unwrap();
            let fibonacci = fresh.entry("fibonacci", 0).unwrap();
            assert_eq!(
                fresh.call(fibonacci, &[], Budget::Epoch(100)),
                Ok(55),
                "{kind}, round {round}"
            );
        }
        late.sort();
        let percentile = |p: usize| late[(late.len() * p).div_ceil(100) - 1];
        let [median, p90, p99] = [50, 90, 99].map(percentile);
        println!("{kind}: median {median:?}, p90 {p90:?}, p99 {p99:?}");
        assert!(p90 <= LATENCY, "{kind}: {p90:?}");
    }
}
