//! `assay compare` on the real binary, on records made for it.

use crate::support::json;
use serde_json::{Value, json as object};
use std::{fs, path::Path};

/// Records of a run in which calls took about `time` ns in three processes, and one call used `fuel`; `outcome` is that of the cell.
fn run(folder: &Path, cpu: &str, time: u64, fuel: u64, outcome: &str) -> String {
    let key = object!({"runtime": "x", "kernel": "k", "variant": "base", "case": "c", "budget": "none", "quantity": "call"});
    let with = |record: &str, more: Value| {
        let mut object = key.clone();
        object["record"] = record.into();
        for (name, value) in more.as_object().unwrap() {
            object[name] = value.clone();
        }
        object
    };
    let mut records = vec![object!({
        "record": "run", "format": 1,
        "fingerprint": {"cpu": cpu, "cores": 1, "governor": "g", "os": "o", "architecture": "a", "rustc": "r", "build": "b",
            "harness": "h", "command": [], "began": "t"},
        "pack": {"name": "n", "version": "1.0.0", "key": "k", "manifest_sha256": "00"},
        "seed": 1, "processes": 3, "seconds": 0.1, "quick": true, "budgets": ["none"], "warm_up": "w", "absent": [],
    })];
    for process in 0..3_u64 {
        records.push(with(
            "cell",
            object!({"process": process, "outcome": outcome, "detail": "d", "size": "64Ki", "elements": 1, "bytes": 1}),
        ));
        for round in 0..8_u64 {
            if outcome != "pass" {
                continue;
            }
            // The warm-up would mislead, were it counted.
            let noise = if round == 0 {
                90_000
            } else {
                (process * 7 + round * 3) % 11
            };
            records.push(with(
                "sample",
                object!({"process": process, "round": round, "nanoseconds": time * 1000 + noise, "iterations": 1000}),
            ));
        }
        records.push(object!({"record": "fact", "runtime": "x", "version": "1.0.0", "process": process, "kernel": "k",
            "variant": "base", "case": "c", "metering": "fuel", "quantity": "fuel", "value": fuel}));
    }
    records.push(object!({"record": "end", "seconds": 1.0, "left_out": 0, "groups": 1}));
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("bench.jsonl"), lines).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn what_became_slower_larger_or_wrong_fails_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let old = run(&at("old"), "cpu", 100, 1000, "pass");
    let same = run(&at("same"), "cpu", 100, 1000, "pass");
    let slower = run(&at("slower"), "cpu", 110, 1000, "pass");
    let faster = run(&at("faster"), "cpu", 90, 900, "pass");
    let hungry = run(&at("hungry"), "cpu", 100, 1100, "pass");
    let wrong = run(&at("wrong"), "cpu", 100, 1000, "fail");
    let elsewhere = run(&at("elsewhere"), "other", 110, 1000, "pass");
    let compared = |new: &str, fail_on: &[&str]| {
        let mut arguments = vec!["compare", &old, new];
        arguments.extend(fail_on);
        json(&arguments)
    };
    let word = |document: &Value| {
        document["times"][0]["ratio"]["word"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let gate = ["--fail-on", "5%"];

    let (exit, document) = compared(&same, &gate);
    assert_eq!((exit, word(&document).as_str()), (0, "unsure"));
    let (exit, document) = compared(&slower, &gate);
    assert_eq!((exit, word(&document).as_str()), (1, "slower"));
    assert_eq!(compared(&slower, &["--fail-on", "0.2"]).0, 0);
    assert_eq!(compared(&slower, &[]).0, 0);
    let (exit, document) = compared(&faster, &gate);
    assert_eq!((exit, word(&document).as_str()), (0, "faster"));
    assert_eq!(document["facts"][0]["old"], 1000);
    let (exit, document) = compared(&hungry, &gate);
    assert_eq!(
        (exit, &document["facts"][0]["value"]),
        (1, &Value::from(1100))
    );
    let (exit, document) = compared(&wrong, &[]);
    assert_eq!((exit, document["lost"].as_array().unwrap().len()), (1, 1));
    // The time of another machine fails nothing, and that is said.
    let (exit, document) = compared(&elsewhere, &gate);
    assert_eq!(exit, 0);
    assert!(
        document["notes"][0]
            .as_str()
            .unwrap()
            .contains("different machines")
    );
    assert_eq!(json(&["compare", &old, "/no/such/folder"]).0, 2);
    assert_eq!(
        json(&["compare", &old, &at("nothing").display().to_string()]).0,
        2
    );
}
