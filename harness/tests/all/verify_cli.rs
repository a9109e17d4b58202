//! `assay verify` on the real binary: exit codes, JSON, time, trust lists.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{Home, assay_without_trust as assay, broken_packs, test_keys};
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
fn the_core_pack_is_accepted_with_the_list_that_is_named() {
    let output = assay()
        .arg("verify")
        .arg(packs().join("core"))
        .arg("--trust")
        .arg(test_keys())
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
    for key in ["warnings", "notes"] {
        assert_eq!(document[key], json!([]), "{key}");
    }
    assert_eq!(document["signer"]["key"], document["pack"]["key"]);
    assert_eq!(document["accepted_by"], document["signer"]);
    assert_eq!(document["pack"]["name"], "core");
    assert_eq!(document["pack"]["version"], "1.6.0");
    assert_eq!(document["pack"]["kernels"], 13);
    let trusted = std::fs::read_to_string(packs().join("trusted_keys")).unwrap();
    assert!(trusted.contains(document["pack"]["key"].as_str().unwrap()));
    assay()
        .arg("verify")
        .arg(packs().join("core"))
        .arg("--trust")
        .arg(test_keys())
        .assert()
        .code(0)
        .stdout(predicate::str::contains("accepted: core 1.6.0, 13 kernels"));
}

#[test]
fn every_broken_pack_is_rejected_in_time_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    let index = broken_packs(&broken);
    // An emulator's seconds are not a machine's; there it only must end.
    let longest = match assay::machine::emulated() {
        Some(_) => Duration::from_secs(60),
        None => Duration::from_secs(1),
    };
    let mut wrong = Vec::new();
    for entry in index.as_array().unwrap() {
        let name = entry["defect"].as_str().unwrap();
        let mut command = assay();
        command.arg("--json").arg("verify").arg(broken.join(name));
        let trust = entry["trust"].as_str().unwrap_or("trusted_keys");
        command.arg("--trust").arg(broken.join(trust));
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
        assert!(elapsed < longest, "{name} took {elapsed:?}");
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
        .arg("--trust")
        .arg(broken.join("trusted_keys"))
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

/// Whoever sends a pack can send a list with it: it is not read, and a note says so.
#[test]
fn a_list_that_comes_with_a_pack_decides_nothing() {
    let (folder, pack) = copy_of_core();
    let keys = std::fs::read_to_string(test_keys()).unwrap();
    let keys = keys.trim_end().to_owned() + " allow-native\n";
    let beside = folder.path().join("trusted_keys");
    std::fs::write(&beside, &keys).unwrap();
    let verify = |more: &[&Path]| {
        let output = assay()
            .args(["verify", "--json"])
            .arg(&pack)
            .args(more)
            .output()
            .unwrap();
        document(&output)
    };
    let found = verify(&[]);
    assert_eq!(found["code"], "no-trusted-key");
    let notes = found["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 1, "{found}");
    let note = notes[0].as_str().unwrap();
    assert!(note.contains(beside.to_str().unwrap()), "{note}");
    assert!(note.contains("not read"), "{note}");
    // The same by another name of the same place.
    for name in [".", "../core"] {
        let output = assay()
            .args(["verify", "--json", name])
            .current_dir(&pack)
            .output()
            .unwrap();
        assert_eq!(document(&output)["notes"].as_array().unwrap().len(), 1);
    }
    // The commands that go on to use a pack say it on stderr.
    for command in ["qualify", "conform", "list", "bench"] {
        let output = assay().arg(command).arg(&pack).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{command}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("was not read"), "{command}: {stderr}");
    }
    // In text it stands behind the verdict.
    assay()
        .arg("verify")
        .arg(&pack)
        .assert()
        .code(3)
        .stdout(predicate::str::contains("note: ").and(predicate::str::contains("not read")));
    // Whoever names it means it.
    let named = verify(&[Path::new("--trust"), &beside]);
    assert_eq!(named["verdict"], "accepted");
    assert_eq!(named["notes"], json!([]));
    // Inside a pack a list is a file that nobody listed, and no more.
    std::fs::rename(&beside, pack.join("trusted_keys")).unwrap();
    let inside = verify(&[]);
    assert_eq!(inside["code"], "no-trusted-key");
    assert_eq!(inside["notes"].as_array().unwrap().len(), 1);
    assert_eq!(
        verify(&[Path::new("--trust"), &test_keys()])["code"],
        "unlisted-file"
    );
}

#[test]
fn the_users_store_and_the_lists_that_are_named_add_up_and_any_revokes() {
    let (folder, pack) = copy_of_core();
    let keys = std::fs::read_to_string(test_keys()).unwrap();
    let revoking = keys.trim_end().to_owned() + " revoked\n";
    let list = folder.path().join("revoking");
    std::fs::write(&list, &revoking).unwrap();
    let code = |home: &Home, trust: Option<&Path>| {
        let mut command = home.assay();
        command.args(["verify", "--json"]).arg(&pack);
        if let Some(trust) = trust {
            command.arg("--trust").arg(trust);
        }
        document(&command.output().unwrap())["code"].clone()
    };
    let (nobody, trusting) = (Home::new(), Home::trusting(&keys));
    assert_eq!(code(&nobody, None), "no-trusted-key");
    assert_eq!(code(&nobody, Some(&test_keys())), Value::Null);
    assert_eq!(code(&trusting, None), Value::Null);
    // A list that is named comes on top of the store.
    let broken = folder.path().join("broken");
    broken_packs(&broken);
    let others = broken.join("trusted_keys");
    assert_eq!(code(&trusting, Some(&others)), Value::Null);
    // A revocation wins, wherever it stands.
    let revoked = Home::trusting(&revoking);
    assert_eq!(code(&revoked, Some(&test_keys())), "key-revoked");
    assert_eq!(code(&trusting, Some(&list)), "key-revoked");
    // Where no configuration is named, it is in the home.
    let home = folder.path().join("home");
    std::fs::create_dir_all(home.join(".config/assay")).unwrap();
    std::fs::copy(test_keys(), home.join(".config/assay/trusted_keys")).unwrap();
    let output = assay()
        .env("HOME", &home)
        .env_remove("XDG_CONFIG_HOME")
        .args(["verify", "--json"])
        .arg(&pack)
        .output()
        .unwrap();
    assert_eq!(document(&output)["code"], Value::Null);
    // A store that is not understood is one error, and no verdict.
    let broken = Home::trusting("ed25519:AAAA\n");
    let output = broken.assay().arg("verify").arg(&pack).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("trusted_keys, line 1"), "{stderr}");
}

