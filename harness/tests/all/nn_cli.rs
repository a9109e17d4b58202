//! `assay nn`: what it hands to the program beside it, and what it says where there is none.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

/// `assay` alone in a folder.
fn alone() -> TempDir {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let from = Path::new(env!("CARGO_BIN_EXE_assay"));
    fs::hard_link(from, folder.path().join("assay")).unwrap();
    folder
}

fn assay(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(folder.join("assay"));
    command.args(arguments).output().unwrap()
}

#[test]
fn a_missing_program_is_an_absent_engine_with_the_command_that_adds_it() {
    let folder = alone();
    let output = assay(folder.path(), &["nn", "--check"]);
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cargo build --release -p assay-nn"), "{said}");
}

#[cfg(unix)]
#[test]
fn the_program_gets_all_arguments_and_its_exit_code_is_that_of_the_command() {
    use std::os::unix::fs::PermissionsExt;
    let folder = alone();
    let program = folder.path().join("assay-nn");
    for (arguments, due, code) in [
        (
            &["nn", "--check", "--backend", "onnx"][..],
            "--check --backend onnx",
            1,
        ),
        (&["nn", "--help"], "--help", 0),
        (&["--json", "nn", "guest.wasm"], "guest.wasm --json", 3),
        (&["nn", "guest.wasm", "--json"], "guest.wasm --json", 5),
        // No exit code of this project: the harness failed.
        (&["nn", "guest.wasm"], "guest.wasm", 77),
    ] {
        fs::write(&program, format!("#!/bin/sh\necho \"$@\"\nexit {code}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let output = assay(folder.path(), arguments);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.trim(), due);
        let due = if code == 77 { 5 } else { code };
        assert_eq!(output.status.code(), Some(due), "{arguments:?}");
    }
}
