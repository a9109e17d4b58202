//! `assay verify` on the real binary: exit codes, JSON, time, trust lists.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{assay_without_home as assay, broken_packs};
use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::{Value, json};

fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/packs")
}

fn document(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn copy_of_core() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("core");
    copy(&packs().join("core"), &pack);
    (folder, pack)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_core_pack_is_accepted_with_the_list_beside_it() {
    let output = assay()
        .arg("verify")
        .arg(packs().join("core"))
        .arg("--json")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let document = document(&output);
    assert_eq!(document["verdict"], "accepted");
    for key in ["code", "kernel", "file"] {
        assert_eq!(document[key], Value::Null, "{key}");
    }
    assert_eq!(document["pack"]["name"], "core");
    assert_eq!(document["pack"]["version"], "1.2.0");
    assert_eq!(document["pack"]["kernels"], 13);
    let trusted = std::fs::read_to_string(packs().join("trusted_keys")).unwrap();
    assert!(trusted.contains(document["pack"]["key"].as_str().unwrap()));
    assay()
        .arg("verify")
        .arg(packs().join("core"))
        .assert()
        .code(0)
        .stdout(predicate::str::contains("accepted: core 1.2.0, 13 kernels"));
}

#[test]
fn every_broken_pack_is_rejected_in_time_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    let index = broken_packs(&broken);
    let mut wrong = Vec::new();
    for entry in index.as_array().unwrap() {
        let name = entry["defect"].as_str().unwrap();
        let mut command = assay();
        command.arg("--json").arg("verify").arg(broken.join(name));
        if let Some(trust) = entry["trust"].as_str() {
            command.arg("--trust").arg(broken.join(trust));
        }
        let started = Instant::now();
        let output = command.output().unwrap();
        let elapsed = started.elapsed();
        let document = document(&output);
        let mut file = document["file"].clone();
        if entry["trust"].is_string() {
            // A trust list is named by the path it was given by.
            file = Value::Null;
        }
        let found = json!({
            "exit": output.status.code(), "verdict": document["verdict"], "code": document["code"],
            "kernel": document["kernel"], "file": file, "pack": document["pack"],
        });
        let expected = json!({
            "exit": 3, "verdict": "rejected", "code": entry["code"],
            "kernel": entry["kernel"], "file": entry["file"], "pack": null,
        });
        if found != expected || document["message"].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("{name}: {document}"));
        }
        assert!(elapsed < Duration::from_secs(1), "{name} took {elapsed:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_rejection_says_what_and_where_to_people() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    broken_packs(&broken);
    assay()
        .arg("verify")
        .arg(broken.join("module-bit-flipped"))
        .assert()
        .code(3)
        .stdout(
            predicate::str::starts_with("rejected: hash-mismatch\n")
                .and(predicate::str::contains("kernel: tiny"))
                .and(predicate::str::contains("kernels/tiny.wasm")),
        );
}

#[test]
fn a_fifo_in_the_place_of_a_module_does_not_block() {
    let (_folder, pack) = copy_of_core();
    let module = pack.join("kernels/rope_f32.wasm");
    std::fs::remove_file(&module).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&module)
        .status()
        .unwrap();
    assert!(made.success());
    let output = assay()
        .args(["verify", "--json", "--trust"])
        .args([&packs().join("trusted_keys"), &pack])
        .timeout(Duration::from_secs(5))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let document = document(&output);
    assert_eq!(document["code"], "not-a-regular-file");
    assert_eq!(document["kernel"], "rope_f32");
}

