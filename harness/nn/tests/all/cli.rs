//! The program itself.

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn assay_nn(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_assay-nn"))
        .args(arguments)
        .current_dir(root())
        .env("XDG_CONFIG_HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .env_remove("ORT_DYLIB_PATH")
        .output()
        .unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_check_names_what_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let output = assay_nn(&[
        "--check",
        "--json",
        "--backend",
        "native",
        "--runtime",
        "wasmi*",
        "--out",
        out,
    ]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (report, files) =
        assay::report::write(folder.path(), &folder.path().join("report")).unwrap();
    assert_eq!(report.title, "WASI-NN of engines");
    assert!(report.verdict.contains(" checks pass, 0 fail"), "{files:?}");
    let document = document(&output);
    let left_out = document["left_out"].as_array().unwrap();
    assert!(
        left_out.iter().any(|left| left["what"] == "wasmi.fast"),
        "{left_out:?}"
    );
    let cells = document["cells"].as_array().unwrap();
    let backends: Vec<_> = cells.iter().map(|cell| &cell["backend"]).collect();
    assert_eq!(backends, ["native", "planted"]);
}

#[test]
fn what_is_asked_for_and_absent_has_its_exit_code() {
    for (arguments, code, words) in [
        (
            &["--check", "--backend", "onnxruntime"][..],
            4,
            "ORT_DYLIB_PATH",
        ),
        (&["--check", "--backend", "kernels"], 4, "--pack"),
        (
            &["--check", "--backend", "tensorflow"],
            2,
            "there are kernels",
        ),
        (
            &["--check", "--runtime", "nothing"],
            2,
            "no engine is called",
        ),
        (&["nothing.wasm"], 2, "nothing.wasm"),
        (&[], 2, "GUEST"),
        (
            &["--check", "--pack", "fixtures/packs/core", "--seen", "none"],
            3,
            "trust",
        ),
    ] {
        let output = assay_nn(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn a_guest_is_run_and_its_errors_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.wasm");
    let text = r#"(module
        (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "model")
        (func (export "run") (result i32) (call $load (i32.const 0) (i32.const 5) (i32.const 8)))
        (func (export "wrong") (result i32) (call $load (i32.const 0) (i32.const 4) (i32.const 8))))"#;
    std::fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
    let run = |more: &[&str]| {
        let mut arguments = vec![path.to_str().unwrap(), "--json", "--runtime", "wasmi"];
        arguments.extend(["--graph", "model=fixtures/nn/rmsnorm.onnx"]);
        arguments.extend(more);
        assay_nn(&arguments)
    };
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let runs = &document(&output)["runs"];
    assert_eq!(runs[0]["backend"], "onnx");
    assert_eq!(runs[0]["calls"]["load_by_name: success"], 1);
    let output = run(&["--entry", "wrong"]);
    assert_eq!(output.status.code(), Some(1));
    let runs = &document(&output)["runs"];
    assert_eq!(runs[0]["returned"], 8);
    assert!(runs[0]["first_error"].as_str().unwrap().contains("`mode`"));
    let output = run(&["--backend", "native"]);
    assert_eq!(
        output.status.code(),
        Some(2),
        "ONNX is no document of kernels"
    );
}

/// A field of a message that is bytes, or a message.
#[cfg(target_os = "linux")]
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
}

/// ONNX of one node, whose output has so many elements as eight bytes say: 256 MiB of zeros, and the file is as large as a sentence.
#[cfg(target_os = "linux")]
fn large_output() -> Vec<u8> {
    let node = [field(1, b"n"), field(2, b"y"), field(4, b"ConstantOfShape")].concat();
    let sizes = (1_i64 << 26).to_le_bytes();
    let weight = [&[8, 1, 16, 7][..], &field(8, b"n"), &field(9, &sizes)].concat();
    let output = [field(1, b"y"), field(2, &field(1, &[8, 1]))].concat();
    let graph = [field(1, &node), field(5, &weight), field(12, &output)].concat();
    [&[8, 8][..], &field(7, &graph), &field(8, &[16, 18])].concat()
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_graph_takes_ends_at_the_limit_of_memory() {
    use std::os::unix::process::ExitStatusExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let guest =
        r#"(module (memory (export "memory") 1) (func (export "run") (result i32) (i32.const 0)))"#;
    std::fs::write(path("guest.wasm"), wat::parse_str(guest).unwrap()).unwrap();
    std::fs::write(path("large.onnx"), large_output()).unwrap();
    let graph = format!("model={}", path("large.onnx").display());
    let run = |memory: &str| {
        let guest = path("guest.wasm");
        let guest = guest.to_str().unwrap();
        let limit = ["--runtime", "wasmi", "--memory", memory];
        assay_nn(&[&[guest, "--graph", &graph][..], &limit].concat())
    };
    let output = run("200");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.signal().is_some(), "{output:?}");
    assert!(said.contains("memory allocation of"), "{said}");
    assert_eq!(run("0").status.code(), Some(0));
}
