//! The committed core pack, and making it again.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{self, fixtures, policy};
use kernel_pack::build::build_folder;
use kernel_pack::sign::{PackSigningKey, sign_folder};
use kernel_pack::{Pack, TrustList, compat, verify};

const KERNELS: [&str; 13] = [
    "rope_f32",
    "rope_f16",
    "rope_q8",
    "rmsnorm_f32",
    "rmsnorm_f16",
    "swiglu_f32",
    "swiglu_f16",
    "kv_pack_q4",
    "kv_pack_q8",
    "kv_unpack_q4",
    "kv_unpack_q8",
    "lora_apply_f32",
    "lora_apply_f16",
];

fn core() -> Pack {
    let packs = fixtures().join("packs");
    let trust = TrustList::read(&packs.join("trusted_keys")).unwrap();
    verify(&packs.join("core"), &trust, &policy()).unwrap()
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
fn the_core_pack_holds_every_kernel_with_its_vectors() {
    let pack = core();
    assert_eq!(
        (pack.name(), pack.version().to_string().as_str()),
        ("core", "1.6.0")
    );
    let ids: BTreeSet<_> = pack.kernels().iter().map(|kernel| kernel.id()).collect();
    assert_eq!(ids, BTreeSet::from(KERNELS));
    let with_vectors: BTreeSet<_> = pack
        .vectors()
        .iter()
        .map(|vector| vector.kernel())
        .collect();
    assert_eq!(with_vectors, ids);
    for kernel in pack.kernels() {
        assert_eq!(kernel.entry_point(), "kernel_forward");
        assert!(kernel.facts().has_backward, "{}", kernel.id());
        assert!(kernel.fallback().is_some(), "{}", kernel.id());
        assert!(
            u64::from(kernel.facts().heap_base)
                <= u64::from(kernel.facts().memory_minimum_pages) << 16
        );
    }
}

#[test]
fn every_platform_declares_the_features_the_modules_use() {
    for kernel in core().kernels() {
        let mut families: BTreeSet<&str> = BTreeSet::new();
        for (family, platform) in kernel.platforms() {
            families.insert(family);
            let undeclared: Vec<_> = kernel
                .facts()
                .features_used
                .difference(&platform.features)
                .collect();
            assert!(
                undeclared.is_empty(),
                "{} on {family} uses {undeclared:?}",
                kernel.id()
            );
        }
        assert_eq!(
            families,
            BTreeSet::from(["wamr", "wasmer", "wasmi", "wasmtime"])
        );
    }
}

#[test]
fn building_and_signing_again_gives_the_committed_bytes() {
    let packs = fixtures().join("packs");
    let folder = support::scratch();
    let key = PackSigningKey::read(&fixtures().join("keys/test.ed25519")).unwrap();
    for pack in ["core", "foreign"] {
        let again = folder.path().join(pack);
        copy(&packs.join(pack), &again);
        std::fs::remove_file(again.join("kernels.json")).unwrap();
        let template = packs.join(format!("{pack}.template.json"));
        build_folder(&again, &template, Some(&key.public())).unwrap();
        assert!(
            !again.join("kernels.json.sig").exists(),
            "the old signature does not hold"
        );
        sign_folder(&again, &key, &[]).unwrap();
        for file in ["kernels.json", "kernels.json.sig"] {
            let committed = std::fs::read(packs.join(pack).join(file)).unwrap();
            let made = std::fs::read(again.join(file)).unwrap();
            assert!(
                made == committed,
                "{file} of {pack} is not up to date: run scripts/make-pack"
            );
        }
    }
}

/// The manifest that the design of such packs gives as its example: fixtures/packs/README.md.
#[test]
fn the_example_manifest_of_the_design_is_accepted() {
    let packs = fixtures().join("packs");
    let trust = TrustList::read(&packs.join("trusted_keys")).unwrap();
    let pack = verify(&packs.join("design-example"), &trust, &policy()).unwrap();
    assert_eq!(pack.name(), "ruvllm-core-kernels");
    let kernel = &pack.kernels()[0];
    assert_eq!(kernel.entry_point(), "rope_forward");
    assert!(kernel.fallback().is_some());
    let [warning] = pack.warnings() else {
        panic!("{:?}", pack.warnings());
    };
    assert!(warning.contains("rmsnorm_f32"), "{warning}");
    // The module is the core pack's but for the name of the entry point.
    let original = core();
    let original = original.kernel("rope_f32").unwrap();
    assert_eq!(kernel.wasm().len(), original.wasm().len() - 2);
    // Key and hash alone differ from the text.
    let read = |path: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(packs.join(path)).unwrap()).unwrap()
    };
    let mut made = read("design-example/kernels.json");
    let text = read("design-example.template.json");
    made["author"]["signing_key"] = text["author"]["signing_key"].clone();
    made["kernels"][0]["hash"] = text["kernels"][0]["hash"].clone();
    assert_eq!(made, text);
}

#[test]
fn another_key_does_not_sign_the_core_pack() {
    let folder = support::scratch();
    let again = folder.path().join("core");
    copy(&fixtures().join("packs/core"), &again);
    let before = std::fs::read(again.join("kernels.json.sig")).unwrap();
    let error = sign_folder(&again, &support::trusted_key(), &[])
        .err()
        .unwrap();
    assert!(error.to_string().contains("author.signing_key"), "{error}");
    assert_eq!(
        std::fs::read(again.join("kernels.json.sig")).unwrap(),
        before
    );
}

#[test]
fn engines_are_gated_by_version_and_features() {
    let pack = core();
    let kernel = pack.kernel("rope_f32").unwrap();
    let all = BTreeSet::from(kernel_pack::Feature::ALL);
    let none = BTreeSet::new();
    let check = |id: &str, version: &str, features| {
        let version = version.parse().unwrap();
        let engine = compat::Engine {
            id,
            version: &version,
            features,
        };
        compat::check_engine(kernel, &engine).map_err(|rejection| rejection.code.as_str())
    };
    assert_eq!(check("wasmtime.pulley", "48.0.0", &all), Ok(()));
    assert_eq!(check("wasmtime", "47.9.9", &all), Err("runtime-too-old"));
    assert_eq!(
        check("wasmtime", "48.0.0-rc.1", &all),
        Err("runtime-too-old")
    );
    assert_eq!(check("wasmi", "2.0.0", &none), Err("feature-missing"));
    // The manifest says nothing about this engine; the modules still need what they use.
    assert_eq!(check("other", "0.1.0", &all), Ok(()));
    assert_eq!(check("other", "0.1.0", &none), Err("feature-missing"));
}
