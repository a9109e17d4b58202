//! `assay conform`, `qualify` and `list` as a user meets them: vectors never seen, bad input, exit codes.

use crate::support::{assay, core_pack, json, root, thorough};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;
use std::{fs, path::Path};

/// A vector file that no pack lists: two kv_unpack_q8 cases worked out by hand (q * d).
fn vectors(folder: &Path, last_byte: &str) {
    let block = |scale: &str| format!("{scale}{}", "01".repeat(31) + "fe");
    let one = "0000803f".repeat(31) + "000000c0"; // 1.0 x 31, -2.0
    let half = "0000003f".repeat(31) + "000080" + last_byte; // 0.5 x 31, -1.0
    let case = |name: &str, packed: String, y: String| {
        serde_json::json!({
            "name": name, "class": "normal", "params": {"rows": 1, "dim": 32},
            "inputs": {"packed": {"dtype": "u8", "shape": [1, 34], "hex": packed}},
            "outputs": {"gguf": {"dtype": "f32", "shape": [1, 32], "hex": y}},
        })
    };
    let file = serde_json::json!({
        "kernel": "kv_unpack_q8", "formula": "y = q * d", "versions": {},
        "cases": [case("scale_one", block("003c"), one), case("scale_half", block("0038"), half)],
    });
    fs::write(folder.join("unseen.json"), file.to_string()).unwrap();
}

fn conform_with(folder: &Path) -> (i32, Value) {
    let out = tempfile::tempdir().unwrap();
    json(&[
        "conform",
        core_pack().to_str().unwrap(),
        "--vectors",
        folder.to_str().unwrap(),
        "--kernel",
        "kv_unpack_q8",
        "--runtime",
        "wasmi",
        "--cases",
        "1",
        "--out",
        out.path().to_str().unwrap(),
    ])
}

#[test]
fn vectors_never_seen_pass_and_one_changed_byte_fails_by_name() {
    let folder = tempfile::tempdir().unwrap();
    vectors(folder.path(), "bf");
    let (exit, document) = conform_with(folder.path());
    assert_eq!(
        (exit, &document["verdict"]),
        (0, &Value::from("pass")),
        "{document:#}"
    );

    vectors(folder.path(), "be");
    let (exit, document) = conform_with(folder.path());
    assert_eq!(exit, 1);
    let failing: Vec<_> = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| !entry["case"].is_null())
        .collect();
    let variants: Vec<_> = failing.iter().map(|entry| &entry["variant"]).collect();
    assert_eq!(variants, ["base", "simd"], "{failing:#?}");
    for entry in failing {
        let text = |key: &str| entry[key].as_str().unwrap();
        assert_eq!(text("layer"), "L5");
        assert!(text("case").contains("scale_half"));
        assert!(text("detail").contains("index 31"));
        assert!(text("repeat").starts_with("assay conform "));
    }
}

#[test]
fn the_command_that_repeats_a_failure_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    vectors(folder.path(), "be");
    let (_, document) = conform_with(folder.path());
    let repeat = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|entry| entry["repeat"].as_str())
        .unwrap();
    let words = shlex::split(repeat).unwrap();
    let out = tempfile::tempdir().unwrap();
    assay()
        .args(&words[1..])
        .args(["--out", out.path().to_str().unwrap()])
        .assert()
        .code(1)
        .stdout(contains("scale_half").and(contains("index 31")));
}

#[test]
fn bad_input_is_one_clear_error_with_its_exit_code() {
    let empty = tempfile::tempdir().unwrap();
    let core = core_pack();
    let core = core.to_str().unwrap();
    let no_list = empty.path().join("no_list");
    let file = empty.path().join("file");
    fs::write(&file, "").unwrap();
    let under_a_file = file.join("results");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let cases: [(&[&str], i32, &str); 9] = [
        (&["conform", &path(empty.path())], 3, "manifest-missing"),
        (&["qualify", core, "--trust", &path(&no_list)], 2, "no_list"),
        (&["conform", core, "--kernel", "nosuch"], 2, "`nosuch`"),
        (&["conform", core, "--runtime", "nosuch"], 2, "`nosuch`"),
        (
            &["conform", core, "--vectors", &path(empty.path())],
            2,
            "--vectors",
        ),
        (
            &["conform", core, "--case", "generated:99999"],
            2,
            "generated:99999",
        ),
        (&["conform", "/nonexistent/pack"], 2, "/nonexistent/pack"),
        (
            &["qualify", core, "--out", &path(&under_a_file)],
            5,
            "--out",
        ),
        (
            &["conform", core, "--adapter", "nonsense"],
            2,
            "NAME=COMMAND",
        ),
    ];
    for (arguments, code, what) in cases {
        let assert = assay()
            .args(arguments)
            .current_dir(empty.path())
            .assert()
            .code(code);
        let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(stderr.contains(what), "{arguments:?}: {stderr}");
        assert_eq!(
            stderr.trim_end().lines().count(),
            1,
            "{arguments:?}: {stderr}"
        );
    }
    let left: Vec<_> = fs::read_dir(empty.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "no_keys" && name != "file")
        .collect();
    assert!(left.is_empty(), "half-written: {left:?}");
}

