//! Engines that are absent or do not start, as every command tells of them.

#![cfg(feature = "wasmi")]

use crate::support::{self, assay, json, root};
use serde_json::Value;

/// Runs a command on wasmi, `more` and `wamr.aot`, which is absent in every build where its compiler is not there; gives what it prints.
fn without_aot(arguments: &[&str], more: &[&str]) -> (String, Value) {
    let run = |json: bool| {
        let mut command = assay();
        command
            .args(arguments)
            .args(["--runtime", "wasmi", "--runtime", "wamr.a*", "--quiet"])
            .args(more)
            .env("ASSAY_WAMRC", "/nonexistent");
        if json {
            command.arg("--json");
        }
        command.output().unwrap().stdout
    };
    let text = String::from_utf8(run(false)).unwrap();
    (text, serde_json::from_slice(&run(true)).unwrap())
}

/// The command that adds the engine, or where no build can have it, the page that says so.
fn says_how(text: &str) -> bool {
    text.contains("; to add it: ") || text.contains("(docs/targets.md: which engine runs where)")
}

#[test]
fn probe_says_how_to_add_an_engine_that_is_absent() {
    let module = root().join("fixtures/traps/unreachable.wat");
    let (text, document) = without_aot(&["probe", module.to_str().unwrap()], &[]);
    let absent = &document["absent"][0];
    assert_eq!(absent["runtime"], "wamr.aot");
    assert!(says_how(absent["reason"].as_str().unwrap()), "{absent}");
    assert!(
        text.contains("wamr.aot absent: ") && says_how(&text),
        "{text}"
    );
}

#[test]
fn fuzz_says_how_to_add_an_engine_that_is_absent() {
    let out = tempfile::tempdir().unwrap();
    let adapter = support::adapter("honest");
    let more = ["--adapter", &adapter, "--runtime", "liar.honest"];
    let line = [
        "fuzz",
        "--count",
        "1",
        "--out",
        out.path().to_str().unwrap(),
    ];
    let (text, document) = without_aot(&line, &more);
    let reason = document["absent"]["wamr.aot"].as_str().unwrap();
    assert!(says_how(reason) && says_how(&text), "{reason}\n{text}");
}

#[test]
fn adapter_check_says_how_to_add_an_engine_that_is_absent() {
    let (text, document) = without_aot(&["adapter-check"], &[]);
    let engines = document["engines"].as_array().unwrap();
    let absent = engines.iter().find(|one| one["id"] == "wamr.aot").unwrap();
    assert_eq!(absent["verdict"], "absent");
    assert!(says_how(absent["reason"].as_str().unwrap()), "{absent}");
    let words: String = text.split_whitespace().collect();
    assert!(
        words.contains("toaddit") || words.contains("whichengineruns"),
        "{text}"
    );
}

#[test]
fn an_engine_that_does_not_start_has_failed_whoever_tells() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().to_str().unwrap();
    let ghost = "ghost=/nonexistent/adapter";
    let (_, listed) = json(&["list", "--adapter", ghost]);
    let engines = listed["engines"].as_array().unwrap();
    let listed = engines.iter().find(|one| one["id"] == "ghost").unwrap();
    let asked = ["--adapter", ghost, "--runtime", "ghost", "--out", out];
    let (_, traps) = json(&[&["traps"], asked.as_slice()].concat());
    let pack = support::core_pack();
    let conform = ["conform", pack.to_str().unwrap(), "--kernel", "rope_q8"];
    let (_, conform) = json(&[conform.as_slice(), &asked].concat());
    for engine in [listed, &traps["engines"][0], &conform["engines"][0]] {
        assert_eq!(engine["status"], "failed", "{engine}");
        let reason = engine["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("failed to start worker `ghost`"),
            "{reason}"
        );
    }
}
