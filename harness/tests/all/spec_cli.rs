//! `assay spec` on the real binary.

#![cfg(feature = "wasmi")]

use crate::support::{adapter, assay, json};
use serde_json::Value;
use std::{fs, path::Path};
use tempfile::TempDir;

const RIGHT: &str = r#"(module
  (global $calls (mut i32) (i32.const 0))
  (func (export "count") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (global.get $calls))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "deep") (call 2)))
(assert_return (invoke "count") (i32.const 1))
(assert_trap (invoke "div" (i32.const 1) (i32.const 0)) "integer divide by zero")
(assert_return (invoke "count") (i32.const 2))
(assert_exhaustion (invoke "deep") "call stack exhausted")
(assert_return (invoke "count") (i32.const 3))
(assert_return (invoke "div" (i32.const 6) (i32.const 2)) (i32.const 3))
(assert_invalid (module (func (result i32))) "type mismatch")
"#;

fn scripts(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn spec(scripts: &Path, more: &[&str]) -> (i32, Value) {
    let out = tempfile::tempdir().unwrap();
    let mut arguments = vec!["spec", "--wast", scripts.to_str().unwrap()];
    arguments.extend(["--out", out.path().to_str().unwrap()]);
    if !more.contains(&"--runtime") {
        arguments.extend(["--runtime", "wasmi"]);
    }
    arguments.extend(more);
    json(&arguments)
}

fn lines(document: &Value, list: &str) -> Vec<(String, u64)> {
    document[list]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            (
                finding["file"].as_str().unwrap().to_owned(),
                finding["line"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn scripts_that_hold_pass_and_a_planted_mistake_fails() {
    let wrong = RIGHT.replace(
        "(i32.const 3))\n(assert_return (invoke \"div\"",
        "(i32.const 4))\n(assert_return (invoke \"div\"",
    );
    assert_ne!(wrong, RIGHT);
    let folder = scripts(&[
        ("right.wast", RIGHT),
        ("below/wrong.wast", &wrong),
        ("no.txt", "("),
    ]);
    let (exit, document) = spec(folder.path(), &["--file", "right.wast"]);
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(document["engines"][0]["pass"], 8);
    assert_eq!(document["engines"][0]["share"], 1.0);

    let (exit, document) = spec(folder.path(), &[]);
    assert_eq!(exit, 1);
    assert_eq!(document["suite"]["files"], 2);
    assert_eq!(
        lines(&document, "failures"),
        [("below/wrong.wast".to_owned(), 12)]
    );
    let failure = &document["failures"][0];
    // The state at this line is that of the two calls before, though the instance was lost twice.
    assert_eq!(failure["expected"], "i32 0x00000004");
    assert_eq!(failure["detail"], "i32 0x00000003");

    // The command that repeats it does.
    let repeat = shlex::split(failure["repeat"].as_str().unwrap()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let output = assay()
        .args(&repeat[1..])
        .args(["--json", "--out", out.path().to_str().unwrap()])
        .output()
        .unwrap();
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(again["suite"]["in_scope"], 1);
    assert_eq!(again["failures"][0]["detail"], failure["detail"]);
    let evidence = fs::read_to_string(out.path().join("spec.jsonl")).unwrap();
    let line: Value = serde_json::from_str(evidence.trim_end()).unwrap();
    assert_eq!((&line["in_scope"], &line["pass"]), (&1.into(), &0.into()));
    assert_eq!(line["others"][0]["detail"], failure["detail"]);
}

#[test]
fn traps_of_another_class_and_modules_that_are_accepted_fail() {
    let folder = scripts(&[(
        "a.wast",
        r#"(module (func (export "f") (unreachable)) (func (export "g")))
(assert_trap (invoke "f") "integer overflow")
(assert_trap (invoke "g") "unreachable")
(assert_trap (invoke "f") "a message that no table explains")
(assert_exhaustion (invoke "f") "call stack exhausted")
(assert_trap (module (memory 1) (data (i32.const 65536) "a")) "unreachable")
(assert_trap (module (memory 1) (data (i32.const 65536) "a")) "out of bounds memory access")
(assert_return (invoke "f"))
(assert_return (invoke "g"))
"#,
    )]);
    let (exit, document) = spec(folder.path(), &[]);
    assert_eq!(exit, 1);
    let failed: Vec<u64> = lines(&document, "failures")
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    assert_eq!(failed, [2, 3, 4, 5, 8, 6]);
    assert_eq!(document["failures"][2]["outcome"], "error");
    assert_eq!(document["engines"][0]["pass"], 3);
}

#[test]
fn the_ledger_explains_failures_and_must_itself_be_true() {
    let folder = scripts(&[(
        "a.wast",
        "(module (func (export \"f\") (result i32) (i32.const 1)))\n(assert_return (invoke \"f\") (i32.const 2))\n(assert_return (invoke \"f\") (i32.const 1))\n",
    )]);
    let ledger = |lines: &str, more: &str| {
        let text = format!(
            "[[expectation]]\ncheck = \"spec\"\nengine = \"wasm*\"\nfile = \"a.wast\"\nlines = {lines}\nreason = \"planted\"\n{more}\n"
        );
        let path = folder.path().join("expectations.toml");
        fs::write(&path, text).unwrap();
        spec(folder.path(), &["--expectations", path.to_str().unwrap()])
    };
    let (exit, document) = ledger("[2]", "");
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(document["engines"][0]["known_failure"], 1);
    assert_eq!(document["engines"][0]["pass"], 2);
    assert!(
        document["known_failures"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("planted")
    );

    let reason = |document: &Value| document["reasons"][0].as_str().unwrap().to_owned();
    let (exit, document) = ledger("[\"2-3\"]", "");
    assert_eq!(exit, 1);
    assert!(
        reason(&document).contains("a.wast:3 passes"),
        "{document:#}"
    );
    let (exit, _) = ledger("[\"2-3\"]", "unexpected_pass = \"allowed\"");
    assert_eq!(exit, 0);
    let (exit, document) = ledger("[2, 17]", "");
    assert_eq!(exit, 1);
    assert!(reason(&document).contains("no check ran"), "{document:#}");
    let (exit, document) = ledger("[2]", "version = \"0.0.1\"");
    assert_eq!(exit, 1);
    assert!(reason(&document).contains("version 0.0.1"), "{document:#}");

    let (exit, document) = ledger("[]", "");
    assert_eq!(exit, 2);
    assert!(
        document["error"]
            .as_str()
            .unwrap()
            .contains("lists nothing")
    );
}

#[test]
fn liars_are_caught_and_the_run_ends() {
    let folder = scripts(&[("a.wast", RIGHT)]);
    let liar = |behaviour: &str| {
        let adapter = adapter(behaviour);
        let id = format!("liar.{behaviour}");
        spec(folder.path(), &["--adapter", &adapter, "--runtime", &id])
    };
    let (exit, document) = liar("honest");
    assert_eq!(exit, 0, "{document:#}");

    let (exit, document) = liar("swallowed-trap");
    assert_eq!(exit, 1);
    let failed: Vec<u64> = lines(&document, "failures")
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    assert!(failed.contains(&9) && failed.contains(&11), "{document:#}");

    for (behaviour, word) in [("crash", "crashed"), ("nonsense", "crashed")] {
        let (exit, document) = liar(behaviour);
        assert_eq!(exit, 1);
        let first = document["failures"][0]["detail"].as_str().unwrap();
        assert!(first.contains(word), "{behaviour}: {document:#}");
    }

    let simd = scripts(&[(
        "simd.wast",
        "(module (func (export \"f\") (result v128) (v128.const i64x2 1 2)))\n(assert_return (invoke \"f\") (v128.const i64x2 1 2))\n(module (func (export \"f\")))\n(assert_return (invoke \"f\"))",
    )]);
    let adapter = adapter("no-simd");
    let (exit, document) = spec(
        simd.path(),
        &["--adapter", &adapter, "--runtime", "liar.no-simd"],
    );
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(document["engines"][0]["unsupported"], 2);
    assert_eq!(
        document["engines"][0]["unsupported_because"]["the engine lacks simd"],
        2
    );
}

#[test]
fn what_cannot_be_run_is_a_usage_error_that_says_why() {
    let usage = |folder: &TempDir, more: &[&str], words: &str| {
        let (exit, document) = spec(folder.path(), more);
        let error = document["error"].as_str().unwrap();
        assert_eq!(exit, 2, "{error}");
        assert!(error.contains(words), "{error}");
    };
    usage(&scripts(&[]), &[], "no file there ends in .wast");
    usage(&scripts(&[("a.wast", "(module (func)")]), &[], "a.wast:1:");
    usage(
        &scripts(&[("a.wast", "(module)\n(invoke \"f\")")]),
        &[],
        "a.wast:2: the module has no export `f`",
    );
    usage(
        &scripts(&[("a.wast", "(module (import \"x\" \"y\" (func)))")]),
        &[],
        "nothing to run",
    );
    usage(
        &scripts(&[("a.wast", RIGHT)]),
        &["--file", "b.wast"],
        "no script is called `b.wast`",
    );
    usage(
        &scripts(&[("a.wast", RIGHT)]),
        &["--file", "a.wast", "--line", "2"],
        "nothing to run",
    );
    let (exit, _) = json(&[
        "spec",
        "--wast",
        "/nonexistent/folder",
        "--runtime",
        "wasmi",
    ]);
    assert_eq!(exit, 2);
}
