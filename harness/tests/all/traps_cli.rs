//! `assay probe` and `assay traps` on the real binary.

use crate::support::{adapter, assay, json, root};
use predicates::prelude::*;
use serde_json::{Value, json as object};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn fixture(name: &str) -> String {
    let path = root().join(format!("fixtures/traps/{name}.wat"));
    path.to_str().unwrap().to_owned()
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path: PathBuf = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn probe(arguments: &[&str]) -> (i32, Value) {
    let mut line = vec!["probe", "--runtime", "wasmi"];
    line.extend(arguments);
    json(&line)
}

/// The only result without its time.
fn only(document: &Value) -> Value {
    let results = document["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    let mut result = results[0].clone();
    assert!(result["elapsed_ms"].as_f64().unwrap() >= 0.0);
    result.as_object_mut().unwrap().remove("elapsed_ms");
    result
}

#[test]
fn a_value_a_trap_and_a_refusal_look_as_documented() {
    let (exit, document) = probe(&[&fixture("returns")]);
    assert_eq!(exit, 0);
    assert_eq!(document["agree"], true);
    assert_eq!(
        only(&document),
        object!({"runtime": "wasmi", "outcome": "returned", "value": 42, "trap": null, "stage": null, "message": null})
    );
    let (_, document) = probe(&[&fixture("start-divide")]);
    let result = only(&document);
    assert_eq!(result["outcome"], "trap");
    assert_eq!(result["trap"], "IntegerDivideByZero");
    assert_eq!(result["stage"], "instantiate");
    let (_, document) = probe(&[&fixture("limit-memory-initial")]);
    let result = only(&document);
    assert_eq!(result["outcome"], "rejected");
    assert_eq!(result["trap"], "ResourceLimit");
    let (_, document) = probe(&[&fixture("limit-memory-initial"), "--raw"]);
    let result = only(&document);
    assert_eq!(result["outcome"], "trap");
    assert_eq!(result["trap"], "ResourceLimit");
}

#[test]
fn the_entry_is_found_and_takes_its_argument() {
    let folder = tempfile::tempdir().unwrap();
    let module = write(
        folder.path(),
        "module.wat",
        r#"(module
          (func (export "kernel_forward") (param i32) (result i32) (i32.sub (i32.const 0) (local.get 0)))
          (func (export "wide") (param i64) (result i32) (i32.const 1))
          (memory (export "memory") 3))"#,
    );
    let (_, document) = probe(&[&module, "--arg", "-7"]);
    assert_eq!(only(&document)["value"], 7);
    for entry in ["wide", "memory", "absent"] {
        let (exit, document) = probe(&[&module, "--entry", entry]);
        assert_eq!(only(&document)["outcome"], "rejected", "{entry}");
        assert_eq!(only(&document)["stage"], "call", "{entry}");
        assert_eq!(exit, 0, "{entry}: one engine agrees with itself");
    }
    let (_, document) = probe(&[&module, "--max-pages", "2"]);
    assert_eq!(only(&document)["outcome"], "rejected");
}

#[test]
fn what_cannot_be_read_is_usage_and_garbage_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let text = write(folder.path(), "broken.wat", "(module (func");
    let nested = write(folder.path(), "deep.wat", "(".repeat(200_000));
    for module in [
        "/nonexistent/module.wasm",
        folder.path().to_str().unwrap(),
        &text,
        &nested,
    ] {
        let output = assay()
            .args(["probe", module, "--runtime", "wasmi"])
            .assert();
        output
            .code(2)
            .stdout("")
            .stderr(predicate::str::starts_with(
                "assay: failed to read the module",
            ));
    }
    for bytes in [&b""[..], b"\0asm", b"(module)", b"\0asm\x01\0\0\0\xff"] {
        let module = write(folder.path(), "garbage.wasm", bytes);
        let (exit, document) = probe(&[&module]);
        assert_eq!(exit, 0);
        let result = only(&document);
        assert_eq!(result["outcome"], "rejected");
        assert!(
            result["message"]
                .as_str()
                .unwrap()
                .starts_with("pre-pass: module-malformed")
        );
        let (_, document) = probe(&[&module, "--raw"]);
        assert_eq!(only(&document)["outcome"], "rejected", "{bytes:?}");
    }
}

