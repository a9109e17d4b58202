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

/// What an adapter must not have to link: the command line, pictures, generators.
const HARNESS_ONLY: [&str; 6] = [
    "clap",
    "plotters",
    "proptest",
    "indicatif",
    "askama",
    "wasm-smith",
];

/// Names of the crates that packages are built from, build scripts included.
fn tree(packages: &[&str], target: &str, features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked"])
        .args(packages.iter().flat_map(|name| ["--package", name]))
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

const ARMV7: &str = "armv7-unknown-linux-gnueabihf";
const X86_64: &str = "x86_64-unknown-linux-gnu";

#[test]
fn the_tree_for_armv7_builds_there() {
    let armv7 = tree(&["assay"], ARMV7, &[]);
    assert_eq!(of(&MACHINE_CODE, &armv7), [""; 0]);
    // What runs there is there.
    assert_eq!(
        of(
            &["pulley-interpreter", "cranelift-codegen", "wasmi"],
            &armv7
        )
        .len(),
        3
    );
    // The same question for a machine that has all of them: the test can fail.
    let x86_64 = tree(&["assay", "runtime-wasmer"], X86_64, &[]);
    assert_eq!(of(&MACHINE_CODE, &x86_64), MACHINE_CODE);
}

#[test]
fn assay_needs_nothing_but_rust() {
    for target in [ARMV7, X86_64] {
        let assay = tree(&["assay"], target, &[]);
        assert_eq!(of(&SYSTEM_PACKAGES, &assay), [""; 0], "{target}");
    }
    let engines = tree(&["assay", "runtime-wamr", "runtime-wasmer"], X86_64, &[]);
    assert_eq!(of(&SYSTEM_PACKAGES, &engines), SYSTEM_PACKAGES);
}

#[test]
fn an_adapter_links_no_command_line() {
    let worker = tree(&["assay-worker"], X86_64, &[]);
    assert_eq!(of(&HARNESS_ONLY, &worker), [""; 0]);
    let assay = tree(&["assay"], X86_64, &[]);
    assert_eq!(of(&HARNESS_ONLY, &assay), HARNESS_ONLY);
}

#[test]
fn an_application_links_nothing_of_the_harness_and_the_engines_that_it_names() {
    let harness = [&HARNESS_ONLY[..], &["assay", "assay-worker"]].concat();
    let engines = ["runtime-wasmtime", "runtime-wasmi"];
    let host = tree(&["runtime-host"], X86_64, &[]);
    assert_eq!(of(&harness, &host), [""; 0]);
    assert_eq!(of(&engines, &host), [""; 0]);
    let with_one = tree(&["runtime-host"], X86_64, &["--features", "wasmi"]);
    assert_eq!(of(&engines, &with_one), ["runtime-wasmi"]);
    assert_eq!(of(&harness, &with_one), [""; 0]);
}

#[test]
fn no_tree_for_webassembly_has_what_is_not_built_there() {
    let browser = ["--features", "browser"];
    for features in [&[][..], &browser] {
        let tree = tree(&["assay"], "wasm32-wasip1", features);
        assert_eq!(of(&MACHINE_CODE, &tree), [""; 0]);
        assert_eq!(of(&SYSTEM_PACKAGES, &tree), [""; 0]);
        assert_eq!(of(&NOT_IN_WASI, &tree), [""; 0]);
        // The engine there is.
        assert_eq!(of(&["wasmi"], &tree), ["wasmi"]);
    }
    // The same question for a machine that has what can be there: the test can fail.
    let x86_64 = tree(&["assay", "runtime-wasmer"], X86_64, &browser);
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
