//! `assay report` as a user meets it: made from recorded files alone, and honest about what does not pass.

use crate::support::json;
use serde_json::{Value, json as value};
use std::{fs, path::Path};

fn records(folder: &Path, outcome: &str) {
    let engine = |id: &str, status: &str, version: Value, reason: Value| value!({"id": id, "status": status, "version": version, "reason": reason});
    let conform = value!({
        "verdict": if outcome == "pass" { "pass" } else { "fail" }, "seed": 7, "cases": 4,
        "engines": [
            engine("wasmi", "ready", "2.0.0".into(), Value::Null),
            engine("wamr.fast", "absent", Value::Null, "the feature `wamr` is off".into()),
        ],
        "results": [{
            "runtime": "wasmi", "kernel": "rope_f32", "variant": "base", "source": "edge", "case": null, "layer": "L4",
            "outcome": outcome, "detail": "index 3: <b>1</b> & 2", "max_ulp": 1.5, "cases": 4, "passed": if outcome == "pass" { 4 } else { 3 },
        }, {
            "runtime": "wasmi", "kernel": "rope_f32", "variant": "base", "source": "edge", "case": null, "layer": "L2",
            "outcome": "pass", "detail": "", "max_ulp": null, "cases": 4, "passed": 4,
        }],
        "numerics": [],
        "search": {"draws": 1, "found": 0},
        "coverage": [{
            "kernel": "rope_f32", "variant": "base", "runtime": "wasmi", "blocks": 7, "ran": 7, "instructions": 30, "instructions_ran": 30,
            "only_traps": 0, "only_traps_ran": 0, "uncovered": [],
        }],
    });
    let qualify = value!({
        "verdict": if outcome == "pass" { "qualified" } else { "not-qualified" }, "profile": "server",
        "pack": {"name": "core", "version": "1.0.0", "key": "ed25519:abc", "kernels": 1, "manifest_sha256": "00"},
        "kernels": ["rope_f32"],
        "engines": [{"id": "wasmi", "verdict": if outcome == "pass" { "qualified" } else { "not-qualified" }, "reasons": []}],
        "basics": [{"runtime": "wasmi", "check": "endless loop", "outcome": "pass", "detail": ""}],
        "conform": conform,
    });
    fs::write(folder.join("qualify.json"), qualify.to_string()).unwrap();
}

fn report(folder: &Path) -> (i32, Value) {
    json(&["report", folder.to_str().unwrap()])
}

#[test]
fn a_failing_layer_shows_in_every_form_and_markup_in_details_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    records(folder.path(), "fail");
    let (exit, document) = report(folder.path());
    assert_eq!(exit, 0, "{document}");
    assert_eq!(document["verdict"], "not-qualified");
    let read = |name: &str| fs::read_to_string(folder.path().join("report").join(name)).unwrap();
    let (html, markdown, junit) = (read("index.html"), read("summary.md"), read("junit.xml"));
    assert!(html.contains("7 of 8: fails L4") && !html.contains("<b>1</b>"));
    assert!(markdown.contains("**not-qualified**") && markdown.contains("7 of 8: fails L4"));
    assert!(junit.contains("<failure") && junit.contains("&lt;b&gt;"));
    // An engine that is absent is there, with its reason.
    assert!(html.contains("wamr.fast is absent") && junit.contains("<skipped"));
}

#[test]
fn what_nobody_asked_stands_beside_a_good_verdict_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    records(folder.path(), "pass");
    let path = folder.path().join("qualify.json");
    let mut qualify: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut words = |interruptions: u32, kernels: u32| {
        qualify["interruptions"] = interruptions.into();
        qualify["pack"]["kernels"] = kernels.into();
        fs::write(&path, qualify.to_string()).unwrap();
        let (exit, document) = report(folder.path());
        assert_eq!(exit, 0, "{document}");
        let read =
            |name: &str| fs::read_to_string(folder.path().join("report").join(name)).unwrap();
        let verdict = document["verdict"].as_str().unwrap().to_owned();
        let markdown = format!("**{}**", verdict.replace('_', "\\_"));
        assert!(read("summary.md").contains(&markdown), "{verdict}");
        let html = verdict.replace('\'', "&#39;");
        assert!(read("index.html").contains(&html), "{verdict}");
        (verdict, read("junit.xml"))
    };
    let (asked, junit) = words(20, 1);
    assert_eq!(asked, "qualified");
    assert!(!junit.contains("not asked"));
    let (verdict, junit) = words(0, 13);
    assert_eq!(
        verdict,
        "qualified, though nobody knows how late engines stop, and only 1 of the pack's 13 kernels were judged: rope_f32"
    );
    assert!(junit.contains("not asked: interruptions") && junit.contains("not asked: kernels"));
}

