//! Modules that mean no good, on the real binary and every engine it has: `assay probe` never dies, ends in time, and the engines
//! agree wherever the specification decides.
//!
//! `ASSAY=path/to/assay cargo test -p assay --test all hostile_cli::` tries another build of the harness, one with more engines for example.

use crate::support::{
    self,
    hostile::{Expect, Hostile, generated, texts},
};
use assay::expectations::Ledger;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// What everything may take on an engine, compilation included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Beyond what it may take: the worker is killed after 500 ms.
const SLACK: Duration = Duration::from_secs(1);
/// How long starting a worker may take, on a busy machine and in a debug build; no module is involved in it.
const START: Duration = Duration::from_secs(30);

fn binary() -> String {
    std::env::var("ASSAY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_assay").to_owned())
}

/// Probes a module; what is wrong with how that went.
fn probe(folder: &std::path::Path, hostile: &Hostile, variant: &[&str]) -> Result<Value, String> {
    let path = folder.join(format!("{}.{}", hostile.name, hostile.extension));
    fs::write(&path, &hostile.wasm).unwrap();
    let start = Instant::now();
    let output = support::command(&binary())
        .arg("probe")
        .arg(&path)
        .args(&hostile.arguments)
        .args(variant)
        .args([
            "--timeout-ms",
            &TIMEOUT.as_millis().to_string(),
            "--json",
            "--quiet",
        ])
        .output()
        .unwrap();
    let took = start.elapsed();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let code = output
        .status
        .code()
        .ok_or_else(|| format!("assay died: {stderr}"))?;
    // No engine can be absent here, no pack is involved, and nothing may fail in the harness. Text that is no module is wrong usage.
    let usage = code == 2 && hostile.extension == "wat";
    if !(code == 0 || code == 1 || usage) {
        return Err(format!("exit code {code}: {stderr}"));
    }
    if stderr.contains("panicked") {
        return Err(format!("a panic: {stderr}"));
    }
    let document: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("stdout is no JSON document: {error}"))?;
    if usage {
        return Err(format!("wrong usage: {document}"));
    }
    let results = document["results"].as_array().ok_or("no results")?;
    if results.is_empty() {
        return Err("no engine was tried".to_owned());
    }
    for result in results {
        let elapsed = Duration::from_secs_f64(result["elapsed_ms"].as_f64().unwrap() / 1000.0);
        if elapsed > TIMEOUT + SLACK {
            return Err(format!("{} took {elapsed:?}", result["runtime"]));
        }
    }
    // Engines run side by side, as many as there are processors.
    let bound = (TIMEOUT + SLACK + START) * u32::try_from(results.len()).unwrap();
    if took > bound {
        return Err(format!("all engines together took {took:?}"));
    }
    Ok(document)
}

/// Versions of the engines that are ready.
fn versions() -> &'static BTreeMap<String, String> {
    static VERSIONS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    VERSIONS.get_or_init(|| {
        let mut list = support::command(&binary());
        let listed = list.args(["list", "--json"]).output().unwrap();
        let document: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let engines = document["engines"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        engines
            .filter_map(|engine| Some((text(&engine["id"])?, text(&engine["version"])?)))
            .collect()
    })
}

/// Engines that did otherwise than the specification says.
fn wrong(document: &Value, expect: &Expect, name: &str) -> Vec<String> {
    let results = document["results"].as_array().unwrap();
    let known = |result: &Value| {
        let runtime = result["runtime"].as_str().unwrap();
        let known = |version: &String| {
            let ledger = Ledger::built_in().unwrap();
            ledger.traps(runtime, version, name).is_some()
        };
        result["outcome"] == "crashed" && versions().get(runtime).is_some_and(known)
    };
    let holds = |result: &Value| {
        let outcome = result["outcome"].as_str().unwrap();
        outcome == "unsupported"
            || match expect {
                Expect::Returned(value) => outcome == "returned" && result["value"] == *value,
                Expect::Trap(stage, trap) => {
                    outcome == "trap" && result["trap"] == **trap && result["stage"] == **stage
                }
                Expect::Rejected => outcome == "rejected",
                Expect::Limit => {
                    (outcome == "trap" || outcome == "rejected")
                        && result["trap"] == "ResourceLimit"
                }
                Expect::EngineDependent => true,
            }
    };
    let mut wrong: Vec<String> = results
        .iter()
        .filter(|result| !holds(result) && !known(result))
        .map(|result| format!("{expect:?} is due: {result}"))
        .collect();
    let ran = |result: &&Value| result["outcome"] != "unsupported";
    if wrong.is_empty()
        && *expect != Expect::EngineDependent
        && results.iter().any(|result| ran(&result))
        && !results.iter().any(known)
        && document["agree"] != true
    {
        wrong.push("the engines do not agree".to_owned());
    }
    wrong
}

