//! Kernels that are right in each call alone and wrong in what only history, place, secrets or the small exports show: each is caught, in
//! its layer and by its kind of case, with each of several own seeds. Right kernels that come close to them pass.

use crate::support::{json, pack_of, root};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

const ENGINES: [&str; 2] = ["wasmi", "wasmtime.cranelift"];

fn listed() -> Value {
    let file = root().join("fixtures/cheats/cheats.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The exit code, and of each engine the layers and sources that fail.
fn conform(kernel: &str, file: &str, own_seed: u32) -> (i32, Vec<BTreeSet<(String, String)>>) {
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(root().join("fixtures/cheats").join(file)).unwrap();
    let pack = pack_of(folder.path(), kernel, &module, None);
    let out = folder.path().join("results");
    let (exit, document) = json(&[
        "conform",
        pack.to_str().unwrap(),
        "--runtime",
        ENGINES[0],
        "--runtime",
        ENGINES[1],
        "--own-seed",
        &own_seed.to_string(),
        "--out",
        out.to_str().unwrap(),
    ]);
    let failing = |engine: &str| {
        let results = document["results"].as_array().unwrap().iter();
        results
            .filter(|entry| entry["runtime"] == engine && entry["outcome"] == "fail")
            .map(|entry| {
                let text = |key: &str| entry[key].as_str().unwrap().to_owned();
                (text("layer"), text("source"))
            })
            .collect()
    };
    (exit, ENGINES.iter().map(|engine| failing(engine)).collect())
}

#[test]
fn every_cheat_is_caught_in_its_layer_by_its_kind_of_case() {
    let listed = listed();
    let cheats = listed["cheats"].as_array().unwrap();
    assert!(cheats.len() >= 30, "only {} cheats", cheats.len());
    let mut missed = Vec::new();
    for (seed, cheat) in (1..).zip(cheats) {
        let text = |key: &str| cheat[key].as_str().unwrap();
        let (exit, failing) = conform(text("kernel"), text("file"), seed);
        println!("{}: {failing:?}", text("cheat"));
        let due = |(layer, source): &(String, String)| {
            layer == text("layer") && (text("source").is_empty() || source == text("source"))
        };
        if exit != 1 || !failing.iter().all(|failing| failing.iter().any(due)) {
            missed.push(format!("{cheat}: exit {exit}, fails {failing:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn right_kernels_that_come_close_to_cheats_pass() {
    let listed = listed();
    for twin in listed["twins"].as_array().unwrap() {
        let text = |key: &str| twin[key].as_str().unwrap();
        for seed in [1, 2, 3] {
            let (exit, failing) = conform(text("kernel"), text("file"), seed);
            assert_eq!(exit, 0, "{}: {failing:?}", text("twin"));
        }
    }
}

/// A failure in a sequence names the call, and the command beside it gives the same failure again; a run without an own seed draws one.
#[test]
fn a_failing_sequence_names_its_call_and_is_repeated_by_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(root().join("fixtures/cheats/third_output.wasm")).unwrap();
    let pack = pack_of(folder.path(), "swiglu_f32", &module, None);
    let run = |out: &str, more: &[&str]| {
        let out = folder.path().join(out);
        let mut arguments = vec!["conform", pack.to_str().unwrap(), "--runtime", "wasmi"];
        arguments.extend(more);
        arguments.extend(["--out", out.to_str().unwrap()]);
        json(&arguments)
    };
    let failing = |document: &Value| {
        let results = document["results"].as_array().unwrap().iter();
        let failing: Vec<(String, String, String)> = results
            .filter(|entry| entry["outcome"] == "fail" && entry["case"] == "sequence:1")
            .map(|entry| {
                let text = |key: &str| entry[key].as_str().unwrap().to_owned();
                (text("layer"), text("detail"), text("repeat"))
            })
            .collect();
        failing
    };
    let (exit, first) = run("first", &[]);
    assert_eq!(exit, 1);
    let (_, other) = run("other", &[]);
    assert!(first["own_seed"].as_u64().unwrap() > 0);
    assert_ne!(first["own_seed"], other["own_seed"]);

    let found = failing(&first);
    let [(layer, detail, repeat)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(layer, "L6");
    assert!(detail.contains("step ") && detail.contains("of one instance"));
    let words = shlex::split(repeat).unwrap();
    let from = words.iter().position(|word| word == "--seed").unwrap();
    let options: Vec<&str> = words[from..].iter().map(String::as_str).collect();
    let kernel = ["--kernel", "swiglu_f32"];
    let (exit, again) = run("again", &[&kernel, &options[..]].concat());
    assert_eq!(exit, 1);
    assert_eq!(failing(&again), found);
    // Nothing else is judged.
    let results = again["results"].as_array().unwrap().iter();
    let sources: BTreeSet<&str> = results
        .map(|entry| entry["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, BTreeSet::from(["edge", "sequence"]));
}
