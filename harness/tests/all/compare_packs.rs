//! `assay compare` on the real binary, for two packs and for results of `conform`: what was planted is found and named, and things that are
//! the same differ in nothing.

use crate::support::{adapter, assay, core_pack, json, pack_of, root};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The fastest comparison there is.
const SHORT: [&str; 5] = ["--runtime", "wasmi", "--no-time", "--cases", "8"];

fn module(path: &str) -> Vec<u8> {
    fs::read(root().join("fixtures").join(path)).unwrap()
}

fn own(kernel: &str) -> Vec<u8> {
    module(&format!("packs/core/kernels/{kernel}.wasm"))
}

fn compare(old: &Path, new: &Path, more: &[&str]) -> (i32, Value) {
    let mut arguments = vec!["compare", old.to_str().unwrap(), new.to_str().unwrap()];
    arguments.extend(more);
    json(&arguments)
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SHORT.iter().chain(more).copied().collect()
}

/// What was found of answers, on one engine.
fn only(document: &Value) -> &Value {
    let outputs = document["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 1, "{document:#}");
    &outputs[0]
}

#[test]
fn modules_that_are_the_same_are_not_run_and_differ_in_nothing_if_they_are() {
    let (exit, document) = compare(&core_pack(), &core_pack(), &SHORT);
    assert_eq!((exit, &document["verdict"]), (0, &Value::from("pass")));
    let modules = document["modules"].as_array().unwrap();
    assert_eq!(modules.len(), 26);
    assert!(modules.iter().all(|module| module["change"] == "same"));
    assert_eq!(document["outputs"], Value::Array(Vec::new()));

    let gate = ["--identical", "--kernel", "swiglu_f16", "--fail-on", "0"];
    let (exit, document) = compare(&core_pack(), &core_pack(), &with(&gate));
    assert_eq!(exit, 0, "{document:#}");
    for outputs in document["outputs"].as_array().unwrap() {
        assert!(outputs["cases"].as_u64().unwrap() > 10);
        assert_eq!(outputs["changed_outputs"], 0);
        assert!(outputs["differences"]["elements"].as_u64().unwrap() > 100);
    }
    assert_eq!(document["numbers"], Value::Array(Vec::new()));
    assert!(document["same_numbers"].as_u64().unwrap() >= 2);
}

#[test]
fn a_kernel_that_burns_more_fuel_is_a_regression_where_somebody_says_how_much_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let old = pack_of(
        &folder.path().join("old"),
        "rmsnorm_f32",
        &own("rmsnorm_f32"),
        None,
    );
    // One element per branch back: the same bits for more fuel, and no gradient.
    let naive = module("bench/rmsnorm_f32_naive.wasm");
    let new = pack_of(&folder.path().join("new"), "rmsnorm_f32", &naive, None);
    let regressions = |document: &Value| document["regressions"].to_string();

    let (exit, document) = compare(&old, &new, &SHORT);
    assert_eq!(document["modules"][0]["change"], "changed");
    let found = only(&document);
    assert!(found["cases"].as_u64().unwrap() > 10);
    assert_eq!(
        (&found["changed_outputs"], &found["changed_traps"]),
        (&0.into(), &0.into())
    );
    let numbers = document["numbers"].as_array().unwrap();
    let fuel = numbers.iter().find(|number| number["quantity"] == "fuel");
    let fuel = fuel.unwrap_or_else(|| panic!("{document:#}"));
    assert!(fuel["new"].as_u64().unwrap() > fuel["old"].as_u64().unwrap());
    // That the gradient is gone fails in any case; the fuel does where somebody says how much is too much.
    assert!(exit == 1 && regressions(&document).contains("checks that held do so no more"));
    assert!(!regressions(&document).contains("fuel was"));
    let (_, document) = compare(&old, &new, &with(&["--fail-on", "5%"]));
    assert!(regressions(&document).contains("fuel was"));
    let (_, document) = compare(&old, &new, &with(&["--fail-on", "100"]));
    assert!(!regressions(&document).contains("fuel was"));
    // The other way round nothing got worse, and less fuel is no regression.
    assert_eq!(compare(&new, &old, &SHORT).0, 0);
    let (_, document) = compare(&new, &old, &with(&["--fail-on", "0"]));
    assert!(!regressions(&document).contains("fuel was"));
}

#[test]
fn times_are_paired_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let old = pack_of(
        &folder.path().join("old"),
        "rmsnorm_f32",
        &own("rmsnorm_f32"),
        None,
    );
    let naive = module("bench/rmsnorm_f32_naive.wasm");
    let new = pack_of(&folder.path().join("new"), "rmsnorm_f32", &naive, None);
    let short = [
        "--runtime",
        "wasmi",
        "--cases",
        "0",
        "--time",
        "0.001",
        "--processes",
        "2",
    ];
    let (_, document) = compare(&old, &new, &short);
    let times = document["times"].as_array().unwrap();
    assert_eq!(times.len(), 1, "{document:#}");
    assert_eq!(times[0]["ratio"]["processes"], 2);
    assert!(times[0]["ratio"]["value"].as_f64().unwrap() > 0.0);
    assert!(["faster", "slower", "unsure"].contains(&times[0]["ratio"]["word"].as_str().unwrap()));
}

