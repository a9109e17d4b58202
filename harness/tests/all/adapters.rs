//! Engines from outside: an honest adapter passes, lies and accidents are found, and none of them harms the run.

use crate::support::{adapter, core_pack, failing_layers, json};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A short run over one kernel on the adapter and on wasmi.
fn run(command: &str, behaviour: &str) -> (i32, Value) {
    let out = tempfile::tempdir().unwrap();
    let adapter = adapter(behaviour);
    let mut line = vec![command];
    if command == "qualify" {
        // How late engines stop is for another test: it takes long, and depends on the machine.
        line.extend(["--interruptions", "0"]);
    }
    let runtime = format!("liar.{behaviour}");
    let pack = core_pack();
    line.extend([
        pack.to_str().unwrap(),
        "--adapter",
        &adapter,
        "--runtime",
        &runtime,
        "--runtime",
        "wasmi",
        "--kernel",
        "swiglu_f32",
        "--cases",
        "4",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    json(&line)
}

fn verdict_of<'a>(document: &'a Value, engine: &str) -> &'a Value {
    document["engines"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["id"] == engine)
        .unwrap()
}

#[test]
fn an_honest_adapter_qualifies() {
    let (exit, document) = run("qualify", "honest");
    assert_eq!(
        verdict_of(&document, "liar.honest")["verdict"],
        "qualified",
        "{document:#}"
    );
    assert_eq!(document["verdict"], "qualified");
    assert_eq!(exit, 0);
}