#[test]
fn an_absent_engine_that_is_asked_for_is_exit_4() {
    let module = fixture("returns");
    let output = assay()
        .args(["probe", &module, "--runtime", "wamr.fast"])
        .output()
        .unwrap();
    if !output.status.success() {
        assert_eq!(output.status.code(), Some(4));
    }
    assay()
        .args(["probe", &module, "--runtime", "nobody"])
        .assert()
        .code(2);
}

#[test]
fn engines_that_end_otherwise_do_not_agree() {
    let (exit, document) = json(&[
        "probe",
        &fixture("unreachable"),
        "--adapter",
        &adapter("swallowed-trap"),
        "--runtime",
        "wasmi",
        "--runtime",
        "liar.*",
    ]);
    assert_eq!(exit, 1);
    assert_eq!(document["agree"], false);
    assert_eq!(document["results"].as_array().unwrap().len(), 2);
}

#[test]
fn the_deadlines_of_an_engine_without_budgets_are_in_the_matrix_and_its_fuel_is_not() {
    let (exit, document) = traps("liar.no-budgets", &[adapter("no-budgets")]);
    assert_eq!(exit, 0, "{document:#}");
    for one in document["results"].as_array().unwrap() {
        let fuel = one["case"].as_str().unwrap().contains("fuel");
        let due = if fuel { "unsupported" } else { "pass" };
        assert_eq!(one["outcome"], due, "{one:#}");
        assert_eq!(fuel, one["seen"] == "unsupported");
        let lost = one["class"] == "EpochDeadline" || fuel;
        assert_eq!(one["fresh"] == "unknown", lost, "{one:#}");
    }
}

#[test]
fn workers_that_do_not_speak_the_protocol_are_crashed_cells() {
    let (exit, document) = json(&[
        "probe",
        &fixture("returns"),
        "--adapter",
        "echo=cat",
        "--adapter",
        "flood=yes",
        "--adapter",
        "ghost=/nonexistent/adapter",
        "--runtime",
        "wasmi",
        "--runtime",
        "echo",
        "--runtime",
        "flood",
        "--runtime",
        "ghost",
    ]);
    assert_eq!(exit, 1);
    assert_eq!(document["agree"], false);
    let outcomes: Vec<&str> = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["returned", "crashed", "crashed", "crashed"]);
}

fn traps(engine: &str, adapters: &[String]) -> (i32, Value) {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("results");
    let mut line = vec![
        "traps",
        "--runtime",
        engine,
        "--out",
        folder.to_str().unwrap(),
    ];
    for adapter in adapters {
        line.extend(["--adapter", adapter]);
    }
    let (exit, document) = json(&line);
    let lines = fs::read_to_string(folder.join("traps.jsonl")).unwrap();
    let results = document["results"].as_array().unwrap();
    let checks = document["checks"].as_array().unwrap();
    assert_eq!(lines.lines().count(), results.len() + checks.len());
    assert!(folder.join("traps.json").exists());
    (exit, document)
}

fn outcomes(document: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    document["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (text(&one["case"]), text(&one["outcome"])))
        .collect()
}

#[test]
fn wasmi_produces_every_class() {
    let (exit, document) = traps("wasmi", &[]);
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(document["verdict"], "pass");
    let normalised: Vec<String> = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap();
            format!(
                "{} / {}: {} -> {} ({}; fresh instance {}, other module {})",
                text("class"),
                text("case"),
                text("expected"),
                text("seen"),
                text("outcome"),
                text("fresh"),
                text("bystander")
            )
        })
        .collect();
    insta::assert_snapshot!(normalised.join("\n"));
}

