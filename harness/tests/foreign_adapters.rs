//! Adapters in other languages, and the self-test that any adapter can be put to. What is not installed here is passed over with a
//! line on stderr that says so: it counts as nothing.

#![cfg(not(target_family = "wasm"))] // starts processes, which WebAssembly has not
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

mod support;

use assay_worker::{Launch, Remote};
use runtime_api::{Budget, BudgetKind, Error, Limits, Options, Runtime};
use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use support::{adapter, core_pack, json, root};

/// Says why a test does nothing, past the test runner's capture.
fn pass_over(what: &str, reason: &str) {
    let line = format!("foreign_adapters: {what} is not tested: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// `--adapter` for an interpreter and a file below `adapters/`.
fn from_file(name: &str, interpreter: &str, file: &str) -> String {
    let path = root().join("adapters").join(file);
    format!(
        "{name}={interpreter} {}",
        shlex::try_quote(path.to_str().unwrap()).unwrap()
    )
}

/// A Python that has the package, or `None` after saying so. `ASSAY_PYTHON` names another than `python3`.
fn python_with(package: &str) -> Option<String> {
    let python = std::env::var("ASSAY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if runs(&python, &["-c", &format!("import {package}")]) {
        return Some(python);
    }
    pass_over(
        package,
        &format!("`{python}` does not have the package `{package}`"),
    );
    None
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
        "swiglu_f32",
        "--kernel",
        "kv_pack_q8",
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

#[test]
fn the_v8_of_node_passes_the_suite_and_qualifies() {
    if !runs("node", &["--version"]) {
        pass_over("node.v8", "there is no `node` on the path");
        return;
    }
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

#[test]
fn wasmtime_over_python_passes_the_suite_and_qualifies() {
    let Some(python) = python_with("wasmtime") else {
        return;
    };
    let adapter = from_file("wasmtime.python", &python, "python/wasmtime_adapter.py");
    let (exit, engine) = check(&adapter, "wasmtime.python");
    assert_eq!(exit, 0, "{engine:#}");
    qualify(&adapter, "wasmtime.python");
}

#[test]
fn pywasm_is_found_not_to_conform_and_the_instructions_are_named() {
    let Some(python) = python_with("pywasm") else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let (exit, document) = json(&[
        "conform",
        core_pack().to_str().unwrap(),
        "--adapter",
        &from_file("pywasm", &python, "python/pywasm_adapter.py"),
        "--runtime",
        "pywasm",
        "--runtime",
        "wasmi",
        "--kernel",
        "kv_unpack_q8",
        "--cases",
        "1",
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

#[test]
fn a_call_that_overruns_its_budget_ends_with_its_worker_and_the_next_module_has_a_new_one() {
    let command = adapter("hang");
    let (_, words) = command.split_once('=').unwrap();
    let (program, behaviour) = words.rsplit_once(' ').unwrap();
    let remote = Remote::start(&Launch {
        id: "liar.hang".to_owned(),
        program: program.into(),
        arguments: vec![behaviour.into()],
        states_id: false,
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