#[test]
fn the_same_records_make_the_same_report() {
    let folder = tempfile::tempdir().unwrap();
    records(folder.path(), "pass");
    let index = folder.path().join("report/index.html");
    let (exit, _) = report(folder.path());
    let first = fs::read(&index).unwrap();
    report(folder.path());
    assert_eq!((exit, first), (0, fs::read(&index).unwrap()));
}

#[test]
fn a_folder_without_results_and_a_damaged_one_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (exit, document) = report(folder.path());
    assert_eq!(exit, 2);
    assert!(document["error"].as_str().unwrap().contains("no results"));

    fs::write(folder.path().join("traps.json"), "{\"engines\": [").unwrap();
    let (exit, document) = report(folder.path());
    assert_eq!(exit, 2);
    let error = document["error"].as_str().unwrap();
    assert!(
        error.contains("traps.json") && error.contains("damaged"),
        "{error}"
    );

    let (exit, _) = report(&folder.path().join("none"));
    assert_eq!(exit, 2);
}

#[test]
fn two_runs_in_one_folder_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    for run in ["monday", "tuesday"] {
        let inner = folder.path().join(run);
        fs::create_dir(&inner).unwrap();
        records(&inner, "pass");
    }
    let (exit, document) = report(folder.path());
    assert_eq!(exit, 2);
    assert!(document["error"].as_str().unwrap().contains("one run"));
}

/// Records of a run with one cell per quantity, in three processes.
fn measurements(folder: &Path, emulated: Option<&str>, quantities: &[&str]) {
    let mut lines = vec![value!({
        "record": "run", "format": 1, "seed": 1, "processes": 3, "seconds": 0.1, "quick": false, "budgets": ["none"], "warm_up": "", "absent": [],
        "pack": {"name": "core", "version": "1.0.0", "key": "", "manifest_sha256": ""},
        "fingerprint": {
            "cpu": "a processor", "cores": 1, "governor": "", "os": "", "architecture": "", "emulated": emulated, "rustc": "", "build": "",
            "harness": "", "command": ["assay", "bench"], "began": "",
        },
    })];
    let budgets = ["none"];
    let capabilities = value!({"features": [], "budgets": budgets, "interruption": "", "memory_limit": true, "table_limit": true, "stack_limit": true});
    lines.push(value!({"record": "engine", "runtime": "wasmi", "process": 0, "info": {
        "id": "wasmi", "engine": "wasmi", "version": "2.0.0", "kind": "interpreter", "build": {}, "capabilities": capabilities,
    }}));
    for (quantity, process) in quantities
        .iter()
        .flat_map(|quantity| (0..3).map(move |process| (quantity, process)))
    {
        let cell = |record: &str| {
            value!({
                "record": record, "runtime": "wasmi", "kernel": "rmsnorm_f32", "variant": "base", "case": "1x64", "budget": "none",
                "quantity": quantity, "process": process,
            })
        };
        let mut checked = cell("cell");
        for (key, value) in [
            ("size", value!("small")),
            ("elements", value!(64)),
            ("bytes", value!(640)),
            ("warm_up", value!(1)),
            (
                "outcome",
                value!(if emulated.is_some() {
                    "unsupported"
                } else {
                    "pass"
                }),
            ),
            (
                "detail",
                value!(
                    emulated
                        .map_or_else(String::new, |how| format!("not measured (emulated): {how}"))
                ),
            ),
        ] {
            checked[key] = value;
        }
        lines.push(checked);
        for round in 0..4 {
            let mut sample = cell("sample");
            sample["round"] = round.into();
            sample["nanoseconds"] = (100_000 + 100 * process).into();
            sample["iterations"] = 1000.into();
            if emulated.is_none() {
                lines.push(sample);
            }
        }
    }
    lines.push(value!({"record": "end", "seconds": 1.0, "left_out": 0, "groups": 1}));
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.join("bench.jsonl"), text).unwrap();
}

#[test]
fn emulated_measurements_are_shown_as_not_measured() {
    let folder = tempfile::tempdir().unwrap();
    measurements(folder.path(), Some("qemu-armv7"), &["call"]);
    let (exit, document) = report(folder.path());
    assert_eq!(exit, 0, "{document}");
    assert_eq!(
        document["verdict"],
        "outputs checked: pass; times: not measured (emulated)"
    );
    let read = |name: &str| fs::read_to_string(folder.path().join("report").join(name)).unwrap();
    let html = read("index.html");
    assert!(html.contains("not measured (emulated): qemu-armv7. Outputs were checked"));
    // Nothing is held, and nothing is not held.
    assert!(!html.contains("class=\"good") && !html.contains("class=\"bad"));
    assert!(read("junit.xml").contains("not measured (emulated): qemu-armv7"));
    assert_eq!(read("times.csv").lines().count(), 1);
}

