//! `assay host-check` on the real binary.

use crate::support::{adapter, core_pack, json};
use serde_json::Value;

/// The exit code, and name, outcome and detail of each scenario.
fn check(arguments: &[&str]) -> (i32, Vec<[String; 3]>) {
    let pack = core_pack();
    let all = [&["host-check", pack.to_str().unwrap()][..], arguments].concat();
    let (code, reports) = json(&all);
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let scenarios = reports[0]["scenarios"].as_array().unwrap().iter();
    let scenarios = scenarios.map(|one| ["name", "outcome", "detail"].map(|key| word(&one[key])));
    (code, scenarios.collect())
}

#[test]
fn every_scenario_of_the_core_pack_holds() {
    let (code, scenarios) = check(&["--runtime", "wasmi", "--upgrades", "3"]);
    assert_eq!(scenarios.len(), 8);
    for [name, outcome, detail] in &scenarios {
        assert_eq!(outcome, "pass", "{name}: {detail}");
    }
    assert_eq!(code, 0);
}

#[test]
fn an_engine_that_answers_wrongly_fails_the_health_check_of_an_honest_pack() {
    let liar = adapter("stale-memory");
    let (code, scenarios) = check(&["--runtime", "liar.*", "--adapter", &liar, "--upgrades", "1"]);
    let [name, outcome, detail] = &scenarios[0];
    assert_eq!(outcome, "fail", "{name}: {detail}");
    assert!(detail.contains("health check"), "{detail}");
    assert_eq!(code, 1);
}
