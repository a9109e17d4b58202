//! `assay bench` on the real binary: what is measured was checked, what is wrong or refused has no number, and every table
//! follows from the records.

use crate::support::{adapter, assay, core_pack, json, pack_of, root};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The shortest run there is.
const SHORT: [&str; 5] = ["--quick", "--processes", "1", "--time", "0.0005"];

fn bench(pack: &Path, out: &Path, more: &[&str]) -> (i32, Value) {
    let mut arguments = vec![
        "bench",
        pack.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    arguments.extend(SHORT);
    arguments.extend(more);
    json(&arguments)
}

/// The records of a run, each line of which must be a JSON object.
fn records(out: &Path) -> Vec<Value> {
    fs::read_to_string(out.join("bench.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of<'a>(records: &'a [Value], kind: &str, runtime: &str) -> Vec<&'a Value> {
    records
        .iter()
        .filter(|record| record["record"] == kind && record["runtime"] == runtime)
        .collect()
}

#[test]
fn a_run_leaves_records_from_which_the_tables_follow() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let (exit, document) = bench(
        &core_pack(),
        &out,
        &["--runtime", "wasmi", "--kernel", "rmsnorm_f32"],
    );
    assert_eq!(exit, 0, "{:#}", document["not_measured"]);
    assert_eq!(document["verdict"], "pass");

    let records = records(&out);
    let run = &records[0];
    assert_eq!(run["record"], "run");
    for key in ["cpu", "os", "rustc", "harness", "command"] {
        assert!(!run["fingerprint"][key].is_null(), "{key}");
    }
    assert!(!run["pack"]["manifest_sha256"].as_str().unwrap().is_empty());
    assert_eq!(records.last().unwrap()["record"], "end");
    let samples = of(&records, "sample", "wasmi");
    for quantity in [
        "call",
        "hand",
        "validate",
        "compile",
        "lookup",
        "instantiate",
        "resolve",
        "memory",
        "first",
        "fetch",
        "drop",
        "path",
        "reuse",
        "write",
        "read",
        "batch",
        "in-place",
        "reset",
    ] {
        let fits =
            |sample: &&&Value| sample["quantity"] == quantity && sample["kernel"] == "rmsnorm_f32";
        assert!(samples.iter().any(|sample| fits(&sample)), "{quantity}");
    }
    for quantity in ["trap-1", "trap-1-call", "trap-1000", "trap-1000-call"] {
        let fits = |sample: &&&Value| {
            sample["quantity"] == quantity
                && sample["kernel"] == "trap"
                && sample["budget"] == "epoch"
        };
        assert!(samples.iter().any(|sample| fits(&sample)), "{quantity}");
    }
    for (quantity, kernel) in [
        ("smallest_pages", "rmsnorm_f32"),
        ("rss_per_instance_bytes", "rmsnorm_f32"),
        ("rss_per_used_instance_bytes", "empty"),
    ] {
        assert!(
            of(&records, "fact", "wasmi").iter().any(|fact| {
                fact["quantity"] == quantity
                    && fact["kernel"] == kernel
                    && fact["value"].as_u64() > Some(0)
            }),
            "{quantity}"
        );
    }
    for budget in ["none", "epoch", "fuel"] {
        assert!(samples.iter().any(|sample| sample["budget"] == budget));
    }
    assert!(samples.iter().any(|sample| sample["twin"] == "beside"));
    assert!(samples.iter().any(|sample| sample["twin"] == "apart"));
    assert!(!of(&records, "sample", "native").is_empty());
    assert!(
        of(&records, "fact", "wasmi")
            .iter()
            .any(|fact| fact["quantity"] == "fuel" && fact["value"].as_u64() > Some(1000))
    );

    let (exit, again) = json(&["bench", "--from", out.to_str().unwrap()]);
    assert_eq!(exit, 0);
    for key in [
        "times",
        "budgets",
        "kernels",
        "noise",
        "facts",
        "claims",
        "sentences",
    ] {
        assert_eq!(document[key], again[key], "{key}");
        assert!(!again[key].as_array().unwrap().is_empty(), "{key}");
    }
    // One process shows nothing about the next: nothing is claimed from it.
    assert!(
        again["budgets"]
            .as_array()
            .unwrap()
            .iter()
            .all(|budget| budget["ratio"]["word"] == "unsure")
    );
}

#[test]
fn what_is_emulated_is_checked_and_not_timed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let output = assay()
        .env("ASSAY_EMULATED", "1")
        .args(["bench", core_pack().to_str().unwrap(), "--quiet", "--json"])
        .args([
            "--runtime",
            "wasmi",
            "--kernel",
            "rmsnorm_f32",
            "--budget",
            "none",
        ])
        .args(["--out", out.to_str().unwrap()])
        .args(SHORT)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let records = records(&out);
    assert!(records.iter().all(|record| record["record"] != "sample"));
    let cells: Vec<_> = of(&records, "cell", "wasmi");
    assert!(cells.len() >= 3);
    for cell in cells {
        assert_eq!(cell["outcome"], "unsupported");
        let detail = cell["detail"].as_str().unwrap();
        assert!(detail.starts_with("not measured (emulated)"), "{detail}");
    }

    // A wrong kernel is found there all the same.
    let faulty = faulty_pack(folder.path());
    let out = folder.path().join("faulty");
    let output = assay()
        .env("ASSAY_EMULATED", "1")
        .args(["bench", faulty.to_str().unwrap(), "--quiet", "--json"])
        .args(["--runtime", "wasmi", "--out", out.to_str().unwrap()])
        .args(SHORT)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

/// The core pack's rmsnorm_f32 with eps outside the root.
fn faulty_pack(folder: &Path) -> PathBuf {
    let module = fs::read(root().join("fixtures/faulty/eps_outside_root.wasm")).unwrap();
    pack_of(folder, "rmsnorm_f32", &module, None)
}

/// No number of a runtime for a kernel, neither in records nor in tables; the cells fail.
fn assert_no_number(out: &Path, document: &Value, runtime: &str) {
    let records = records(out);
    let of_kernel = |record: &&&Value| record["kernel"] == "rmsnorm_f32";
    let samples = of(&records, "sample", runtime);
    let cells = of(&records, "cell", runtime);
    let calls: Vec<_> = cells
        .iter()
        .filter(of_kernel)
        .filter(|cell| cell["quantity"] == "call")
        .collect();
    assert!(!calls.is_empty());
    assert!(
        calls.iter().all(|cell| cell["outcome"] == "fail"),
        "{calls:#?}"
    );
    let timed = |quantity: &Value| {
        ["call", "hand", "path", "reuse"]
            .iter()
            .any(|q| quantity == q)
    };
    let numbers = samples
        .iter()
        .filter(of_kernel)
        .filter(|sample| timed(&sample["quantity"]))
        .count();
    assert_eq!(numbers, 0);
    let rows = document["kernels"].as_array().unwrap();
    assert!(
        rows.iter()
            .all(|row| row["runtime"] != runtime || row["kernel"] != "rmsnorm_f32")
    );
}

#[test]
fn a_kernel_that_is_wrong_has_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let pack = faulty_pack(folder.path());
    let out = folder.path().join("results");
    let (exit, document) = bench(&pack, &out, &["--runtime", "wasmi", "--budget", "none"]);
    assert_eq!(exit, 1);
    assert_eq!(document["verdict"], "fail");
    assert_no_number(&out, &document, "wasmi");
}

#[test]
fn a_trap_that_is_swallowed_has_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let swallows = adapter("swallowed-trap");
    let id = "liar.swallowed-trap";
    let kernel = ["--kernel", "rmsnorm_f32", "--budget", "none"];
    let mut more = vec!["--adapter", swallows.as_str(), "--runtime", id];
    more.extend(kernel);
    let (exit, _) = bench(&core_pack(), &out, &more);
    assert_eq!(exit, 1);
    let records = records(&out);
    let of_trap = |record: &&&Value| record["kernel"] == "trap";
    let samples = of(&records, "sample", id);
    assert_eq!(samples.iter().filter(of_trap).count(), 0);
    let cells = of(&records, "cell", id);
    let cells: Vec<_> = cells.iter().filter(of_trap).collect();
    assert!(!cells.is_empty());
    for cell in cells {
        assert_eq!(cell["outcome"], "fail");
        let detail = cell["detail"].as_str().unwrap();
        assert!(detail.contains("must trap returned 0"), "{detail}");
    }
}

