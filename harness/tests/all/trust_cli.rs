//! `assay trust`, and passing from one key to the next, on the real binary.

use crate::support::{Home, pack_of, root};
use kernel_pack::sign::PackSigningKey;
use predicates::prelude::*;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn key(seed: u8) -> PackSigningKey {
    PackSigningKey::from_seed(&[seed; 32])
}

/// Runs `assay ARGUMENTS --json`; the exit code and the document.
fn run(home: &Home, arguments: &[&str]) -> (i32, Value) {
    let output = home.assay().args(arguments).arg("--json").output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{arguments:?}: {error}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (output.status.code().unwrap(), document)
}

fn store(home: &Home) -> String {
    fs::read_to_string(home.store()).unwrap()
}

/// Exit code 2 and one line that says this; nothing is written.
fn refused(home: &Home, arguments: &[&str], words: &str) {
    let before = fs::read_to_string(home.store()).ok();
    let output = home.assay().args(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    assert_eq!(fs::read_to_string(home.store()).ok(), before);
}

#[test]
fn keys_are_added_listed_revoked_and_removed() {
    let home = Home::new();
    assert_eq!(
        run(&home, &["trust", "list"]).1["keys"],
        Value::Array(vec![])
    );
    assert!(!home.store().exists(), "looking makes nothing");
    let (one, two) = (key(1).public(), key(2).public());
    let (exit, added) = run(&home, &["trust", "add", &one, "--name", "Ann"]);
    assert_eq!(exit, 0);
    assert_eq!(added["key"], one.as_str());
    assert_eq!(added["allow_native"], false, "never of itself");
    run(&home, &["trust", "add", &two, "--allow-native"]);
    assert_eq!(store(&home), format!("{one} # Ann\n{two} allow-native\n"));
    let (_, list) = run(&home, &["trust", "list"]);
    assert_eq!(list["keys"][0]["name"], "Ann");
    assert_eq!(list["keys"][1]["allow_native"], true);

    let fingerprint = key(1).public_key().fingerprint();
    assert_eq!(list["keys"][0]["fingerprint"], fingerprint.as_str());
    let (exit, revoked) = run(&home, &["trust", "revoke", &fingerprint]);
    assert_eq!((exit, &revoked["revoked"]), (0, &Value::Bool(true)));
    refused(&home, &["trust", "add", &one], "assay trust remove");
    home.assay()
        .args(["trust", "list"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains(format!("{one} revoked # Ann")));
    home.assay()
        .args(["trust", "remove", &one])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("its revocation is gone"));
    refused(&home, &["trust", "remove", &one], "is not in");
    assert_eq!(store(&home), format!("{two} allow-native\n"));
    // A key can be revoked before anybody trusts it.
    assert_eq!(run(&home, &["trust", "revoke", &one]).0, 0);
    assert!(store(&home).ends_with(&format!("{one} revoked\n")));
}

#[test]
fn what_is_not_a_strong_key_is_refused() {
    let home = Home::trusting("# mine\n");
    let weak = "ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    refused(&home, &["trust", "add", weak], "small order");
    refused(
        &home,
        &["trust", "add", "ed25519:AAAA"],
        "base64 of 32 bytes",
    );
    refused(&home, &["trust", "add", "/no/such/file"], "nor a file");
    let fingerprint = key(1).public_key().fingerprint();
    refused(
        &home,
        &["trust", "add", &fingerprint],
        "does not tell the key",
    );
    refused(
        &home,
        &["trust", "revoke", &fingerprint],
        "no key of this fingerprint",
    );
    let name = ["trust", "add", &key(1).public(), "--name", "a\ned25519:x"];
    refused(&home, &name, "one line");
    // A secret key that is named by mistake is not shown.
    let secret = root().join("fixtures/keys/test.ed25519");
    refused(
        &home,
        &["trust", "add", secret.to_str().unwrap()],
        "holds neither",
    );
    let text = fs::read_to_string(&secret).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("ed25519-secret:"))
        .unwrap();
    refused(&home, &["trust", "add", line], "secret key, which");
    let output = home.assay().args(["trust", "add", line]).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains(&line[20..]));
    // A store that is not understood is not written over.
    let broken = Home::trusting("ed25519:AAAA\n");
    refused(&broken, &["trust", "add", &key(1).public()], "line 1");
    refused(&broken, &["trust", "list"], "line 1");
}

#[test]
fn words_in_a_file_of_a_key_do_not_count() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("author.pub");
    fs::write(
        &file,
        format!("# us\n{} allow-native # us\n", key(1).public()),
    )
    .unwrap();
    assert_eq!(run(&home, &["trust", "add", file.to_str().unwrap()]).0, 0);
    assert_eq!(store(&home), format!("{}\n", key(1).public()));
    fs::write(&file, format!("{}\n{}\n", key(2).public(), key(3).public())).unwrap();
    refused(&home, &["trust", "add", file.to_str().unwrap()], "one line");
}

#[test]
fn many_at_once_lose_nothing() {
    let home = Home::trusting("# first\n");
    std::thread::scope(|scope| {
        for seed in 1..=8 {
            let home = &home;
            scope.spawn(move || run(home, &["trust", "add", &key(seed).public()]));
        }
    });
    let text = store(&home);
    assert!(text.starts_with("# first\n"), "{text}");
    assert_eq!(text.lines().count(), 9, "{text}");
}