/// Probes all modules in all variants, two at a time. Without the pre-pass only every other module is probed by day.
fn check(modules: &[Hostile], variants: &[&[&str]]) {
    let folder = tempfile::tempdir().unwrap();
    let next = AtomicUsize::new(0);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let claim = || {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    Some((number, modules.get(number)?))
                };
                while let Some((number, hostile)) = claim() {
                    let left_out = |variant: &[&str]| {
                        variant.contains(&"--raw") && number % 2 == 1 && !support::thorough()
                    };
                    for variant in variants.iter().filter(|variant| !left_out(variant)) {
                        let named = variant.contains(&"--entry");
                        let expect = match (variant.contains(&"--raw"), named) {
                            // There is no such entry: what comes first is refused, whatever it is.
                            (_, true) => &Expect::EngineDependent,
                            (true, false) => &hostile.raw,
                            (false, false) => &hostile.expect,
                        };
                        let mut found = match probe(folder.path(), hostile, variant) {
                            Ok(document) => wrong(&document, expect, &hostile.name),
                            Err(error) => vec![error],
                        };
                        let context = |what| format!("{} {variant:?}: {what}", hostile.name);
                        let mut failures = failures.lock().unwrap();
                        failures.extend(found.drain(..).map(context));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Which entry is called is the harness's affair more than an engine's: one engine is enough.
const ALL_WAYS: &[&[&str]] = &[
    &[],
    &["--raw"],
    &["--entry", "no\u{1}such\u{202e}entry", "--runtime", "wasmi"],
    &["--raw", "--entry", "memory", "--runtime", "wasmi"],
];

#[test]
fn hostile_texts() {
    let modules = texts(&support::root().join("fixtures/hostile"));
    assert!(modules.len() >= 60, "{} modules", modules.len());
    check(&modules, ALL_WAYS);
}

#[test]
fn hostile_bytes() {
    check(&generated(), ALL_WAYS);
}

#[test]
fn every_fixture_of_a_trap() {
    let modules = texts(&support::root().join("fixtures/traps"));
    // Some start beyond a limit: the pre-pass refuses those, and the engines trap.
    let modules: Vec<_> = modules
        .into_iter()
        .map(|mut module| {
            if let Expect::Trap(_, trap) = &module.expect
                && trap == "ResourceLimit"
            {
                (module.expect, module.raw) = (Expect::Limit, Expect::Limit);
            }
            // Its tables need reference types, and without the pre-pass nobody asks whether an engine has them.
            if module.name == "limit-tables-sum" {
                module.raw = Expect::EngineDependent;
            }
            module
        })
        .collect();
    check(&modules, &[&[], &["--raw"]]);
}

/// The check itself: each part of an expectation can fail.
#[test]
fn an_expectation_that_is_not_met_is_noticed() {
    let document = |outcome: &str, value: Option<i64>, trap: Option<&str>| {
        serde_json::json!({"agree": true, "results": [
            {"runtime": "a", "outcome": outcome, "value": value, "trap": trap, "stage": "call"}]})
    };
    let returned = document("returned", Some(1), None);
    let trapped = document("trap", None, Some("Unreachable"));
    let trap = |stage: &str| Expect::Trap(stage.to_owned(), "Unreachable".to_owned());
    assert!(wrong(&returned, &Expect::Returned(1), "none").is_empty());
    assert!(wrong(&trapped, &trap("call"), "none").is_empty());
    for (document, expect) in [
        (&returned, Expect::Returned(2)),
        (&returned, Expect::Rejected),
        (&returned, Expect::Limit),
        (&trapped, trap("instantiate")),
        (
            &trapped,
            Expect::Trap("call".to_owned(), "NullFunction".to_owned()),
        ),
        (&trapped, Expect::Returned(1)),
    ] {
        assert_eq!(wrong(document, &expect, "none").len(), 1, "{expect:?}");
    }
}
