//! `assay fuzz` on the real binary: engines that agree pass, engines that lie are found, and what was found before stays found.

use crate::support::{self, adapter, assay, hostile, json, root};
use assay::expectations::Ledger;
use serde_json::Value;
use std::path::Path;

/// Runs `assay fuzz` on wasmi and another engine, and gives the exit code, the document and the results folder.
fn fuzz(behaviour: &str, arguments: &[&str]) -> (i32, Value, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let liar = adapter(behaviour);
    let out = folder.path().to_str().unwrap();
    let engines = [
        "--runtime",
        "wasmi",
        "--runtime",
        "liar.*",
        "--adapter",
        &liar,
    ];
    let all = [&["fuzz"][..], arguments, &engines, &["--out", out]].concat();
    let (code, document) = json(&all);
    (code, document, folder)
}

#[test]
fn an_honest_engine_agrees() {
    let (code, document, _folder) = fuzz("honest", &["--count", "25", "--seed", "9"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(document["verdict"], "pass");
    assert_eq!(document["modules"], 25);
    for engine in ["wasmi", "liar.honest"] {
        let tally = &document["engines"][engine];
        assert_eq!(tally["modules"], 25);
        assert!(tally["agreed"].as_u64().unwrap() >= 15, "{tally}");
        assert!(tally["calls_compared"].as_u64().unwrap() >= 50, "{tally}");
        assert_eq!(tally["disagreed"], 0);
    }
}

#[test]
fn a_lie_is_found_and_its_command_repeats_it() {
    for behaviour in ["wrong-bit", "swallowed-trap", "stale-memory"] {
        let (code, document, folder) = fuzz(behaviour, &["--count", "25", "--seed", "9"]);
        assert_eq!(code, 1, "{behaviour}: {document:#}");
        let finding = &document["findings"][0];
        let repeat = shlex::split(finding["repeat"].as_str().unwrap()).unwrap();
        assert!(
            Path::new(&repeat[3]).starts_with(folder.path()),
            "{repeat:?}"
        );
        let output = assay()
            .args(&repeat[1..])
            .arg("--quiet")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{behaviour}: {text}");
        assert!(
            text.contains(&format!("DISAGREES liar.{behaviour}")),
            "{text}"
        );
        let record = std::fs::read(repeat[3].replace(".wasm", ".json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert!(record["answers"]["wasmi"]["steps"].is_array(), "{record:#}");
    }
}

#[test]
fn a_worker_that_dies_or_hangs_or_babbles_is_a_finding_and_the_run_goes_on() {
    for (behaviour, what) in [
        ("crash", "crashed"),
        ("hang", "hung"),
        ("nonsense", "crashed"),
    ] {
        let (code, document, _folder) = fuzz(behaviour, &["--count", "3", "--seed", "9"]);
        assert_eq!(code, 1, "{behaviour}: {document:#}");
        assert_eq!(document["modules"], 3, "{behaviour}");
        let liar = format!("liar.{behaviour}");
        let found = document["findings"].as_array().unwrap().iter();
        let told: Vec<&str> = found
            .filter_map(|finding| finding["disagreed"][&liar].as_str())
            .collect();
        assert!(
            told.iter().any(|told| told.contains(what)),
            "{behaviour}: {told:?}"
        );
    }
}

#[test]
fn a_feature_that_an_engine_lacks_makes_modules_unsupported_not_agreed() {
    let (_, document, _folder) = fuzz("no-simd", &["--count", "25", "--seed", "9"]);
    let liar = &document["engines"]["liar.no-simd"];
    assert!(liar["unsupported"].as_u64().unwrap() > 0, "{liar}");
    let reasons = document["passed_over"].as_array().unwrap();
    let lacks = |reason: &Value| reason["reason"] == "the engine lacks simd";
    assert!(reasons.iter().any(lacks), "{reasons:?}");
}

#[test]
fn the_time_is_kept() {
    let start = std::time::Instant::now();
    let (code, document, _folder) = fuzz("honest", &["--seconds", "3"]);
    assert!(code == 0 || code == 1, "{document:#}");
    // The bound of one module, and what starting workers takes.
    assert!(start.elapsed().as_secs() < 3 + 20 + 20);
    assert!(document["modules"].as_u64().unwrap() >= 1);
}

#[test]
fn one_engine_alone_is_wrong_usage() {
    let (code, document) = json(&["fuzz", "--count", "1", "--runtime", "wasmi"]);
    assert_eq!(code, 2, "{document}");
    let (code, document) = json(&["fuzz", "--module", "no/such/file.wasm"]);
    assert_eq!(code, 2, "{document}");
}

/// What was found is a fixture: an engine does what its first line says, except those that are known not to. One of those that does it
/// after all has been repaired: its line goes. `ASSAY` names another build of the harness, as for `hostile_cli.rs`.
#[test]
fn what_was_found_before_is_as_it_was() {
    let binary = std::env::var("ASSAY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_assay").to_owned());
    let folder = root().join("fixtures/fuzz");
    let modules = hostile::texts(&folder);
    assert!(!modules.is_empty());
    let mut wrong = Vec::new();
    for module in modules {
        let path = folder.join(format!("{}.wat", module.name));
        let output = support::command(&binary)
            .arg("probe")
            .arg(&path)
            .args(&module.arguments)
            .args(["--timeout-ms", "60000", "--json", "--quiet"])
            .output()
            .unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = String::from_utf8(module.wasm).unwrap();
        for result in document["results"].as_array().unwrap() {
            if result["outcome"] == "unsupported" {
                continue;
            }
            let hostile::Expect::Returned(value) = module.expect else {
                panic!("{}: only values are expected so far", module.name);
            };
            let right = result["outcome"] == "returned" && result["value"] == value;
            let defect = format!(";; defect: {} ", result["runtime"].as_str().unwrap());
            let known = text.lines().any(|line| line.starts_with(&defect));
            if right == known {
                wrong.push(format!("{} (known: {known}): {result}", module.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The ledger explains what these modules show, and nothing else: an entry without its module is out of date, a defect without its entry
/// would be found again and again.
#[test]
fn the_ledger_and_the_modules_name_the_same_differences() {
    let fixtures = root().join("fixtures");
    let known = Ledger::built_in().unwrap().fuzz();
    let shown = |module: &str| -> Vec<(String, String)> {
        let path = fixtures.join(format!("{module}.wat"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no {module}"));
        text.lines()
            .filter_map(|line| line.strip_prefix(";; defect: ")?.split_once(' '))
            .map(|(engine, version)| (engine.to_owned(), version.to_owned()))
            .collect()
    };
    for entry in known {
        let module = &entry.what.module;
        let shows = shown(module);
        // What ends a process does so on one engine only, which fixtures/hostile says in words.
        let named = shows
            .iter()
            .any(|(id, version)| entry.is_about(id) && entry.is_for(version));
        assert!(named || module.starts_with("hostile/"), "{entry:?}");
    }
    for module in hostile::texts(&fixtures.join("fuzz")) {
        let name = format!("fuzz/{}", module.name);
        for (id, version) in shown(&name) {
            let mut of_module = known.iter().filter(|entry| entry.what.module == name);
            let entry = of_module.any(|entry| entry.is_about(&id) && entry.is_for(&version));
            assert!(
                entry,
                "the ledger has no entry for {name} on {id} {version}"
            );
        }
    }
}
