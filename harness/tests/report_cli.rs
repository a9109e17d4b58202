//! `assay report` as a user meets it: made from recorded files alone, and honest about what does not pass.

#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

mod support;

use serde_json::{Value, json as value};
use std::{fs, path::Path};
use support::json;

fn records(folder: &Path, outcome: &str) {
    let engine = |id: &str, status: &str, version: Value, reason: Value| value!({"id": id, "status": status, "version": version, "reason": reason});
    let conform = value!({
        "verdict": if outcome == "pass" { "pass" } else { "fail" }, "seed": 7,
        "engines": [
            engine("wasmi", "ready", "2.0.0".into(), Value::Null),
            engine("wamr.fast", "absent", Value::Null, "the feature `wamr` is off".into()),
        ],
        "results": [{
            "runtime": "wasmi", "kernel": "rope_f32", "variant": "base", "source": "edge", "case": null, "layer": "L4",
            "outcome": outcome, "detail": "index 3: <b>1</b> & 2", "max_ulp": 1.5, "cases": 4, "passed": if outcome == "pass" { 4 } else { 3 },
        }],
        "numerics": [],
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
    assert!(html.contains("3 of 4: fails L4") && !html.contains("<b>1</b>"));
    assert!(markdown.contains("**not-qualified**") && markdown.contains("3 of 4: fails L4"));
    assert!(junit.contains("<failure") && junit.contains("&lt;b&gt;"));
    // An engine that is absent is there, with its reason.
    assert!(html.contains("wamr.fast is absent") && junit.contains("<skipped"));
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
