//! `assay aot`, packs that bring what it made, and the code cache, as a user meets them.

#![cfg(feature = "wasmtime")]

use crate::support::{self, core_pack, pack_of, root};
use kernel_pack::{build::build_folder, sign::PackSigningKey, sign::sign_folder};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const KERNEL: &str = "rmsnorm_f32";
const PULLEY: &str = if cfg!(target_pointer_width = "32") {
    "pulley32"
} else {
    "pulley64"
};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn aot(pack: &Path, engine: &str, target: &str, out: &Path, more: &[&str]) -> (i32, Value) {
    let mut arguments = vec!["aot", text(pack), "--engine", engine];
    arguments.extend(["--target", target, "--out", text(out)]);
    arguments.extend(more);
    support::json(&arguments)
}

#[test]
fn every_target_of_wasmtime_gives_files_or_the_reason_why_not() {
    let folder = tempfile::tempdir().unwrap();
    for target in ["pulley32", "pulley64", "x86_64", "aarch64"] {
        let out = folder.path().join(target);
        let (exit, document) = aot(
            &core_pack(),
            "wasmtime",
            target,
            &out,
            &["--kernel", "rope*"],
        );
        if target.starts_with("pulley") || target == std::env::consts::ARCH {
            assert_eq!(exit, 0, "{document}");
            check_files(&out, &document, "wasmtime", target, b"\x7fELF");
        } else {
            assert_eq!(exit, 4, "{document}");
            let error = document["error"].as_str().unwrap();
            assert!(
                error.contains(target) && error.contains("backend"),
                "{error}"
            );
            assert!(!out.exists());
        }
    }
}

fn check_files(out: &Path, document: &Value, engine: &str, target: &str, magic: &[u8]) {
    let fragment = document["fragment"].as_str().unwrap();
    let fragment: Value = serde_json::from_slice(&fs::read(fragment).unwrap()).unwrap();
    assert_eq!(fragment["artifacts"], document["artifacts"]);
    let artifacts = document["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 3, "{document}");
    for artifact in artifacts {
        assert_eq!(
            (&artifact["engine"], &artifact["target"]),
            (&json!(engine), &json!(target))
        );
        assert_eq!(artifact["engine_version"], document["engine_version"]);
        let code = fs::read(out.join(artifact["path"].as_str().unwrap())).unwrap();
        assert!(code.starts_with(magic), "{artifact}");
    }
}

#[test]
fn what_cannot_be_made_has_a_reason_and_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let pack = core_pack();
    let (exit, document) = aot(&pack, "wasmtime", "z80", &out, &[]);
    assert_eq!(exit, 4, "{document}");
    let error = document["error"].as_str().unwrap();
    assert!(
        error.contains("z80") && error.contains("pulley32"),
        "{error}"
    );
    let (exit, document) = aot(&pack, "wasmtime", PULLEY, &out, &["--kernel", "nothing"]);
    assert_eq!(exit, 2, "{document}");
    assert!(!out.exists());

    let usage = |arguments: &[&str]| {
        let output = support::assay().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    };
    usage(&["aot", text(&pack)]);
    usage(&[
        "aot",
        text(&pack),
        "--engine",
        "wasmi",
        "--target",
        "x86_64",
        "--out",
        "x",
    ]);

    let broken = folder.path().join("broken");
    support::broken_packs(&broken);
    let broken = broken.join("module-bit-flipped");
    let (exit, document) = aot(&broken, "wasmtime", PULLEY, &out, &[]);
    assert_eq!(exit, 3, "{document}");

    // A file where the folder should be.
    fs::write(&out, b"").unwrap();
    let (exit, document) = aot(&pack, "wasmtime", PULLEY, &out, &["--kernel", KERNEL]);
    assert_eq!(exit, 5, "{document}");
}

/// A pack of one kernel that brings a compiled form of it: its own, or that of another kernel, which gives itself away
/// wherever it is loaded.
struct Bringing {
    folder: TempDir,
    pack: PathBuf,
    artifact: Value,
}

impl Bringing {
    fn new(engine: &str, target: &str, of: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module = fs::read(core_pack().join(format!("kernels/{KERNEL}.wasm"))).unwrap();
        let pack = pack_of(folder.path(), KERNEL, &module, None);
        let out = folder.path().join("out");
        let (exit, document) = aot(&core_pack(), engine, target, &out, &["--kernel", of]);
        assert_eq!(exit, 0, "{document}");
        let mut artifact = document["artifacts"][0].clone();
        let file = out.join(artifact["path"].as_str().unwrap());
        artifact["kernel"] = json!(KERNEL);
        fs::create_dir(pack.join("aot")).unwrap();
        fs::copy(file, pack.join("aot/code")).unwrap();
        artifact["path"] = json!("aot/code");
        Self {
            folder,
            pack,
            artifact,
        }
    }