#[test]
fn an_engine_that_leaks_does_not_qualify_and_the_verdict_says_why() {
    let (exit, document) = run("qualify", "leak");
    assert_eq!(exit, 1);
    let liar = verdict_of(&document, "liar.leak");
    assert_eq!(liar["verdict"], "not-qualified");
    let reasons = liar["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 1, "{reasons:#?}");
    let reason = reasons[0].as_str().unwrap();
    assert!(
        reason.starts_with("traps, memory after traps: fail: "),
        "{reason}"
    );
    assert_eq!(verdict_of(&document, "wasmi")["verdict"], "qualified");
}

#[test]
fn a_lost_sign_of_zero_is_found_and_the_instruction_named() {
    for command in ["conform", "qualify"] {
        let (exit, document) = run(command, "lost-zero-sign");
        assert_eq!(exit, 1, "{command}");
        let reasons = document["numerics"][1]["findings"].as_array().unwrap();
        assert_eq!(document["numerics"][1]["runtime"], "liar.lost-zero-sign");
        assert_eq!(reasons.len(), 1, "{reasons:#?}");
        assert_eq!(reasons[0]["operation"], "f32.min");
        let detail = reasons[0]["detail"].as_str().unwrap();
        assert!(
            detail.starts_with(
                "f32.min(0x00000000 = 0.0, 0x80000000 = -0.0) gives 0x00000000 = 0.0 where 0x80000000 = -0.0 is due"
            ),
            "{detail}"
        );
        assert_eq!(
            document["numerics"][0]["findings"],
            Value::Array(Vec::new()),
            "the honest engine is not blamed"
        );
    }
    let (_, document) = run("qualify", "lost-zero-sign");
    let liar = verdict_of(&document, "liar.lost-zero-sign");
    assert_eq!(liar["verdict"], "not-qualified");
    assert!(liar["reasons"][0].as_str().unwrap().contains("f32.min"));
    assert_eq!(verdict_of(&document, "wasmi")["verdict"], "qualified");
}

#[test]
fn an_engine_without_simd_qualifies_and_says_what_it_lacks() {
    let (exit, document) = run("qualify", "no-simd");
    assert_eq!(exit, 0, "{:#}", document["engines"]);
    let (wasmi, less) = (&document["numerics"][0], &document["numerics"][1]);
    let held = |summary: &Value| summary["held"].as_u64().unwrap();
    let unsupported = less["unsupported"].as_u64().unwrap();
    assert!(unsupported > 200, "{less:#}");
    assert_eq!(held(less) + unsupported, held(wasmi));
    assert_eq!(
        less["because"],
        serde_json::json!(["the engine does not list the feature `simd`"])
    );
}

#[test]
fn constants_folded_wrongly_are_found() {
    let (exit, document) = run("conform", "wrong-folding");
    assert_eq!(exit, 1);
    let findings = document["numerics"][1]["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0]["operation"], "i32.add");
    let detail = findings[0]["detail"].as_str().unwrap();
    assert!(detail.contains("of constants gives"), "{detail}");
}

#[test]
fn stale_memory_is_found_by_its_results() {
    let (exit, document) = run("conform", "stale-memory");
    assert_eq!(exit, 1);
    let layers: Vec<_> = failing_layers(&document, "liar.stale-memory")
        .into_iter()
        .map(|(layer, _)| layer)
        .collect();
    for layer in ["L2", "L3", "L4", "L5"] {
        assert!(
            layers.iter().any(|found| found == layer),
            "{layer} of {layers:?}"
        );
    }
    assert!(
        failing_layers(&document, "wasmi").is_empty(),
        "the honest engine is not blamed"
    );
}

#[test]
fn a_swallowed_trap_is_found_by_the_basics() {
    let (exit, document) = run("qualify", "swallowed-trap");
    assert_eq!(exit, 1);
    let liar = verdict_of(&document, "liar.swallowed-trap");
    assert_eq!(liar["verdict"], "not-qualified");
    let reasons = liar["reasons"].to_string();
    for check in [
        "unreachable",
        "out-of-bounds load",
        "stack overflow",
        "endless loop",
    ] {
        assert!(reasons.contains(check), "{check} in {reasons}");
    }
    assert_eq!(verdict_of(&document, "wasmi")["verdict"], "qualified");
}

#[test]
fn denormals_that_are_flushed_are_found_by_the_basics_and_the_numeric_instructions() {
    let (exit, document) = run("qualify", "flushed-denormals");
    assert_eq!(exit, 1);
    let reasons = verdict_of(&document, "liar.flushed-denormals")["reasons"].to_string();
    for check in [
        "denormals are added",
        "a product becomes denormal",
        "f32.mul",
    ] {
        assert!(reasons.contains(check), "{check} in {reasons}");
    }
    let native = &document["basics"][0];
    assert_eq!(
        (&native["runtime"], &native["outcome"]),
        (&"native".into(), &"pass".into())
    );
}

#[test]
fn ignored_limits_are_found_by_the_basics() {
    let (exit, document) = run("qualify", "ignored-limits");
    assert_eq!(exit, 1);
    let reasons = verdict_of(&document, "liar.ignored-limits")["reasons"].to_string();
    assert!(reasons.contains("memory limit on growth"), "{reasons}");
    assert!(reasons.contains("memory too large at start"), "{reasons}");
}

#[test]
fn a_worker_that_dies_or_talks_nonsense_is_an_error_cell_and_the_run_ends() {
    for behaviour in ["crash", "nonsense"] {
        let start = Instant::now();
        let (exit, document) = run("conform", behaviour);
        assert_eq!(exit, 1, "{behaviour}");
        assert!(
            document["counts"]["error"].as_u64().unwrap() > 0,
            "{behaviour}"
        );
        assert!(failing_layers(&document, "wasmi").is_empty(), "{behaviour}");
        assert!(start.elapsed() < Duration::from_secs(60), "{behaviour}");
    }
}

#[test]
fn an_adapter_that_cannot_be_started_is_an_error_not_an_end() {
    let out = tempfile::tempdir().unwrap();
    let (exit, document) = json(&[
        "conform",
        core_pack().to_str().unwrap(),
        "--adapter",
        "ghost=/nonexistent/adapter",
        "--runtime",
        "ghost",
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
    assert!(document["counts"]["error"].as_u64().unwrap() > 0);
    assert!(failing_layers(&document, "wasmi").is_empty());
    let ghost = &document["numerics"][1];
    assert_eq!(
        (&ghost["held"], &ghost["holds"]),
        (&0.into(), &false.into())
    );
}
