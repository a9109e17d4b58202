//! Mutants of the core pack: the same for a seed, each judged, and survivors searched.

use crate::support::{core_pack, json, pack_of, root};
use serde_json::Value;
use std::{fs, path::Path};

fn mutate(pack: &Path, out: &Path, more: &[&str]) -> (i32, Value) {
    let (pack, out) = (pack.to_str().unwrap(), out.to_str().unwrap());
    json(&[&["mutate", pack, "--out", out], more].concat())
}

#[test]
fn mutants_of_a_seed_are_the_same_and_each_is_killed_or_searched() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, seed: &str| {
        let more = [
            "--kernel",
            "kv_unpack_q8",
            "--count",
            "12",
            "--seed",
            seed,
            "--calls",
            "300",
        ];
        mutate(&core_pack(), &folder.path().join(name), &more)
    };
    let (exit, document) = run("one", "5");
    let total = &document["total"];
    let count = |key: &str| total[key].as_u64().unwrap();
    assert_eq!(count("mutants"), 12, "{document:#}");
    assert_eq!(count("error"), 0, "{document:#}");
    // Most faults of arithmetic and addresses show in the first case.
    assert!(count("killed") >= 6, "{total}");
    assert_eq!(exit, i32::from(count("wrong") > 0), "{total}");
    let mutants = document["mutants"].as_array().unwrap();
    for mutant in mutants {
        assert_ne!(mutant["before"], mutant["after"], "{mutant}");
        match mutant["fate"].as_str().unwrap() {
            "killed" => assert!(!mutant["layers"].as_array().unwrap().is_empty()),
            "wrong" => {
                let bytes = folder
                    .path()
                    .join("one")
                    .join(mutant["bytes"].as_str().unwrap());
                assert!(bytes.join("mutant.wasm").exists() && bytes.join("case.json").exists());
            }
            fate => assert_eq!(fate, "no-difference"),
        }
    }
    let without_folder = |document: &Value| {
        let mut mutants = document["mutants"].clone();
        for mutant in mutants.as_array_mut().unwrap() {
            mutant.as_object_mut().unwrap().remove("detail");
        }
        mutants
    };
    let (_, again) = run("two", "5");
    assert_eq!(without_folder(&again), without_folder(&document));
    let (_, other) = run("three", "6");
    assert_ne!(without_folder(&other), without_folder(&document));
}

#[test]
fn a_module_that_does_not_hold_itself_is_no_measure() {
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(root().join("fixtures/faulty/wrong_status.wasm")).unwrap();
    let pack = pack_of(folder.path(), "kv_unpack_q8", &module, None);
    let (exit, document) = mutate(&pack, &folder.path().join("results"), &["--count", "2"]);
    assert_eq!((exit, &document["total"]["mutants"]), (1, &Value::from(0)));
    let reasons = document["reasons"].to_string();
    assert!(reasons.contains("itself does not hold"), "{reasons}");
}
