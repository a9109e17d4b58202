//! Kernels that are wrong in one way each are caught, each in the layer that should see it.

#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

mod support;

use serde_json::Value;
use std::fs;
use support::{core_pack, failing_layers, json, pack_of, root};

/// Two engines, so that agreement has something to compare.
const ENGINES: [&str; 2] = ["wasmi", "wasmtime.cranelift"];

fn conform(kernel: &str, module: &[u8]) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack_of(folder.path(), kernel, module);
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
        let (exit, document) = conform(text("kernel"), &module);
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
        let module = fs::read(core_pack().join(format!("kernels/{kernel}.wasm"))).unwrap();
        let (exit, document) = conform(kernel, &module);
        assert_eq!(
            exit,
            0,
            "{kernel}: {:?}",
            failing_layers(&document, "wasmi")
        );
        assert_eq!(document["verdict"], "pass");
    }
}
