//! When a call ends that does not end by itself.

use crate::support::{adapter, json, root};
use assay_worker::{Launch, Remote};
use runtime_api::{Budget, BudgetKind, Error, Limits, Options, Runtime};
use serde_json::Value;
use std::time::{Duration, Instant};

fn fixture(name: &str) -> String {
    let path = root().join(format!("fixtures/traps/{name}.wat"));
    path.to_str().unwrap().to_owned()
}

/// A module on wasmi: the exit code and the only result.
fn probe(arguments: &[&str]) -> (i32, Value) {
    let mut line = vec!["probe", "--runtime", "wasmi"];
    line.extend(arguments);
    let (exit, document) = json(&line);
    let results = document["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    (exit, results[0].clone())
}

#[test]
fn budgets_and_timeouts_end_a_loop_in_time() {
    let _alone = crate::alone();
    let module = fixture("deadline-work");
    let (exit, stopped) = probe(&[&module, "--budget", "epoch:10"]);
    assert_eq!(exit, 0);
    assert_eq!(stopped["trap"], "EpochDeadline");
    let (_, stopped) = probe(&[&module, "--budget", "fuel:10000"]);
    assert_eq!(stopped["trap"], "FuelExhausted");
    let start = Instant::now();
    let (_, killed) = probe(&[&module, "--budget", "none", "--timeout-ms", "300"]);
    assert_eq!(killed["outcome"], "timed-out");
    assert_eq!(killed["stage"], "call");
    let elapsed = killed["elapsed_ms"].as_f64().unwrap();
    assert!((700.0..1300.0).contains(&elapsed), "{elapsed} ms");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_engine_without_budgets_loses_its_worker_at_the_deadline() {
    let _alone = crate::alone();
    let adapter = adapter("no-budgets");
    let line = |budget| {
        json(&[
            "probe",
            &fixture("deadline-work"),
            "--budget",
            budget,
            "--adapter",
            &adapter,
            "--runtime",
            "wasmi",
            "--runtime",
            "liar.*",
        ])
    };
    let (exit, document) = line("epoch:10");
    assert_eq!(exit, 0, "{document:#}");
    let killed = &document["results"][1];
    assert_eq!(killed["trap"], "EpochDeadline");
    assert_eq!(killed["stage"], "call");
    assert!(killed["message"].as_str().unwrap().contains("was killed"));
    let elapsed = killed["elapsed_ms"].as_f64().unwrap();
    assert!((500.0..1100.0).contains(&elapsed), "{elapsed} ms");
    let (_, document) = line("fuel:1000");
    assert_eq!(document["results"][1]["outcome"], "unsupported");
}

#[test]
fn a_call_that_overruns_its_budget_ends_with_its_worker_and_the_next_module_has_a_new_one() {
    let _alone = crate::alone();
    let command = adapter("hang");
    let (_, words) = command.split_once('=').unwrap();
    let (program, behaviour) = words.rsplit_once(' ').unwrap();
    let remote = Remote::start(&Launch {
        id: "liar.hang".to_owned(),
        program: program.into(),
        arguments: vec![behaviour.into()],
        folder: None,
        states_id: false,
        time_limit: None,
        stated: Default::default(),
    })
    .unwrap();
    let wasm = wat::parse_str(r#"(module (func (export "answer") (result i32) (i32.const 42)))"#);
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::Epoch,
    };
    let budget = Budget::Epoch(20);
    let compile = || remote.compile(wasm.as_ref().unwrap(), &options).unwrap();
    let module = compile();
    let mut instance = module.instantiate(budget).unwrap();
    let entry = instance.entry("answer", 0).unwrap();
    for _ in 0..2 {
        assert_eq!(instance.call(entry, &[], budget), Ok(42));
    }
    let start = Instant::now();
    let Err(Error::Adapter { message }) = instance.call(entry, &[], budget) else {
        panic!("the third call hangs");
    };
    let elapsed = start.elapsed();
    assert!(message.contains("killed"), "{message}");
    assert!(
        elapsed > Duration::from_millis(600) && elapsed < Duration::from_millis(1700),
        "{elapsed:?}"
    );
    let lost = instance.call(entry, &[], budget);
    assert!(matches!(lost, Err(Error::Adapter { .. })), "{lost:?}");
    assert!(module.instantiate(budget).is_err());

    let mut fresh = compile().instantiate(budget).unwrap();
    let entry = fresh.entry("answer", 0).unwrap();
    assert_eq!(fresh.call(entry, &[], budget), Ok(42));
}
