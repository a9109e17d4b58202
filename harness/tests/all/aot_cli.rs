//! `assay aot` and the code cache, as a user meets them. Packs that bring what `aot` made: forms_cli.rs.

#![cfg(feature = "wasmtime")]

use crate::support::{
    self,
    bringing::{KERNEL, PULLEY, aot, text},
    core_pack, thorough,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

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
    let trust = broken.join("trusted_keys");
    let broken = broken.join("module-bit-flipped");
    let trust = ["--trust", text(&trust)];
    let (exit, document) = aot(&broken, "wasmtime", PULLEY, &out, &trust);
    assert_eq!(exit, 3, "{document}");
    assert_eq!(document["code"], "hash-mismatch", "{document}");

    // A file where the folder should be.
    fs::write(&out, b"").unwrap();
    let (exit, document) = aot(&pack, "wasmtime", PULLEY, &out, &["--kernel", KERNEL]);
    assert_eq!(exit, 5, "{document}");
}

fn notes(document: &Value) -> String {
    document["notes"].to_string()
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

/// Kernels of f32 and of integers, each with a variant: as much as shows what a cache keeps.
#[cfg(unix)]
const SOME: [&str; 2] = ["rope_f32", "kv_pack_q8"];

/// Layer L3 asks for the bits of the native code, so whoever passes it has the same bits from the cache as without. The modules of the numeric
/// instructions go through the cache too.
#[cfg(unix)]
fn kernels_of_the_core_pack_give_the_same_bits_from_the_cache(runtime: &str, kernels: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let run = |cached: bool| {
        let out = tempfile::tempdir().unwrap();
        let pack = core_pack();
        let mut arguments = vec!["conform", text(&pack), "--runtime", runtime];
        arguments.extend(["--cases", "8", "--own-seed", "1", "--out", text(out.path())]);
        for kernel in kernels {
            arguments.extend(["--kernel", kernel]);
        }
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
    assert!(filled.len() >= 2 * kernels.len(), "{runtime}: {filled:?}");
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
fn kernels_of_the_core_pack_give_the_same_bits_from_the_cache_of_cranelift() {
    if !thorough() {
        return kernels_of_the_core_pack_give_the_same_bits_from_the_cache(
            "wasmtime.cranelift",
            &SOME,
        );
    }
    let pack: Value =
        serde_json::from_slice(&fs::read(core_pack().join("kernels.json")).unwrap()).unwrap();
    let kernels = pack["kernels"].as_array().unwrap().iter();
    let kernels: Vec<&str> = kernels
        .map(|kernel| kernel["id"].as_str().unwrap())
        .collect();
    kernels_of_the_core_pack_give_the_same_bits_from_the_cache("wasmtime.cranelift", &kernels);
}

#[cfg(unix)]
#[test]
fn kernels_of_the_core_pack_give_the_same_bits_from_the_cache_of_pulley() {
    kernels_of_the_core_pack_give_the_same_bits_from_the_cache("wasmtime.pulley", &SOME);
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

    #[cfg(unix)]
    #[test]
    #[ignore = "needs assay-wamrc beside assay"]
    fn kernels_of_the_core_pack_give_the_same_bits_from_the_cache() {
        super::kernels_of_the_core_pack_give_the_same_bits_from_the_cache("wamr.aot", &super::SOME);
    }
}