#[test]
fn quantities_of_later_versions_are_columns_under_their_own_names() {
    let folder = tempfile::tempdir().unwrap();
    measurements(folder.path(), None, &["call", "batch", "teleport"]);
    let (exit, document) = report(folder.path());
    assert_eq!(exit, 0, "{document}");
    let html = fs::read_to_string(folder.path().join("report/index.html")).unwrap();
    let header =
        |name: &str| format!("<th scope=\"col\"><button type=\"button\">{name}</button></th>");
    for column in ["call (steady)", "batch (per call)", "teleport"] {
        assert!(html.contains(&header(column)), "{column}");
    }
    // What was not measured has no column.
    assert!(!html.contains(&header("in-place")));
    // The goal of every engine is held by 100 ns; that of another engine is not measured, with the reason.
    assert!(html.contains("100.1 ns [") && html.contains("the engine is not part of this run"));
}

#[test]
fn a_trap_that_fails_is_in_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let case = |case: &str, outcome: &str| {
        value!({
            "runtime": "wasmi", "class": "Unreachable", "case": case, "expected": "Unreachable", "outcome": outcome, "seen": "", "detail": "why",
        })
    };
    let cases = [
        case("a", "pass"),
        case("b", "fail"),
        case("c", "unsupported"),
    ];
    let traps = value!({
        "engines": [{"id": "wasmi", "status": "ready", "version": "2.0.0", "reason": null}], "results": cases,
    });
    fs::write(folder.path().join("traps.json"), traps.to_string()).unwrap();
    let (exit, document) = report(folder.path());
    assert_eq!(exit, 0, "{document}");
    assert_eq!(document["verdict"], "1 of 3 checks pass, 1 fail");
}

/// One check of each outcome, in the folder of its own that `assay nn --check --out` is given.
fn of_nn(folder: &Path, outcome: &str) {
    let record = value!({
        "nn": 1, "passed": outcome == "pass",
        "cells": [
            {"engine": "wasmi", "backend": "onnx", "outputs": [["mlp", "00"]], "findings": [
                {"check": "model mlp", "outcome": outcome, "detail": "index 3: <b>1</b> & 2"},
                {"check": "model swiglu", "outcome": "pass", "detail": ""},
            ]},
            {"engine": "wasmi", "backend": "planted", "outputs": [], "findings": [
                {"check": "panics", "outcome": "unsupported", "detail": "why not"},
            ]},
        ],
        "disagreements": if outcome == "pass" { vec![] } else { vec!["mlp: onnx differs between engines"] },
        "left_out": [{"what": "onnxruntime", "outcome": "absent", "reason": "no library"}],
    });
    let inner = folder.join("nn");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("nn.json"), record.to_string()).unwrap();
}

#[test]
fn wasi_nn_is_a_section_of_every_form_and_alone_its_verdict() {
    for (outcome, verdict) in [
        ("pass", "2 of 3 checks pass, 0 fail"),
        ("fail", "1 of 3 checks pass, 1 fail; 1 outputs disagree"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        of_nn(folder.path(), outcome);
        let (exit, document) = report(folder.path());
        assert_eq!(exit, 0, "{document}");
        assert_eq!(document["verdict"], verdict);
        let read =
            |name: &str| fs::read_to_string(folder.path().join("report").join(name)).unwrap();
        let (html, markdown, junit) = (read("index.html"), read("summary.md"), read("junit.xml"));
        let fails = outcome == "fail";
        assert_eq!(html.contains("1 of 2: fail"), fails);
        assert_eq!(markdown.contains("1 of 2: fail"), fails);
        assert_eq!(junit.contains("<failure"), fails);
        assert_eq!(html.contains("mlp: onnx differs between engines"), fails);
        assert!(html.contains("id=\"nn\"") && !html.contains("<b>1</b>"));
        assert!(markdown.contains("0 of 1: unsupported") && html.contains("why not"));
        assert!(html.contains("onnxruntime is absent: no library") && junit.contains("<skipped"));
    }
}

#[test]
fn wasi_nn_stands_beside_the_verdict_of_a_qualification() {
    let folder = tempfile::tempdir().unwrap();
    records(folder.path(), "pass");
    of_nn(folder.path(), "fail");
    let (exit, document) = report(folder.path());
    assert_eq!(exit, 0, "{document}");
    assert!(
        document["verdict"]
            .as_str()
            .unwrap()
            .starts_with("qualified")
    );
    let markdown = fs::read_to_string(folder.path().join("report/summary.md")).unwrap();
    assert!(
        markdown.contains("1 of 3 checks pass, 1 fail"),
        "{markdown}"
    );
}