/// Of a module that asks for three pages, two are too few, also on an engine that does not hold the limit and gives it three.
#[test]
fn the_smallest_memory_is_what_the_kernel_has_and_not_what_it_was_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = fs::read(core_pack().join("kernels/rmsnorm_f32.wasm")).unwrap();
    let text = wasmprinter::print_bytes(&wasm).unwrap();
    let larger = text.replace("(memory (;0;) 1", "(memory (;0;) 3");
    assert_ne!(larger, text);
    let module = wat::parse_str(larger).unwrap();
    let pack = pack_of(folder.path(), "rmsnorm_f32", &module, None);
    let ignores = adapter("ignored-limits");
    for (id, more) in [
        ("wasmi", Vec::new()),
        ("liar.ignored-limits", vec!["--adapter", ignores.as_str()]),
    ] {
        let out = folder.path().join(id);
        let mut arguments = vec!["--runtime", id, "--budget", "none"];
        arguments.extend(more);
        bench(&pack, &out, &arguments);
        let smallest: Vec<u64> = of(&records(&out), "fact", id)
            .iter()
            .filter(|fact| fact["quantity"] == "smallest_pages")
            .filter_map(|fact| fact["value"].as_u64())
            .collect();
        assert_eq!(smallest, [3], "{id}");
    }
}