#[test]
fn an_unknown_signer_is_shown_with_what_to_do_and_is_not_trusted() {
    let home = Home::new();
    let key = "ed25519:zKDE3aMIGMqDvyLD2wF3AF//iQj7iV5wsa2CP83OfVg=";
    let core = packs().join("core");
    let output = home
        .assay()
        .args(["verify", "--json"])
        .arg(&core)
        .output()
        .unwrap();
    let found = document(&output);
    assert_eq!(found["signer"]["key"], key);
    let fingerprint = found["signer"]["fingerprint"].as_str().unwrap();
    assert_eq!(fingerprint.split(' ').count(), 16);
    let advice = || {
        predicate::str::contains(fingerprint)
            .and(predicate::str::contains(format!("assay trust add {key}")))
    };
    home.assay()
        .arg("verify")
        .arg(&core)
        .assert()
        .code(3)
        .stdout(advice());
    home.assay()
        .arg("conform")
        .arg(&core)
        .assert()
        .code(3)
        .stderr(advice());
    assert!(!home.store().exists(), "nothing is trusted by accident");
    // A manifest that was changed names nobody.
    let (_folder, pack) = copy_of_core();
    let manifest = std::fs::read_to_string(pack.join("kernels.json")).unwrap();
    std::fs::write(
        pack.join("kernels.json"),
        manifest.replacen("core", "cure", 1),
    )
    .unwrap();
    let output = home
        .assay()
        .args(["verify", "--json"])
        .arg(&pack)
        .output()
        .unwrap();
    let found = document(&output);
    assert_eq!(found["code"], "no-trusted-key");
    assert_eq!(found["signer"], Value::Null);
    let message = found["message"].as_str().unwrap();
    assert!(message.contains("changed after it was signed"), "{message}");
    assert!(!found.to_string().contains("trust add"));
}