/// A pack of one kernel, an old key and a new one, and their files.
struct Rotation {
    folder: tempfile::TempDir,
    pack: PathBuf,
    old: PathBuf,
    new: PathBuf,
}

impl Rotation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module = fs::read(root().join("fixtures/packs/core/kernels/swiglu_f32.wasm")).unwrap();
        let pack = pack_of(folder.path(), "swiglu_f32", &module, None);
        let [old, new] = [(1, "old.key"), (2, "new.key")].map(|(seed, name)| {
            let path = folder.path().join(name);
            key(seed).write(&path).unwrap();
            path
        });
        Self {
            folder,
            pack,
            old,
            new,
        }
    }

    /// Builds with the new key, and signs with it and with these besides.
    fn sign(&self, also: &[&Path]) -> i32 {
        let home = Home::new();
        let template = self.folder.path().join("template.json");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (pack, new) = (text(&self.pack), text(&self.new));
        let build = [
            "pack",
            "build",
            &pack,
            "--template",
            &text(&template),
            "--key",
            &new,
        ];
        assert_eq!(run(&home, &build).0, 0);
        let mut sign = vec![
            "pack".to_owned(),
            "sign".to_owned(),
            pack,
            "--key".to_owned(),
            new,
        ];
        for key in also {
            sign.extend(["--also".to_owned(), text(key)]);
        }
        let output = home.assay().args(sign).output().unwrap();
        output.status.code().unwrap()
    }

    fn code(&self, list: &str) -> (Value, Value) {
        let home = Home::trusting(list);
        let (_, document) = run(&home, &["verify", self.pack.to_str().unwrap()]);
        (
            document["code"].clone(),
            document["accepted_by"]["key"].clone(),
        )
    }
}

#[test]
fn a_pack_passes_from_one_key_to_the_next() {
    let rotation = Rotation::new();
    let (old, new) = (key(1).public(), key(2).public());
    assert_eq!(rotation.sign(&[]), 0);
    assert_eq!(rotation.code(&old).0, "no-trusted-key");
    assert_eq!(rotation.sign(&[&rotation.old]), 0);
    assert_eq!(rotation.code(&old), (Value::Null, old.clone().into()));
    assert_eq!(rotation.code(&new), (Value::Null, new.clone().into()));
    assert_eq!(
        rotation.code(&format!("{old}\n{new} revoked\n")).0,
        "key-revoked"
    );
    assert_eq!(rotation.code(&format!("{old} revoked\n")).0, "key-revoked");
    assert_eq!(
        rotation.code(&format!("{old} revoked\n{new}\n")).0,
        Value::Null
    );
    // Signing without the old key takes its signature away; a key signs once.
    let further = rotation.pack.join("kernels.json.sigs");
    assert!(further.exists());
    assert_eq!(rotation.sign(&[&rotation.new]), 2);
    assert_eq!(rotation.sign(&[&rotation.old, &rotation.old]), 2);
    assert_eq!(rotation.sign(&[]), 0);
    assert!(!further.exists());
}

#[test]
fn hostile_further_signatures_refuse_the_pack() {
    let rotation = Rotation::new();
    assert_eq!(rotation.sign(&[&rotation.old]), 0);
    let further = rotation.pack.join("kernels.json.sigs");
    let good = fs::read_to_string(&further).unwrap();
    let trust = format!("{}\n{}\n", key(1).public(), key(2).public());
    for hostile in [
        String::new(),
        "\u{1b}[2J\n".to_owned(),
        good.repeat(2),
        good.replacen(' ', "  ", 1),
        good.trim_end().to_owned(),
        "x".repeat(64 << 20),
        // Somebody else's key beside this signature.
        good.replace(&key(1).public(), &key(3).public()),
    ] {
        fs::write(&further, &hostile).unwrap();
        let shown: String = hostile.chars().take(200).collect();
        assert_eq!(rotation.code(&trust).0, "signature-malformed", "{shown}");
    }
    fs::write(&further, &good).unwrap();
    assert_eq!(rotation.code(&trust).0, Value::Null);
}

#[test]
fn a_successor_is_taken_from_a_key_that_is_trusted_and_from_no_other() {
    let rotation = Rotation::new();
    let folder = rotation.folder.path();
    let (old, new) = (key(1).public(), key(2).public());
    let file = folder.join("author.successor");
    let file = file.to_str().unwrap();
    let made = [
        "pack",
        "successor",
        "--key",
        rotation.old.to_str().unwrap(),
        "--new",
        &new,
        "--out",
        file,
    ];
    assert_eq!(run(&Home::new(), &made).0, 0);
    let add = ["trust", "add", file];
    refused(&Home::new(), &add, "is not trusted itself");
    refused(
        &Home::trusting(&format!("{old} revoked\n")),
        &add,
        "is revoked",
    );
    let revoked = Home::trusting(&format!("{old}\n{new} revoked\n"));
    refused(&revoked, &add, "assay trust remove");
    let home = Home::trusting(&format!("{old} allow-native # Ann\n"));
    assert_eq!(run(&home, &add).0, 0);
    let expected = format!("{old} allow-native # Ann\n{new} # successor of Ann\n");
    assert_eq!(store(&home), expected);
    // A changed statement, and one that is cut.
    let text = fs::read_to_string(file).unwrap();
    for hostile in [text.replace(&new, &key(3).public()), text[..100].to_owned()] {
        fs::write(file, hostile).unwrap();
        refused(&home, &add, "successor statement");
    }
}
