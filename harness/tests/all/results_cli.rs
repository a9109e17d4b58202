//! What becomes of results when a disk is full, a folder vanishes or nobody listens; and that a fallback is no result.
#![cfg(target_os = "linux")]

use crate::support::{self, core_pack, json, pack_of};
use serde_json::Value;
use std::{
    fs::{self, File},
    io,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

fn assay() -> Command {
    support::command(env!("CARGO_BIN_EXE_assay"))
}

fn conform(out: &Path) -> Command {
    let mut command = assay();
    command.arg("conform").arg(core_pack());
    command.args(["--runtime", "wasmi", "--kernel", "swiglu_f32", "--out"]);
    command.arg(out);
    command
}

fn traps(out: &Path) -> Command {
    let mut command = assay();
    command.args(["traps", "--runtime", "wasmi", "--out"]);
    command.arg(out);
    command
}

/// The harness failed, and says what, without a panic.
fn assert_failed(output: &Output, words: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.starts_with("assay: failed to ") && stderr.contains(words),
        "{stderr}"
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_full_disk_is_a_failure_of_the_harness() {
    for (command, file) in [
        (conform as fn(&Path) -> Command, "results.jsonl"),
        (traps, "traps.jsonl"),
    ] {
        let out = tempfile::tempdir().unwrap();
        symlink("/dev/full", out.path().join(file)).unwrap();
        let output = command(out.path()).output().unwrap();
        assert_failed(&output, &format!("{file}`: No space left on device"));
        let documents = fs::read_dir(out.path()).unwrap().flatten();
        let documents = documents.filter(|entry| entry.file_name() != file);
        assert_eq!(documents.count(), 0, "there is no verdict without records");
    }
}

#[test]
fn a_results_folder_that_vanishes_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let running = traps(&out)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !fs::metadata(out.join("traps.jsonl")).is_ok_and(|file| file.len() > 0) {
        assert!(start.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(5));
    }
    fs::remove_dir_all(&out).unwrap();
    let output = running.wait_with_output().unwrap();
    assert_failed(&output, "the results folder is gone");
    assert!(!out.exists());
}

#[test]
fn a_results_folder_that_cannot_be_written_costs_no_run() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let start = Instant::now();
    let output = traps(&file.path().join("results")).output().unwrap();
    assert_failed(&output, "name another with --out DIR");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_output_that_nobody_reads_is_a_failure_of_the_harness() {
    let list = |stdout: Stdio, stderr: Stdio| {
        let mut list = assay();
        list.arg("list").stdout(stdout).stderr(stderr);
        list.spawn().unwrap().wait_with_output().unwrap()
    };
    let closed = || {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    assert_failed(&list(closed(), Stdio::piped()), "write to stdout");
    let full = File::create("/dev/full").unwrap();
    assert_failed(
        &list(full.into(), Stdio::piped()),
        "No space left on device",
    );
    // Nobody is told, and the exit code is the same.
    assert_eq!(list(closed(), closed()).status.code(), Some(5));
    // A stdout that is not there at all is taken for one that does not matter.
    let assay = assay();
    let absent = Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" list >&-"])
        .arg(assay.get_program())
        .args(assay.get_args())
        .status()
        .unwrap();
    assert_eq!(absent.code(), Some(0));
}

#[test]
fn a_limit_of_memory_that_is_none_is_usage() {
    for value in ["", "0", "many", "-1", "1048577"] {
        let mut list = assay();
        list.arg("list").env("ASSAY_WORKER_MEMORY_MIB", value);
        let output = list.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{value:?}");
    }
}

#[test]
fn a_kernel_that_traps_fails_although_its_pack_names_a_fallback() {
    let module = wat::parse_str(
        r#"(module (memory (export "memory") 1) (global (export "__heap_base") i32 (i32.const 1024))
          (func (export "kernel_forward") (param i32) (result i32) unreachable)
          (func (export "kernel_backward") (param i32) (result i32) unreachable)
          (func (export "kernel_init") (param i32 i32) (result i32) (i32.const 0))
          (func (export "kernel_info") (param i32) (result i32) (i32.const 0))
          (func (export "kernel_cleanup") (result i32) (i32.const 0)))"#,
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pack = pack_of(folder.path(), "swiglu_f32", &module, None);
    let manifest = fs::read_to_string(pack.join("kernels.json")).unwrap();
    assert!(manifest.contains("swiglu_reference"));
    // With the second seed a sequence is wrong about `kernel_info` before any answer was compared.
    for (command, seed) in [("conform", "1"), ("conform", "13"), ("qualify", "1")] {
        let out = folder.path().join(command).join(seed);
        let mut line = vec![command, pack.to_str().unwrap()];
        line.extend(["--runtime", "wasmi", "--own-seed", seed]);
        line.extend(["--out", out.to_str().unwrap()]);
        if command == "qualify" {
            line.extend(["--interruptions", "0"]);
        }
        let (exit, document) = json(&line);
        assert_eq!(exit, 1, "{command}");
        let conform = match command {
            "qualify" => &document["conform"],
            _ => &document,
        };
        let kernel = conform["results"].as_array().unwrap();
        if command == "qualify" {
            let traps = fs::read(out.join("traps.json")).unwrap();
            let traps: Value = serde_json::from_slice(&traps).unwrap();
            assert_eq!(traps["engines"][0]["id"], "wasmi");
            assert!(traps["results"].as_array().unwrap().len() > 100);
            let summary = &document["trap_summaries"][0];
            assert_eq!(summary["runtime"], "wasmi");
            assert_eq!(summary["checks"], traps["checks"]);
        }
        assert!(
            kernel.iter().all(|one| one["outcome"] != "pass"),
            "{kernel:#?}"
        );
    }
}

#[test]
fn a_file_beyond_the_users_limit_is_a_failure_of_the_harness() {
    let out = tempfile::tempdir().unwrap();
    let whole = conform(out.path());
    let mut command = support::command("sh");
    command.args(["-c", "ulimit -f 10; exec \"$0\" \"$@\""]);
    command.arg(whole.get_program()).args(whole.get_args());
    assert_failed(&command.output().unwrap(), "File too large");
}

#[test]
fn results_are_not_written_into_the_pack_that_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(core_pack().join("kernels/swiglu_f32.wasm")).unwrap();
    let pack = pack_of(folder.path(), "swiglu_f32", &module, None);
    let outside = folder.path().join("outside");
    let linked = folder.path().join("linked");
    symlink(&pack, &linked).unwrap();
    for out in [
        pack.clone(),
        pack.join("new/results"),
        linked.join("results"),
    ] {
        for (command, more) in [
            ("conform", ""),
            ("qualify", ""),
            ("mutate", ""),
            ("bench", "--quick"),
        ] {
            let mut line = assay();
            line.arg(command)
                .arg(&pack)
                .args(["--runtime", "wasmi", "--out"])
                .arg(&out);
            line.args(Some(more).filter(|more| !more.is_empty()));
            let output = line.output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command}: {stderr}");
            assert!(stderr.contains("is in the pack"), "{command}: {stderr}");
        }
    }
    // The usual folder is below the current one, which may be the pack.
    let inside = assay()
        .current_dir(&pack)
        .args(["conform", ".", "--runtime", "wasmi"])
        .output();
    assert_eq!(inside.unwrap().status.code(), Some(2));
    let mut beside = assay();
    beside
        .arg("conform")
        .arg(&pack)
        .args(["--runtime", "wasmi", "--cases", "1", "--out"]);
    assert_eq!(
        beside.arg(&outside).output().unwrap().status.code(),
        Some(0)
    );
}