#[test]
fn the_example_of_the_design_is_accepted_with_a_warning() {
    let output = assay()
        .args(["verify", "--json", "--trust"])
        .args([test_keys(), packs().join("design-example")])
        .output()
        .unwrap();
    let found = document(&output);
    assert_eq!(found["verdict"], "accepted", "{found}");
    let warnings = found["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].as_str().unwrap().contains("rmsnorm_f32"));
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
    let home = Home::new();
    let verify = |more: &[&str]| {
        let output = home
            .assay()
            .args(["verify", "--json"])
            .arg(packs().join("core"))
            .arg("--trust")
            .arg(test_keys())
            .args(more)
            .output()
            .unwrap();
        document(&output)["code"].clone()
    };
    let record = ["--seen", seen.to_str().unwrap()];
    let with = |more: &[&str]| verify(&[&record, more].concat());
    assert_eq!(with(&[]), Value::Null);
    let recorded: Value = serde_json::from_slice(&std::fs::read(&seen).unwrap()).unwrap();
    let key = "ed25519:zKDE3aMIGMqDvyLD2wF3AF//iQj7iV5wsa2CP83OfVg=";
    assert_eq!(recorded, json!({"core": {key: "1.6.0"}}));
    std::fs::write(&seen, r#"{"core": "1.6.1-rc.1"}"#).unwrap();
    assert_eq!(with(&[]), "rollback-refused");
    assert_eq!(with(&["--allow-rollback"]), Value::Null);
    // Going back does not make the newer version forgotten.
    assert_eq!(with(&[]), "rollback-refused");

    // Without a file that is named, the user's own record is looked at and not changed.
    assert_eq!(verify(&[]), Value::Null);
    assert!(!home.seen().exists());
    std::fs::create_dir_all(home.seen().parent().unwrap()).unwrap();
    let newer = json!({"core": {key: "1.7.0"}}).to_string();
    std::fs::write(home.seen(), &newer).unwrap();
    assert_eq!(verify(&[]), "rollback-refused");
    assert_eq!(verify(&["--allow-rollback"]), Value::Null);
    assert_eq!(verify(&["--seen", "none"]), Value::Null);
    assert_eq!(std::fs::read_to_string(home.seen()).unwrap(), newer);
    // Another author's pack of this name is another pack.
    let other = json!({"core": {"ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=": "9.0.0"}});
    std::fs::write(home.seen(), other.to_string()).unwrap();
    assert_eq!(verify(&[]), Value::Null);
    // A damaged record is not an empty one.
    std::fs::write(home.seen(), "{").unwrap();
    let output = home
        .assay()
        .arg("verify")
        .arg(packs().join("core"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("seen.json")
    );
}

/// `qualify` remembers what it accepted; without a place for it, it goes on and says so.
#[test]
fn a_qualification_remembers_the_version_that_it_accepted() {
    let home = Home::new();
    let qualify = |command: &mut Command, more: &[&str]| {
        let out = tempfile::tempdir().unwrap();
        let output = command
            .arg("qualify")
            .arg(packs().join("core"))
            .arg("--trust")
            .arg(test_keys())
            .args([
                "--runtime",
                "wasmi",
                "--kernel",
                "swiglu_f32",
                "--cases",
                "1",
            ])
            .args(["--interruptions", "0", "--quiet", "--out"])
            .arg(out.path())
            .args(more)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), stderr)
    };
    assert_eq!(qualify(&mut home.assay(), &[]).0, Some(0));
    let recorded = std::fs::read_to_string(home.seen()).unwrap();
    std::fs::write(home.seen(), recorded.replace("1.6.0", "1.6.1")).unwrap();
    let (code, stderr) = qualify(&mut home.assay(), &[]);
    assert_eq!(code, Some(3));
    assert!(stderr.contains("rollback-refused"), "{stderr}");
    assert_eq!(qualify(&mut home.assay(), &["--seen", "none"]).0, Some(0));
    assert_eq!(qualify(&mut home.assay(), &["--allow-rollback"]).0, Some(0));
    let recorded = std::fs::read_to_string(home.seen()).unwrap();
    assert!(recorded.contains("1.6.1"), "{recorded}");

    let mut nowhere = home.assay();
    nowhere.env_remove("XDG_STATE_HOME").env_remove("HOME");
    let (code, stderr) = qualify(&mut nowhere, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("is not remembered"), "{stderr}");
    // A file stands where the folder would be: nothing can be written there, whoever runs the test.
    let mut unwritable = home.assay();
    unwritable.env(
        "XDG_STATE_HOME",
        home.store().with_file_name("none").join("x"),
    );
    std::fs::create_dir_all(home.store().parent().unwrap()).unwrap();
    std::fs::write(home.store().with_file_name("none"), "").unwrap();
    let (code, stderr) = qualify(&mut unwritable, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("is not remembered"), "{stderr}");
}
