//! Adapters in other languages, and the self-test that any adapter can be put to. Tests whose means are not everywhere are ignored:
//! scripts/test-ignored runs those whose means are here.

use crate::support::{adapter, core_pack, json, root, thorough};
use serde_json::Value;

/// `--adapter` for an interpreter and a file below `adapters/`.
fn from_file(name: &str, interpreter: &str, file: &str) -> String {
    let path = root().join("adapters").join(file);
    format!(
        "{name}={interpreter} {}",
        shlex::try_quote(path.to_str().unwrap()).unwrap()
    )
}

/// `ASSAY_PYTHON` names another Python than `python3`.
fn python() -> String {
    std::env::var("ASSAY_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

fn check(adapter: &str, id: &str) -> (i32, Value) {
    let (exit, document) = json(&["adapter-check", "--adapter", adapter, "--runtime", id]);
    (exit, document["engines"][0].clone())
}

/// Names of the checks that ended like this.
fn checks<'a>(engine: &'a Value, outcome: &str) -> Vec<&'a str> {
    engine["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["outcome"] == outcome)
        .map(|check| check["name"].as_str().unwrap())
        .collect()
}

/// A few cases of a few kernels beside wasmi, basics included.
fn qualify(adapter: &str, id: &str) {
    let out = tempfile::tempdir().unwrap();
    let (exit, document) = json(&[
        "qualify",
        core_pack().to_str().unwrap(),
        "--adapter",
        adapter,
        "--runtime",
        id,
        "--runtime",
        "wasmi",
        "--kernel",
        if thorough() { "*" } else { "kv_pack_q8" },
        "--cases",
        "4",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    assert_eq!(exit, 0, "{document:#}");
    let engines = document["engines"].as_array().unwrap();
    let engine = engines.iter().find(|engine| engine["id"] == id).unwrap();
    assert_eq!(engine["verdict"], "qualified");
}

mod needs_node {
    use super::{check, checks, from_file, qualify};

    #[test]
    #[ignore = "needs node"]
    fn the_v8_of_node_passes_the_suite_and_qualifies() {
        let adapter = from_file("node.v8", "node", "node-v8/adapter.mjs");
        let (exit, engine) = check(&adapter, "node.v8");
        assert_eq!(exit, 0, "{engine:#}");
        assert!(
            checks(&engine, "unsupported")
                .iter()
                .all(|name| name.starts_with("budget.fuel.")
                    || name.starts_with("refusal.proposal.")
                    || *name == "limit.stack"),
            "{engine:#}"
        );
        qualify(&adapter, "node.v8");
    }
}

mod needs_python_wasmtime {
    use super::{check, from_file, python, qualify};

    #[test]
    #[ignore = "needs a Python with the package `wasmtime`"]
    fn wasmtime_over_python_passes_the_suite_and_qualifies() {
        let adapter = from_file("wasmtime.python", &python(), "python/wasmtime_adapter.py");
        let (exit, engine) = check(&adapter, "wasmtime.python");
        assert_eq!(exit, 0, "{engine:#}");
        qualify(&adapter, "wasmtime.python");
    }
}

mod needs_python_pywasm {
    use super::{core_pack, from_file, json, python};

    #[test]
    #[ignore = "needs a Python with the package `pywasm`"]
    fn pywasm_is_found_not_to_conform_and_the_instructions_are_named() {
        let out = tempfile::tempdir().unwrap();
        let (exit, document) = json(&[
            "conform",
            core_pack().to_str().unwrap(),
            "--adapter",
            &from_file("pywasm", &python(), "python/pywasm_adapter.py"),
            "--runtime",
            "pywasm",
            "--runtime",
            "wasmi",
            "--kernel",
            "kv_unpack_q8",
            "--cases",
            "1",
            // All sequences take it two minutes. What is asked here are the instructions.
            "--module-time-limit",
            "8",
            "--out",
            out.path().to_str().unwrap(),
        ]);
        assert_eq!(exit, 1);
        let reasons = document["reasons"].to_string();
        for instruction in ["f32.min", "f32.nearest"] {
            assert!(
                reasons.contains(&format!("pywasm, numerics, {instruction}")),
                "{instruction} in {reasons}"
            );
        }
        assert!(!reasons.contains("wasmi, "), "{reasons}");
    }
}

#[test]
fn an_honest_adapter_passes_every_check_of_the_suite() {
    let (exit, engine) = check(&adapter("honest"), "liar.honest");
    assert_eq!(exit, 0, "{engine:#}");
    assert_eq!(
        checks(&engine, "pass").len(),
        engine["checks"].as_array().unwrap().len()
    );
}

#[test]
fn lies_and_deaths_are_found_by_the_suite() {
    for (behaviour, due) in [
        ("swallowed-trap", "trap.unreachable"),
        ("ignored-limits", "limit.memory.inside-grow"),
        ("stale-memory", "memory.read-write"),
        ("crash", "call.parameters"),
        ("nonsense", "call.parameters"),
    ] {
        let (exit, engine) = check(&adapter(behaviour), &format!("liar.{behaviour}"));
        assert_eq!(exit, 1, "{behaviour}");
        let failures = checks(&engine, "fail");
        assert!(failures.contains(&due), "{behaviour}: {failures:?}");
        assert!(
            !checks(&engine, "pass").is_empty(),
            "{behaviour}: the checks after a failure are made all the same"
        );
    }
}

mod needs_ggml {
    use super::{core_pack, from_file, json, python};
    use serde_json::Value;

    #[test]
    #[ignore = "needs a Python with the package `pywhispercpp`, which brings ggml"]
    fn native_code_of_others_is_a_yardstick_and_what_it_lacks_is_unsupported() {
        let out = tempfile::tempdir().unwrap();
        let ggml = from_file("native.ggml", &python(), "python/ggml_adapter.py");
        let pack = core_pack();
        let mut line = vec!["bench", pack.to_str().unwrap(), "--adapter", &ggml];
        line.extend([
            "--runtime",
            "native.ggml",
            "--runtime",
            "wasmtime.cranelift",
        ]);
        line.extend([
            "--kernel",
            "swiglu_f32",
            "--kernel",
            "kv_*",
            "--kernel",
            "rope_f16",
        ]);
        line.extend(["--budget", "none", "--processes", "1", "--time", "0.0005"]);
        line.extend(["--out", out.path().to_str().unwrap()]);
        let (exit, document) = json(&line);
        assert_eq!(exit, 0, "{:#}", document["not_measured"]);
        let kernels = document["kernels"].as_array().unwrap();
        let over: Vec<_> = (kernels.iter())
            .filter(|row| row["runtime"] == "wasmtime.cranelift" && row["size"] == "1MiB")
            .filter(|row| row["variant"] == "simd")
            .filter(|row| row["over_others"]["native.ggml"]["value"].is_number())
            .map(|row| row["kernel"].as_str().unwrap())
            .collect();
        let due = [
            "kv_pack_q4",
            "kv_pack_q8",
            "kv_unpack_q4",
            "kv_unpack_q8",
            "swiglu_f32",
        ];
        assert_eq!(over, due);
        let lines = std::fs::read_to_string(out.path().join("bench.jsonl")).unwrap();
        let records = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let rope = { records }.find(|record| {
            record["record"] == "cell"
                && record["runtime"] == "native.ggml"
                && record["kernel"] == "rope_f16"
        });
        let rope = rope.unwrap();
        assert_eq!(rope["outcome"], "unsupported", "{rope}");
        assert!(
            rope["detail"].as_str().unwrap().contains("angles"),
            "{rope}"
        );
    }
}
