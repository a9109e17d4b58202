//! Kernels and adapters that are fast only because they are timed: no number, and the reason is that it is suspicious.

use crate::{
    alone,
    support::{adapter, core_pack, json, pack_of, with_prologue},
};
use serde_json::Value;
use std::{fs, path::Path};

const KERNEL: &str = "swiglu_f32";

/// Globals for the prologues.
const GLOBALS: &str = "(global $call (mut i32) (i32.const 0))
    (global $input (mut i32) (i32.const 0))
    (global $output (mut i32) (i32.const 0))";

/// Returns at once where descriptor, first input and output are those of the last call.
const SKIPS: &str = "local.get 0 global.get $call i32.eq
    local.get 0 i32.load i32.load global.get $input i32.eq i32.and if
        local.get 0 i32.load offset=16 i32.load global.get $output i32.eq if
            i32.const 0 return
        end
    end
    local.get 0 global.set $call
    local.get 0 i32.load i32.load global.set $input
    local.get 0 i32.load offset=16 i32.load global.set $output";

/// Keeps as much of each call, and computes all of them.
const COMES_CLOSE: &str = "local.get 0 global.set $call
    local.get 0 i32.load i32.load global.set $input
    local.get 0 i32.load offset=16 i32.load global.set $output";

fn bench(pack: &Path, more: &[&str]) -> (i32, Value, Vec<Value>) {
    let out = tempfile::tempdir().unwrap();
    let mut arguments = vec![
        "bench",
        pack.to_str().unwrap(),
        "--out",
        out.path().to_str().unwrap(),
        "--kernel",
        KERNEL,
        "--budget",
        "none",
        "--quick",
        "--processes",
        "1",
    ];
    arguments.extend(more);
    let (exit, document) = json(&arguments);
    let records = fs::read_to_string(out.path().join("bench.jsonl")).unwrap();
    let records = records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (exit, document, records.collect())
}

/// Outcome and detail of the timed call of the kernel on an engine.
fn call(records: &[Value], runtime: &str) -> (String, String) {
    let cell = records
        .iter()
        .find(|record| {
            record["record"] == "cell"
                && record["runtime"] == runtime
                && record["kernel"] == KERNEL
                && record["quantity"] == "call"
        })
        .unwrap();
    let text = |key: &str| cell[key].as_str().unwrap_or_default().to_owned();
    (text("outcome"), text("detail"))
}

#[test]
fn a_kernel_that_skips_what_looks_like_the_last_call_is_suspicious() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(core_pack().join(format!("kernels/{KERNEL}.wasm"))).unwrap();
    for (code, outcome) in [(SKIPS, "fail"), (COMES_CLOSE, "pass")] {
        let pack = pack_of(
            folder.path(),
            KERNEL,
            &with_prologue(&module, code, GLOBALS),
            None,
        );
        let more = ["--runtime", "wasmtime.cranelift", "--time", "0.0005"];
        let (exit, document, records) = bench(&pack, &more);
        let (seen, detail) = call(&records, "wasmtime.cranelift");
        assert_eq!(seen, outcome, "{detail}");
        if outcome == "fail" {
            assert_eq!((exit, &document["verdict"]), (1, &Value::from("fail")));
            assert!(detail.starts_with("suspicious: a call takes "), "{detail}");
            assert!(detail.ends_with("on 16 different ones"), "{detail}");
        }
    }
}

#[test]
fn an_adapter_that_reports_a_twentieth_of_the_time_is_suspicious_and_an_honest_one_is_not() {
    let _alone = alone();
    for (behaviour, lies) in [("twentieth", true), ("honest", false)] {
        let (runtime, adapter) = (format!("liar.{behaviour}"), adapter(behaviour));
        let more = [
            "--adapter",
            &adapter,
            "--runtime",
            &runtime,
            "--time",
            "0.3",
        ];
        let (_, _, records) = bench(&core_pack(), &more);
        // A cell may be too short to tell.
        let suspicious = records.iter().any(|record| {
            let detail = record["detail"].as_str().unwrap_or_default();
            detail.starts_with("suspicious: the worker reports ")
        });
        assert_eq!(suspicious, lies, "{behaviour}");
    }
}
