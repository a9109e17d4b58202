//! What other targets depend on: a crate that cannot be built for one must not be in its tree.

use crate::support;
use std::{collections::BTreeSet, path::Path, process::Command};

/// Crates of compilers for the machine's own code. None has a backend for a 32-bit machine.
const MACHINE_CODE: [&str; 6] = [
    "winch-codegen",
    "wasmtime-internal-winch",
    "wasmer",
    "wasmer-compiler-llvm",
    "llvm-sys",
    "capstone-sys",
];
/// What needs more of a system than Rust and a linker.
const SYSTEM_PACKAGES: [&str; 3] = ["wamrx-sys", "llvm-sys", "bindgen"];
/// What is not built for WebAssembly under WASI, or would be of no use there: engines and compilers, terminals, and what takes a page's
/// JavaScript for the system.
const NOT_IN_WASI: [&str; 7] = [
    "wasmtime",
    "cranelift-codegen",
    "pulley-interpreter",
    "wasmer-types",
    "crossterm",
    "js-sys",
    "wasm-bindgen",
];

/// Names of the crates that `assay` is built from, build scripts included.
fn tree(target: &str, features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", "assay"])
        .args(["--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{p}", "--target", target])
        .args(features)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn of<'a>(names: &'a [&'a str], tree: &BTreeSet<String>) -> Vec<&'a str> {
    names
        .iter()
        .copied()
        .filter(|name| tree.contains(*name))
        .collect()
}

#[test]
fn the_default_tree_for_armv7_builds_there() {
    let tree = tree("armv7-unknown-linux-gnueabihf", &[]);
    assert_eq!(of(&MACHINE_CODE, &tree), [""; 0]);
    assert_eq!(of(&SYSTEM_PACKAGES, &tree), [""; 0]);
    // What runs there is there.
    assert_eq!(
        of(&["pulley-interpreter", "cranelift-codegen", "wasmi"], &tree).len(),
        3
    );
}

#[test]
fn no_feature_brings_a_compiler_for_armv7() {
    let features = ["--features", "wamr,wasmer-llvm"];
    let armv7 = tree("armv7-unknown-linux-gnueabihf", &features);
    assert_eq!(of(&MACHINE_CODE, &armv7), [""; 0]);
    assert_eq!(of(&["wamrx-sys"], &armv7), ["wamrx-sys"]);
    // The same question for a machine that has all of them: the test can fail.
    let x86_64 = tree("x86_64-unknown-linux-gnu", &features);
    assert_eq!(of(&MACHINE_CODE, &x86_64), MACHINE_CODE);
}

#[test]
fn no_tree_for_webassembly_has_what_is_not_built_there() {
    let features = ["--features", "wamr,wasmer-llvm,browser"];
    for features in [&[][..], &features] {
        let tree = tree("wasm32-wasip1", features);
        assert_eq!(of(&MACHINE_CODE, &tree), [""; 0]);
        assert_eq!(of(&SYSTEM_PACKAGES, &tree), [""; 0]);
        assert_eq!(of(&NOT_IN_WASI, &tree), [""; 0]);
        // The engine there is.
        assert_eq!(of(&["wasmi"], &tree), ["wasmi"]);
    }
    // The same question for a machine that has what can be there: the test can fail.
    let x86_64 = tree("x86_64-unknown-linux-gnu", &features);
    let (here, pages) = NOT_IN_WASI.split_at(5);
    assert_eq!(of(here, &x86_64), here);
    assert_eq!(of(pages, &x86_64), [""; 0]);
}

/// On the machine that this test runs on, which may be another than the one that built it.
#[test]
fn an_absent_engine_asked_for_by_name_ends_with_its_reason() {
    let (_, document) = support::json(&["list"]);
    let engines = document["engines"].as_array().unwrap();
    let status = |id: &str| {
        let engine = engines.iter().find(|engine| engine["id"] == id).unwrap();
        engine["status"].as_str().unwrap()
    };
    if cfg!(target_arch = "arm") {
        for never in ["wasmtime.cranelift", "wasmtime.winch", "wasmer.llvm"] {
            assert_eq!(status(never), "absent");
        }
        assert_eq!(status("wasmtime.pulley"), "ready");
        assert_eq!(status("wasmi"), "ready");
    }
    let pack = support::core_pack();
    for engine in engines.iter().filter(|engine| engine["status"] == "absent") {
        let id = engine["id"].as_str().unwrap();
        let reason = engine["reason"].as_str().unwrap();
        let (exit, document) = support::json(&["qualify", pack.to_str().unwrap(), "--runtime", id]);
        assert_eq!(exit, 4, "{id}: {document}");
        let error = document["error"].as_str().unwrap();
        assert!(error.contains(reason), "{error}");
    }
}