#[test]
fn a_wrong_kernel_fails_and_its_first_case_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let old = pack_of(
        &folder.path().join("old"),
        "rmsnorm_f32",
        &own("rmsnorm_f32"),
        None,
    );
    let faulty = module("faulty/eps_outside_root.wasm");
    let new = pack_of(&folder.path().join("new"), "rmsnorm_f32", &faulty, None);
    let (exit, document) = compare(&old, &new, &SHORT);
    assert_eq!(exit, 1, "{document:#}");
    let found = only(&document);
    assert!(found["changed_outputs"].as_u64().unwrap() > 0);
    assert!(found["broken_checks"].as_u64().unwrap() > 0);
    assert!(found["differences"]["max_ulp"].as_f64().unwrap() > 1.0);
    assert!(found["first"][0].as_str().unwrap().contains("index"));
    // A number of a module that computes wrongly is no number.
    assert_eq!(document["numbers"], Value::Array(Vec::new()));
    assert_eq!(document["not_measured"][0]["lost"], true);
    // To repair it breaks nothing.
    let (exit, document) = compare(&new, &old, &SHORT);
    assert_eq!(exit, 0, "{document:#}");
    assert!(only(&document)["repaired_checks"].as_u64().unwrap() > 0);
    // But answers changed, which is what --fail-on asks for.
    assert_eq!(compare(&new, &old, &with(&["--fail-on", "100"])).0, 1);
}

#[test]
fn statuses_that_changed_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = "kv_unpack_q8";
    let old = pack_of(&folder.path().join("old"), kernel, &own(kernel), None);
    let new = pack_of(
        &folder.path().join("new"),
        kernel,
        &module("faulty/wrong_status.wasm"),
        None,
    );
    let (exit, document) = compare(&old, &new, &SHORT);
    assert_eq!(exit, 1);
    let found = only(&document);
    assert!(found["changed_statuses"].as_u64().unwrap() > 0, "{found:#}");
    assert!(found["first"][0].as_str().unwrap().contains("became 1"));
}

#[test]
fn kernels_that_only_one_pack_has_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let one = pack_of(folder.path(), "swiglu_f32", &own("swiglu_f32"), None);
    let changes = |document: &Value, change: &str| {
        let modules = document["modules"].as_array().unwrap();
        modules
            .iter()
            .filter(|module| module["change"] == change)
            .count()
    };
    let (exit, document) = compare(&core_pack(), &one, &SHORT);
    assert_eq!((exit, changes(&document, "removed")), (0, 25));
    assert_eq!(compare(&core_pack(), &one, &with(&["--fail-on", "1"])).0, 1);
    let (exit, document) = compare(&one, &core_pack(), &with(&["--fail-on", "1"]));
    assert_eq!((exit, changes(&document, "added")), (0, 25));
}

#[test]
fn what_cannot_be_compared_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let pack = core_pack();
    let broken = folder.path().join("broken");
    fs::create_dir_all(broken.join("kernels")).unwrap();
    fs::copy(pack.join("kernels.json"), broken.join("kernels.json")).unwrap();
    let trusted = root().join("fixtures/packs/trusted_keys");
    let trust = ["--trust", trusted.to_str().unwrap()];
    assert_eq!(compare(&pack, &broken, &trust).0, 3);
    assert_eq!(compare(&broken, &pack, &trust).0, 3);
    let results = conform(&folder.path().join("results"), &["--cases", "1"]);
    assert_eq!(compare(&pack, &results, &[]).0, 2);
    assert_eq!(compare(&results, &results, &["--no-time"]).0, 2);
    assert_eq!(compare(&pack, &pack, &["--runtime", "nonsense"]).0, 2);
    assert_eq!(compare(&pack, &pack, &with(&["--kernel", "nonsense"])).0, 2);
    assert_eq!(compare(&pack, &folder.path().join("nothing"), &[]).0, 2);
}

