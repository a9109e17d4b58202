//! Kernels that are wrong in one way each are caught, each in the layer that should see it.

use crate::support::{core_pack, failing_layers, json, pack_of, root};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

/// Two engines, so that agreement has something to compare.
const ENGINES: [&str; 2] = ["wasmi", "wasmtime.cranelift"];

fn conform(kernel: &str, module: &[u8], variant: Option<&[u8]>) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack_of(folder.path(), kernel, module, variant);
    let out = folder.path().join("results");
    json(&[
        "conform",
        pack.to_str().unwrap(),
        "--runtime",
        ENGINES[0],
        "--runtime",
        ENGINES[1],
        "--out",
        out.to_str().unwrap(),
    ])
}

#[test]
fn every_planted_fault_is_caught_in_its_layer() {
    let folder = root().join("fixtures/faulty");
    let faults: Value =
        serde_json::from_slice(&fs::read(folder.join("faults.json")).unwrap()).unwrap();
    let faults = faults.as_array().unwrap();
    assert!(
        faults.len() >= 12,
        "only {} faults are planted",
        faults.len()
    );
    let mut missed = Vec::new();
    for fault in faults {
        let text = |key: &str| fault[key].as_str().unwrap();
        let module = fs::read(folder.join(text("file"))).unwrap();
        let (exit, document) = conform(text("kernel"), &module, None);
        for engine in ENGINES {
            let layers = failing_layers(&document, engine);
            println!("{} on {engine}: {layers:?}", text("fault"));
            if exit != 1
                || document["verdict"] != "fail"
                || !layers.iter().any(|(layer, _)| layer == text("layer"))
            {
                missed.push(format!(
                    "{} on {engine}: exit {exit}, {} expected, fails {layers:?}",
                    text("fault"),
                    text("layer")
                ));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// The control: the same packs with the right modules pass, so that it is the fault that is caught.
#[test]
fn the_same_packs_with_the_right_kernels_pass() {
    for kernel in [
        "rope_f32",
        "rmsnorm_f32",
        "lora_apply_f32",
        "swiglu_f32",
        "kv_pack_q4",
        "kv_pack_q8",
        "kv_unpack_q8",
    ] {
        let [module, variant] = modules(kernel);
        let (exit, document) = conform(kernel, &module, Some(&variant));
        assert_eq!(
            exit,
            0,
            "{kernel}: {:?}",
            failing_layers(&document, "wasmi")
        );
        assert_eq!(document["verdict"], "pass");
    }
}

/// A variant is judged for itself: by its own votes, its own native build and the truth. The base module beside it is right.
#[test]
fn a_wrong_variant_is_caught_and_its_base_module_is_not_blamed() {
    let [base, _] = modules("rmsnorm_f32");
    let wrong = fs::read(root().join("fixtures/faulty/eps_outside_root.wasm")).unwrap();
    for (variant, layer) in [
        (&wrong, "L4"),
        // Right in its values, but it adds in the order of base modules.
        (&base, "L3"),
    ] {
        let (exit, document) = conform("rmsnorm_f32", &base, Some(variant));
        assert_eq!(exit, 1);
        for engine in ENGINES {
            let failing: BTreeSet<_> = document["results"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|entry| entry["runtime"] == engine && entry["outcome"] == "fail")
                .map(|entry| (entry["variant"].as_str(), entry["layer"].as_str()))
                .collect();
            assert!(
                failing.contains(&(Some("simd"), Some(layer))),
                "{engine}: {failing:?}"
            );
            assert!(
                failing.iter().all(|(variant, _)| *variant == Some("simd")),
                "{engine}: {failing:?}"
            );
        }
    }
}

/// A kernel's base module and its variant in the core pack.
fn modules(kernel: &str) -> [Vec<u8>; 2] {
    ["wasm", "simd.wasm"]
        .map(|suffix| fs::read(core_pack().join(format!("kernels/{kernel}.{suffix}"))).unwrap())
}