#[test]
fn trust_lists_come_from_the_flag_then_from_beside_then_from_the_user() {
    let (folder, pack) = copy_of_core();
    let code = |command: &mut Command| {
        let output = command
            .arg("--json")
            .arg("verify")
            .arg(&pack)
            .output()
            .unwrap();
        document(&output)["code"].clone()
    };
    assert_eq!(code(&mut assay()), "no-trusted-key");
    let configuration = folder.path().join("config");
    std::fs::create_dir_all(configuration.join("assay")).unwrap();
    std::fs::copy(
        packs().join("trusted_keys"),
        configuration.join("assay/trusted_keys"),
    )
    .unwrap();
    assert_eq!(
        code(assay().env("XDG_CONFIG_HOME", &configuration)),
        Value::Null
    );
    let home = folder.path().join("home");
    copy(&configuration, &home.join(".config"));
    assert_eq!(code(assay().env("HOME", &home)), Value::Null);
    // Beside the pack goes before the user's, even if it trusts somebody else.
    let broken = folder.path().join("broken");
    broken_packs(&broken);
    std::fs::copy(
        broken.join("trusted_keys"),
        folder.path().join("trusted_keys"),
    )
    .unwrap();
    assert_eq!(
        code(assay().env("XDG_CONFIG_HOME", &configuration)),
        "no-trusted-key"
    );
    // A list inside the pack is not a list beside it.
    std::fs::remove_file(folder.path().join("trusted_keys")).unwrap();
    std::fs::copy(packs().join("trusted_keys"), pack.join("trusted_keys")).unwrap();
    assert_eq!(code(&mut assay()), "no-trusted-key");
}

#[test]
fn several_lists_add_up_and_any_revokes() {
    let folder = tempfile::tempdir().unwrap();
    let revoking = folder.path().join("revoking");
    let keys = std::fs::read_to_string(packs().join("trusted_keys")).unwrap();
    let key = keys
        .lines()
        .find(|line| line.starts_with("ed25519:"))
        .unwrap();
    std::fs::write(&revoking, format!("{key} revoked\n")).unwrap();
    let lists = |second: &Path| {
        let output = assay()
            .args(["verify", "--json", "--trust"])
            .arg(packs().join("trusted_keys"))
            .arg("--trust")
            .arg(second)
            .arg(packs().join("core"))
            .output()
            .unwrap();
        document(&output)["code"].clone()
    };
    let broken = folder.path().join("broken");
    broken_packs(&broken);
    assert_eq!(lists(&broken.join("trusted_keys")), Value::Null);
    assert_eq!(lists(&revoking), "key-revoked");
}

#[test]
fn wrong_use_is_exit_2_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let misspelt = folder.path().join("trusted_keys");
    let keys = std::fs::read_to_string(packs().join("trusted_keys")).unwrap();
    std::fs::write(&misspelt, keys.trim_end().to_owned() + " revokd\n").unwrap();
    let core = packs().join("core");
    let core = core.to_str().unwrap();
    for arguments in [
        vec!["verify", "/nonexistent/pack"],
        vec!["verify", core, "--trust", "/nonexistent/trusted_keys"],
        vec!["verify", core, "--trust", misspelt.to_str().unwrap()],
    ] {
        let output = assay().args(&arguments).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            document(&output)["verdict"].is_null(),
            "no verdict on a pack"
        );
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("assay: failed to "), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    for arguments in [vec!["verify"], vec!["verify", core, "--skip-signature"]] {
        assay().args(&arguments).assert().code(2);
    }
}

#[test]
fn an_older_version_is_refused_once_a_newer_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen.json");
    let verify = |more: &[&str]| {
        let output = assay()
            .args(["verify", "--json"])
            .arg(packs().join("core"))
            .arg("--seen")
            .arg(&seen)
            .args(more)
            .output()
            .unwrap();
        document(&output)["code"].clone()
    };
    assert_eq!(verify(&[]), Value::Null);
    let recorded: Value = serde_json::from_slice(&std::fs::read(&seen).unwrap()).unwrap();
    assert_eq!(recorded, json!({"core": "1.2.0"}));
    std::fs::write(&seen, r#"{"core": "1.2.1-rc.1"}"#).unwrap();
    assert_eq!(verify(&[]), "rollback-refused");
    assert_eq!(verify(&["--allow-rollback"]), Value::Null);
    // Going back does not make the newer version forgotten.
    assert_eq!(verify(&[]), "rollback-refused");
}