/// Results of `conform` on wasmi and on an honest adapter.
fn conform(out: &Path, more: &[&str]) -> PathBuf {
    let pack = core_pack();
    let honest = adapter("honest");
    let mut arguments = vec![
        "conform",
        pack.to_str().unwrap(),
        "--runtime",
        "wasmi",
        "--runtime",
        "liar.honest",
        "--adapter",
        &honest,
        "--kernel",
        "swiglu_f32",
        "--out",
        out.to_str().unwrap(),
    ];
    arguments.extend(more);
    let (exit, document) = json(&arguments);
    assert_eq!(exit, 0, "{document:#}");
    out.to_owned()
}

/// Changes a file of a results folder.
fn plant(folder: &Path, file: &str, change: impl FnOnce(String) -> String) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    let planted = change(text.clone());
    assert_ne!(planted, text);
    fs::write(path, planted).unwrap();
}

#[test]
fn answers_of_targets_are_compared_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let few = ["--cases", "4"];
    let (one, two) = (conform(&at("one"), &few), conform(&at("two"), &few));
    let bytes = |of: &Path| fs::read(of.join("outputs.jsonl")).unwrap();
    assert_eq!(
        bytes(&one),
        bytes(&two),
        "the same cases give the same file"
    );
    let outputs = |folders: &[&Path]| {
        let mut arguments = vec!["compare", "--outputs"];
        arguments.extend(folders.iter().map(|folder| folder.to_str().unwrap()));
        json(&arguments)
    };
    let (exit, document) = outputs(&[&one, &two]);
    assert_eq!(exit, 0, "{document:#}");
    let cells = document["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4);
    for cell in cells {
        assert_eq!(cell["agree"], document["cases"]);
    }

    assert_eq!(document["compared"], document["cases"]);

    // What one target was not asked was not compared.
    let asked = fs::read_to_string(two.join("outputs.jsonl")).unwrap();
    let kept: Vec<&str> = asked.lines().take(3).collect();
    fs::write(two.join("outputs.jsonl"), kept.join("\n") + "\n").unwrap();
    let (exit, document) = outputs(&[&one, &two]);
    assert_eq!((exit, &document["compared"]), (1, &2.into()));
    fs::write(two.join("outputs.jsonl"), asked).unwrap();

    // One bit of one engine's output on one target.
    let mut planted_case = Value::Null;
    plant(&two, "outputs.jsonl", |text| {
        let line = text
            .lines()
            .find(|line| line.contains("generated:") && line.contains("sha256"))
            .unwrap();
        let mut record: Value = serde_json::from_str(line).unwrap();
        planted_case = record["case"].clone();
        let mut group = record["answers"][0].clone();
        let digest = group["answer"]["returned"]["sha256"].as_str().unwrap();
        let flipped = if digest.starts_with('0') { "1" } else { "0" };
        group["answer"]["returned"]["sha256"] = format!("{flipped}{}", &digest[1..]).into();
        group["runtimes"] = vec!["wasmi"].into();
        record["answers"][0]["runtimes"] = vec!["liar.honest"].into();
        record["answers"].as_array_mut().unwrap().push(group);
        text.replace(line, &record.to_string())
    });
    let (exit, document) = outputs(&[&one, &two]);
    assert_eq!(exit, 1);
    for cell in document["cells"].as_array().unwrap() {
        let planted =
            cell["runtime"] == "wasmi" && cell["folder"].as_str().unwrap().ends_with("two");
        assert_eq!(cell["differ"], u64::from(planted), "{cell:#}");
        if planted {
            assert_eq!(cell["first"]["kernel"], "swiglu_f32");
            assert_eq!(cell["first"]["case"], planted_case);
        }
    }

    let other = conform(&at("seed"), &["--cases", "4", "--seed", "2"]);
    assert_eq!(outputs(&[&one, &other]).0, 2);
    let fewer = conform(&at("fewer"), &["--cases", "3"]);
    assert_eq!(outputs(&[&one, &fewer]).0, 2);
    let alone = ["compare", "--outputs", one.to_str().unwrap()];
    assay().args(alone).assert().code(2);
    assert_eq!(outputs(&[&one, &folder.path().join("nothing")]).0, 2);
}

