//! `assay pack` on the real binary: a pack made from nothing verifies.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::assay_without_trust as assay;
use predicates::prelude::*;
use serde_json::{Value, json};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A folder with one kernel of the core pack, its template beside it, and a new key.
struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pack = folder.path().join("mine");
        std::fs::create_dir_all(pack.join("kernels")).unwrap();
        std::fs::copy(
            fixtures().join("packs/core/kernels/kv_pack_q8.wasm"),
            pack.join("kernels/kv_pack_q8.wasm"),
        )
        .unwrap();
        let template = std::fs::read(fixtures().join("packs/core.template.json")).unwrap();
        let mut template: Value = serde_json::from_slice(&template).unwrap();
        let kernels = template["kernels"].as_array_mut().unwrap();
        kernels.retain(|kernel| kernel["id"] == "kv_pack_q8");
        kernels[0].as_object_mut().unwrap().remove("variants");
        template["name"] = json!("mine");
        template["fallbacks"] = json!({"kv_pack_q8": "kv_pack_reference"});
        template["vectors"] = json!([]);
        let text = serde_json::to_vec_pretty(&template).unwrap();
        std::fs::write(folder.path().join("mine.template.json"), text).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keygen(&self) {
        let output = assay()
            .args(["pack", "keygen", "--out"])
            .arg(self.path("key"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        std::fs::write(self.path("author.pub"), output.stdout).unwrap();
    }

    fn run(&self, verb: &str) -> assert_cmd::assert::Assert {
        assay()
            .args(["pack", verb])
            .arg(self.path("mine"))
            .arg("--key")
            .arg(self.path("key"))
            .assert()
    }

    fn verify(&self) -> Value {
        let output = assay()
            .args(["verify", "--json"])
            .arg(self.path("mine"))
            .arg("--trust")
            .arg(self.path("author.pub"))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn a_pack_made_by_the_commands_verifies() {
    let workshop = Workshop::new();
    workshop.keygen();
    workshop.run("build").code(0);
    assert_eq!(workshop.verify()["code"], "signature-missing");
    workshop.run("sign").code(0);
    let verdict = workshop.verify();
    assert_eq!(verdict["verdict"], "accepted", "{verdict}");
    assert_eq!(verdict["pack"]["name"], "mine");
    // Building again takes the signature away, because it would no longer hold.
    workshop.run("build").code(0);
    assert_eq!(workshop.verify()["code"], "signature-missing");
}

#[test]
fn a_key_is_private_and_never_overwritten() {
    let workshop = Workshop::new();
    workshop.keygen();
    let path = workshop.path("key");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = std::fs::read(&path).unwrap();
    assay()
        .args(["pack", "keygen", "--out"])
        .arg(&path)
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("not overwritten"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn another_key_does_not_sign() {
    let workshop = Workshop::new();
    workshop.keygen();
    workshop.run("build").code(0);
    assay()
        .args(["pack", "sign"])
        .arg(workshop.path("mine"))
        .arg("--key")
        .arg(fixtures().join("keys/test.ed25519"))
        .assert()
        .code(2)
        .stderr(predicate::str::contains("author.signing_key"));
    assert_eq!(workshop.verify()["code"], "signature-missing");
}

#[test]
fn a_folder_that_no_host_would_take_is_not_built() {
    let workshop = Workshop::new();
    workshop.keygen();
    std::fs::write(workshop.path("mine/notes.txt"), "x").unwrap();
    workshop
        .run("build")
        .code(3)
        .stderr(predicate::str::contains("unlisted-file"));
    std::fs::remove_file(workshop.path("mine/notes.txt")).unwrap();
    std::fs::write(workshop.path("mine/kernels/kv_pack_q8.wasm"), "(module)").unwrap();
    workshop
        .run("build")
        .code(3)
        .stderr(predicate::str::contains("module-malformed"));
    assert!(
        !workshop.path("mine/kernels.json").exists(),
        "nothing is written"
    );
}

#[test]
fn wrong_use_is_exit_2() {
    let workshop = Workshop::new();
    // There is no key yet.
    workshop.run("build").code(2);
    workshop.keygen();
    std::fs::write(workshop.path("mine.template.json"), "[]").unwrap();
    workshop
        .run("build")
        .code(2)
        .stderr(predicate::str::contains("is not an object"));
    std::fs::remove_file(workshop.path("mine.template.json")).unwrap();
    workshop.run("build").code(2);
    workshop.run("sign").code(2);
    assay().args(["pack"]).assert().code(2);
}