#[test]
fn list_names_every_engine_ready_or_absent_with_a_way_to_add_it() {
    let (exit, document) = json(&["list"]);
    assert_eq!(exit, 0);
    let engines = document["engines"].as_array().unwrap();
    let ids: Vec<_> = engines
        .iter()
        .map(|engine| engine["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "wasmtime.cranelift",
            "wasmtime.pulley",
            "wasmtime.winch",
            "wasmi",
            "wasmi.fast",
            "wamr.fast",
            "wamr.aot",
            "wasmer.llvm"
        ]
    );
    for engine in engines {
        match engine["status"].as_str().unwrap() {
            "ready" => assert!(engine["version"].is_string() && engine["capabilities"].is_object()),
            "absent" => assert!(engine["reason"].is_string() && engine["command"].is_string()),
            other => panic!("{other}"),
        }
    }
    let (exit, document) = json(&["list", core_pack().to_str().unwrap()]);
    assert_eq!(exit, 0);
    assert_eq!(document["kernels"].as_array().unwrap().len(), 13);
}

#[test]
fn the_core_pack_qualifies_on_the_engines_that_need_nothing() {
    let out = tempfile::tempdir().unwrap();
    // One of each form, unless all are wanted: all of them on all engines is `make qualify`.
    let asked: &[&str] = if thorough() {
        &["*"]
    } else {
        &["rmsnorm_f16", "kv_pack_q8", "lora_apply_f32"]
    };
    let chosen: Vec<&str> = asked.iter().flat_map(|id| ["--kernel", id]).collect();
    let pack = core_pack();
    let words = [
        "qualify",
        pack.to_str().unwrap(),
        "--runtime",
        "wasmi",
        "--runtime",
        "wasmtime.*",
        "--cases",
        "4",
        "--interruptions",
        "2",
        // Tests of the search are those of coverage_cli.
        "--search",
        "0",
        "--out",
        out.path().to_str().unwrap(),
    ];
    let (exit, document) = json(&[&words[..], &chosen].concat());
    assert_eq!(
        document["verdict"], "qualified",
        "{:#}",
        document["engines"]
    );
    assert_eq!(exit, 0);
    let conform = &document["conform"];
    for layer in ["L1", "L2", "L3", "L4", "L5", "L6"] {
        for kernel in conform["results"].as_array().unwrap() {
            assert_ne!(kernel["outcome"], "fail", "{kernel}");
        }
        let passed: u64 = conform["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["layer"] == layer)
            .map(|entry| entry["passed"].as_u64().unwrap())
            .sum();
        assert!(passed > 0, "{layer} has no pass");
    }
    let kernels: std::collections::BTreeSet<_> = conform["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kernel"].as_str().unwrap())
        .collect();
    assert_eq!(kernels.len(), if thorough() { 13 } else { asked.len() });
    for file in [
        "qualify.json",
        "conform.json",
        "basics.json",
        "numerics.json",
        "results.jsonl",
    ] {
        assert!(out.path().join(file).exists(), "{file}");
    }
}

#[test]
fn progress_and_colour_stay_off_where_there_is_no_terminal() {
    let out = tempfile::tempdir().unwrap();
    let output = assay()
        .current_dir(root())
        .args(["conform", "fixtures/packs/core", "--kernel", "kv_unpack_q8"])
        .args(["--runtime", "wasmi", "--cases", "1", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!output.stdout.contains(&0x1b));
}