#[test]
fn a_check_that_passes_no_more_fails_the_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let few = ["--cases", "2"];
    let (old, new) = (conform(&at("old"), &few), conform(&at("new"), &few));
    let (exit, document) = compare(&old, &new, &[]);
    assert_eq!(exit, 0, "{document:#}");
    assert!(document["compared"].as_u64().unwrap() > 50);
    plant(&new, "results.jsonl", |text| {
        text.replacen("\"outcome\":\"pass\"", "\"outcome\":\"fail\"", 1)
    });
    let (exit, document) = compare(&old, &new, &[]);
    assert_eq!(
        (exit, document["changed"].as_array().unwrap().len()),
        (1, 1)
    );
    assert_eq!(document["changed"][0]["worse"], true);
    // Backwards it is a repair.
    assert_eq!(compare(&new, &old, &[]).0, 0);
    // A check that is gone is no check that holds.
    let less = conform(&at("less"), &few);
    let mut gone = String::new();
    plant(&less, "results.jsonl", |text| {
        let of = |line: &&str| line.contains("\"edge:") && line.contains("\"wasmi\"");
        gone = text.lines().find(of).unwrap().to_owned();
        text.lines()
            .filter(|line| *line != gone)
            .map(|line| format!("{line}\n"))
            .collect()
    });
    let (exit, document) = compare(&old, &less, &[]);
    assert_eq!(exit, 1, "{document:#}");
    let only = document["only_in_one"].as_array().unwrap();
    let vanished = |only: &&Value| only["vanished"] != 0;
    let vanished: Vec<&Value> = only.iter().filter(vanished).collect();
    assert!(
        vanished.len() == 1 && vanished[0]["runtime"] == "wasmi",
        "{only:#?}"
    );
    // Of a kernel that was not asked for nothing vanished.
    assert_eq!(compare(&less, &old, &[]).0, 0);
}

#[test]
fn recorded_numbers_show_every_drift() {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack_of(folder.path(), "swiglu_f32", &own("swiglu_f32"), None);
    let file = folder.path().join("numbers.json");
    let pack_path = pack.to_str().unwrap();
    let record = ["compare", "--record", file.to_str().unwrap(), pack_path];
    let engine = ["--runtime", "wasmi"];
    assert_eq!(json(&[&record[..], &engine[..]].concat()).0, 0);
    let (exit, document) = compare(&file, &pack, &engine);
    assert_eq!(exit, 0, "{document:#}");
    // Bytes of the module, and fuel; wasmi does not tell the size of its code.
    assert_eq!(document["compared"], 2);

    let recorded: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let planted = |change: &dyn Fn(&mut Value)| {
        let mut planted = recorded.clone();
        change(&mut planted);
        assert_ne!(planted, recorded);
        fs::write(&file, planted.to_string()).unwrap();
    };
    planted(&|recorded| {
        let of = &mut recorded["numbers"]["wasmi"]["swiglu_f32 base"];
        for (name, value) in of.as_object_mut().unwrap() {
            if name.starts_with("fuel") {
                *value = (value.as_u64().unwrap() - 1).into();
            }
        }
    });
    let (exit, document) = compare(&file, &pack, &engine);
    assert_eq!(
        (exit, document["drifted"].as_array().unwrap().len()),
        (1, 1)
    );
    let tolerant = [&engine[..], &["--fail-on", "5%"]].concat();
    assert_eq!(compare(&file, &pack, &tolerant).0, 0);
    // An upgrade of an engine must not turn the check off.
    planted(&|recorded| recorded["engines"]["wasmi"]["version"] = "0.0.1".into());
    assert_eq!(compare(&file, &pack, &tolerant).0, 1);
    planted(&|recorded| {
        recorded["numbers"]["wasmi"]
            .as_object_mut()
            .unwrap()
            .clear();
    });
    assert_eq!(compare(&file, &pack, &tolerant).0, 1);
    fs::write(&file, "{}").unwrap();
    assert_eq!(compare(&file, &pack, &engine).0, 2);
}

/// The committed record against this build: fuel and sizes drift by a change of kernels, engines or their configuration, which is then meant
/// and recorded again, or found here.
#[test]
fn the_committed_numbers_hold() {
    let file = root().join("fixtures/numbers.json");
    // `make check-numbers` has all engines; those that compile with LLVM take long.
    let engines = ["--runtime", "wasmtime.*", "--runtime", "wasmi*"];
    let (exit, document) = compare(&file, &core_pack(), &engines);
    assert_eq!(exit, 0, "{document:#}");
    assert!(document["compared"].as_u64().unwrap() > 100);
}