    /// Builds and signs the pack with the artifact, this key of it changed, under a key that may or may not bring code.
    fn sign(&self, change: Option<(&str, Value)>, allow_native: bool) {
        let template_file = self.folder.path().join("template.json");
        let mut template: Value =
            serde_json::from_slice(&fs::read(&template_file).unwrap()).unwrap();
        let mut artifact = self.artifact.clone();
        if let Some((key, value)) = change {
            artifact[key] = value;
        }
        template["artifacts"] = json!([artifact]);
        fs::write(&template_file, template.to_string()).unwrap();
        let key = PackSigningKey::read(&root().join("fixtures/keys/test.ed25519")).unwrap();
        build_folder(&self.pack, &template_file, Some(&key.public())).unwrap();
        sign_folder(&self.pack, &key).unwrap();
        let word = if allow_native { " allow-native" } else { "" };
        let line = format!("{}{word}\n", key.public());
        fs::write(self.folder.path().join("trusted_keys"), line).unwrap();
    }

    fn conform(&self, runtime: &str) -> (i32, Value) {
        let out = tempfile::tempdir().unwrap();
        let mut arguments = vec!["conform", text(&self.pack), "--runtime", runtime];
        arguments.extend(["--cases", "2", "--out", text(out.path())]);
        support::json(&arguments)
    }
}

fn notes(document: &Value) -> String {
    document["notes"].to_string()
}

fn a_compiled_form_runs_where_all_of_it_fits(engine: &str, target: &str, runtime: &str) {
    let bringing = Bringing::new(engine, target, KERNEL);
    bringing.sign(None, true);
    let (exit, document) = bringing.conform(runtime);
    assert_eq!(exit, 0, "{runtime}: {document}");
    let said = format!("{runtime} ran forms that the pack brings compiled: {KERNEL}");
    assert!(notes(&document).contains(&said), "{document}");

    bringing.sign(None, false);
    let (exit, document) = bringing.conform(runtime);
    assert_eq!(exit, 0, "{runtime}: {document}");
    let notes = notes(&document);
    assert!(notes.contains("does not carry allow-native"), "{notes}");
    assert!(!notes.contains("ran forms"), "{notes}");
}

#[test]
fn a_compiled_form_for_pulley_runs_where_all_of_it_fits() {
    a_compiled_form_runs_where_all_of_it_fits("wasmtime", PULLEY, "wasmtime.pulley");
}

#[test]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    ignore = "needs wasmtime.cranelift, which this target has not"
)]
fn a_compiled_form_for_this_machine_runs_where_all_of_it_fits() {
    let target = std::env::consts::ARCH;
    a_compiled_form_runs_where_all_of_it_fits("wasmtime", target, "wasmtime.cranelift");
}

/// The planted form is of another kernel: conformance fails if it is loaded, and only then.
#[test]
fn a_compiled_form_of_anything_else_is_not_loaded() {
    let bringing = Bringing::new("wasmtime", PULLEY, "swiglu_f32");
    bringing.sign(None, true);
    let (exit, document) = bringing.conform("wasmtime.pulley");
    assert_eq!(exit, 1, "the planted form was not run: {document}");

    for change in [
        ("engine_version", json!("48.0.7")),
        ("target", json!("x86_65")),
        ("target", json!("pulley128")),
        ("engine", json!("wamr")),
        ("engine", json!("wasmtime.cranelift")),
    ] {
        bringing.sign(Some(change.clone()), true);
        let (exit, document) = bringing.conform("wasmtime.pulley");
        assert_eq!(exit, 0, "{change:?}: {document}");
        assert!(!notes(&document).contains("ran forms"), "{document}");
    }

    bringing.sign(None, false);
    let (exit, document) = bringing.conform("wasmtime.pulley");
    assert_eq!(exit, 0, "without allow-native: {document}");
    // Winch would take code of the same wasmtime, but it is not what it compiles.
    bringing.sign(None, true);
    let (exit, document) = bringing.conform("wasmi");
    assert_eq!(exit, 0, "{document}");
}

#[test]
fn a_compiled_form_with_another_hash_rejects_the_pack() {
    let bringing = Bringing::new("wasmtime", PULLEY, KERNEL);
    bringing.sign(None, true);
    let file = bringing.pack.join("aot/code");
    let mut code = fs::read(&file).unwrap();
    *code.last_mut().unwrap() ^= 1;
    fs::write(&file, code).unwrap();
    let (exit, document) = bringing.conform("wasmtime.pulley");
    assert_eq!(exit, 3, "{document}");
    assert_eq!(document["code"], "hash-mismatch", "{document}");
}

/// Code for another engine that says it is for this one fails the kernel; it does not end anything else.
#[test]
fn a_compiled_form_that_an_engine_refuses_fails_the_kernel() {
    let other = if PULLEY == "pulley64" {
        "pulley32"
    } else {
        "pulley64"
    };
    let bringing = Bringing::new("wasmtime", other, KERNEL);
    bringing.sign(Some(("target", json!(PULLEY))), true);
    let (exit, document) = bringing.conform("wasmtime.pulley");
    assert_eq!(exit, 1, "{document}");
}