#[test]
fn an_engine_that_returns_old_memory_has_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let (exit, document) = bench(
        &core_pack(),
        &out,
        &[
            "--adapter",
            &adapter("stale-memory"),
            "--runtime",
            "liar.stale-memory",
            "--kernel",
            "rmsnorm_f32",
            "--budget",
            "none",
        ],
    );
    assert_eq!(exit, 1);
    assert_no_number(&out, &document, "liar.stale-memory");
}

#[cfg(unix)]
#[test]
fn an_adapter_without_the_operation_is_unsupported_and_a_run_without_numbers_fails() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let honest = adapter("honest");
    let (_, command) = honest.split_once('=').unwrap();
    let plain = format!(
        "plain=sh -c '{command} | sed -u s/,.operations.:.[a-z0-9,\\\"]*./,\\\"operations\\\":[]/'"
    );
    let (exit, document) = bench(
        &core_pack(),
        &out,
        &[
            "--adapter",
            &plain,
            "--runtime",
            "plain",
            "--kernel",
            "kv_unpack_q8",
            "--budget",
            "none",
        ],
    );
    let reasons = document["not_measured"].as_array().unwrap();
    assert!(!reasons.is_empty(), "{document:#}");
    for cell in reasons {
        assert_eq!(
            cell["reason"],
            "the adapter does not know the optional operation `time`"
        );
        assert_eq!(cell["outcome"], "unsupported");
    }
    assert_eq!(exit, 1, "no engine that was asked for has a number");
}

#[test]
fn an_engine_that_does_not_start_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let more = [
        "--adapter",
        "gone=/no/such/adapter",
        "--runtime",
        "gone",
        "--kernel",
        "kv_unpack_q8",
    ];
    let (exit, document) = bench(&core_pack(), &out, &more);
    assert_eq!((exit, &document["verdict"]), (1, &Value::from("fail")));
    assert!(
        document["not_measured"]
            .as_array()
            .unwrap()
            .iter()
            .any(|cell| cell["outcome"] == "error" && cell["runtime"] == "gone")
    );
}

#[test]
fn damaged_records_are_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.jsonl");
    let run = r#"{"record":"run","format":1,"fingerprint":{"cpu":"c","cores":1,"governor":"g","os":"o","architecture":"a","rustc":"r","build":"b","harness":"h","command":[],"began":"t"},"pack":{"name":"n","version":"1.0.0","key":"k","manifest_sha256":"00"},"seed":1,"processes":1,"seconds":0.1,"quick":true,"budgets":["none"],"warm_up":"w","absent":[]}"#;
    let sample = r#"{"record":"sample","runtime":"x","kernel":"k","variant":"base","case":"c","budget":"none","quantity":"call","process":0,"round":1,"nanoseconds":5,"iterations":0}"#;
    for (content, says) in [
        (String::new(), "line 1 describes no run"),
        ("no json\n".to_owned(), "line 1"),
        (format!("{run}\n{run}\n"), "line 2"),
        (
            format!("{run}\n{sample}\n"),
            "line 2: a batch of no time or no iterations",
        ),
        (
            format!("{run}\n{}", &sample[..40]),
            "line 2: it does not end",
        ),
        (format!("{run}\n{{\"record\":\"guess\"}}\n"), "line 2"),
        (
            run.replace("\"format\":1", "\"format\":9") + "\n",
            "format 9",
        ),
    ] {
        fs::write(&file, &content).unwrap();
        let output = assay()
            .args(["bench", "--from", folder.path().to_str().unwrap()])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(says), "{says}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    // Records that end early make tables, and no pass.
    fs::write(&file, format!("{run}\n")).unwrap();
    let (exit, document) = json(&["bench", "--from", folder.path().to_str().unwrap()]);
    assert_eq!((exit, &document["verdict"]), (1, &Value::from("fail")));
}