#[test]
fn a_swallowed_trap_fails_every_case_that_traps_in_a_call_and_no_other() {
    let (exit, document) = traps("liar.swallowed-trap", &[adapter("swallowed-trap")]);
    assert_eq!(exit, 1);
    assert_eq!(document["verdict"], "fail");
    for one in document["results"].as_array().unwrap() {
        let lie = one["expected"].as_str().unwrap().starts_with("call ");
        assert_eq!(one["outcome"], if lie { "fail" } else { "pass" }, "{one:#}");
    }
}

#[test]
fn a_leak_and_inexact_fuel_are_found_and_nothing_else() {
    let behaviours = ["honest", "leak", "loose-fuel", "no-budgets"];
    let (exit, document) = traps("liar.*", &behaviours.map(adapter));
    assert_eq!(exit, 1);
    let checks = document["checks"].as_array().unwrap();
    let found: Vec<[&str; 3]> = checks
        .iter()
        .map(|check| ["runtime", "check", "outcome"].map(|key| check[key].as_str().unwrap()))
        .filter(|[_, _, outcome]| *outcome != "pass")
        .collect();
    assert_eq!(
        found,
        [
            ["liar.leak", "memory after traps", "fail"],
            ["liar.loose-fuel", "exact fuel", "fail"],
            ["liar.no-budgets", "exact fuel", "unsupported"],
        ],
        "{checks:#?}"
    );
    assert_eq!(checks.len(), 12);
    // Nothing but a thousand traps shows a leak.
    let results = document["results"].as_array().unwrap();
    let leaks = results.iter().filter(|one| one["runtime"] == "liar.leak");
    assert!(leaks.into_iter().all(|one| one["outcome"] == "pass"));
}

#[test]
fn ignored_limits_are_found() {
    let (exit, document) = traps("liar.ignored-limits", &[adapter("ignored-limits")]);
    assert_eq!(exit, 1);
    // A machine that is too busy for deadlines must not fail this.
    let mut failed: Vec<&str> = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["class"] == "ResourceLimit" && one["outcome"] != "pass")
        .map(|one| one["case"].as_str().unwrap())
        .collect();
    failed.sort_unstable();
    assert_eq!(
        failed,
        [
            "limit-memory-grow",
            "limit-memory-initial",
            "limit-memory-refusals",
            "limit-memory-refusals-fuel",
            "limit-memory-refusals-unlimited"
        ]
    );
}

#[test]
fn an_engine_that_cannot_be_started_is_an_error_and_the_command_ends() {
    let (exit, document) = traps("ghost", &["ghost=/nonexistent/adapter".to_owned()]);
    assert_eq!(exit, 1);
    assert_eq!(document["engines"][0]["status"], "failed");
    assert!(
        outcomes(&document)
            .values()
            .all(|outcome| outcome == "error")
    );
}

#[test]
fn interruptions_are_measured() {
    let out = tempfile::tempdir().unwrap();
    let (_, document) = json(&[
        "traps",
        "--runtime",
        "wasmi",
        "--latency",
        "--interruptions",
        "3",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    let latency = document["latency"].as_array().unwrap();
    assert_eq!(latency.len(), 4);
    for one in latency {
        // How late it is depends on the machine; that it ends does not.
        let ended = ["interruptions", "killed"].map(|key| one[key].as_u64().unwrap());
        assert_eq!(ended.iter().sum::<u64>(), 3, "{one:#}");
        assert!(ended[0] == 0 || one["p50_ms"].as_f64() <= one["max_ms"].as_f64());
    }
}

#[test]
fn every_fixture_is_in_the_binary() {
    let mut files: Vec<String> = fs::read_dir(root().join("fixtures/traps"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    let mut cases: Vec<String> = assay::traps::cases()
        .unwrap()
        .iter()
        .map(|case| case.name.to_owned())
        .collect();
    cases.sort();
    assert_eq!(files, cases);
}