/// Names and inode numbers of a cache's files: a file that is written again is another one.
#[cfg(unix)]
fn kept(cache: &Path) -> BTreeMap<PathBuf, u64> {
    use std::os::unix::fs::MetadataExt;
    fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "code"))
        .map(|entry| (entry.path(), entry.metadata().unwrap().ino()))
        .collect()
}

/// Layer L3 asks for the bits of the native code, so whoever passes it has the same bits from the cache as without.
#[cfg(unix)]
fn the_core_pack_gives_the_same_bits_from_the_cache(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let run = |cached: bool| {
        let out = tempfile::tempdir().unwrap();
        let pack = core_pack();
        let mut arguments = vec!["conform", text(&pack), "--runtime", runtime];
        arguments.extend(["--cases", "8", "--out", text(out.path())]);
        if cached {
            arguments.extend(["--code-cache", text(&cache)]);
        }
        let (exit, document) = support::json(&arguments);
        assert_eq!(exit, 0, "{runtime}: {document}");
        assert_eq!(notes(&document).contains("code cache"), cached);
        document["counts"].clone()
    };
    let without = run(false);
    assert_eq!(run(true), without, "{runtime}: filling the cache");
    let filled = kept(&cache);
    assert!(filled.len() >= 12, "{runtime}: {filled:?}");
    assert_eq!(run(true), without, "{runtime}: from the cache");
    assert_eq!(
        kept(&cache),
        filled,
        "{runtime}: something was compiled again"
    );

    // One that was changed is made again; nothing else.
    let (spoiled, before) = filled.first_key_value().unwrap();
    let mut bytes = fs::read(spoiled).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(spoiled, bytes).unwrap();
    assert_eq!(run(true), without, "{runtime}: after a change");
    let again = kept(&cache);
    assert_ne!(
        &again[spoiled], before,
        "{runtime}: a changed file was left"
    );
    let differing = filled
        .iter()
        .filter(|(path, inode)| again[*path] != **inode);
    assert_eq!(differing.count(), 1, "{runtime}");
}

#[cfg(unix)]
#[test]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    ignore = "needs wasmtime.cranelift, which this target has not"
)]
fn the_core_pack_gives_the_same_bits_from_the_cache_of_cranelift() {
    the_core_pack_gives_the_same_bits_from_the_cache("wasmtime.cranelift");
}

#[cfg(unix)]
#[test]
fn the_core_pack_gives_the_same_bits_from_the_cache_of_pulley() {
    the_core_pack_gives_the_same_bits_from_the_cache("wasmtime.pulley");
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_can_write_is_not_used_and_the_report_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let out = folder.path().join("out");
    let pack = core_pack();
    let mut arguments = vec!["conform", text(&pack), "--runtime", "wasmtime.pulley"];
    arguments.extend(["--kernel", KERNEL, "--cases", "1", "--out", text(&out)]);
    arguments.extend(["--code-cache", text(&cache)]);
    let (exit, document) = support::json(&arguments);
    assert_eq!(exit, 0, "{document}");
    let notes = notes(&document);
    assert!(notes.contains("open to others"), "{notes}");
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
}

#[cfg(feature = "wamr")]
mod needs_wamrc {
    use super::{aot, check_files, core_pack};

    #[test]
    #[ignore = "needs assay-wamrc beside assay"]
    fn every_target_of_wamr_gives_files() {
        let folder = tempfile::tempdir().unwrap();
        for target in ["armv7", "aarch64", "x86_64"] {
            let out = folder.path().join(target);
            let (exit, document) = aot(&core_pack(), "wamr", target, &out, &["--kernel", "rope*"]);
            assert_eq!(exit, 0, "{document}");
            check_files(&out, &document, "wamr", target, b"\0aot");
        }
    }

    #[test]
    #[ignore = "needs assay-wamrc beside assay"]
    fn a_target_of_another_engine_has_a_reason_and_its_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let (exit, document) = aot(&core_pack(), "wamr", "pulley64", &out, &[]);
        let error = document["error"].as_str().unwrap();
        assert!(exit == 4 && error.contains("armv7"), "{error}");
    }

    #[test]
    #[ignore = "needs assay-wamrc beside assay"]
    fn a_compiled_form_for_this_machine_runs_where_all_of_it_fits() {
        let target = std::env::consts::ARCH;
        super::a_compiled_form_runs_where_all_of_it_fits("wamr", target, "wamr.aot");
    }

    #[cfg(unix)]
    #[test]
    #[ignore = "needs assay-wamrc beside assay"]
    fn the_core_pack_gives_the_same_bits_from_the_cache() {
        super::the_core_pack_gives_the_same_bits_from_the_cache("wamr.aot");
    }
}
