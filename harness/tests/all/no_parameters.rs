//! A kernel without parameters: `kernel_init` has nothing to take, wherever that lies.

use crate::support::{json, root};
use kernel_pack::{build::build_folder, sign::PackSigningKey, sign::sign_folder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

/// The small exports of such a kernel as they are to be; what it computes is nothing. `$refused` is its answer to parameters.
fn module(refused: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 1) (global (export "__heap_base") i32 (i32.const 1032))
        (data (i32.const 16) "relu")
        (func $lies (param $at i32) (param $size i64) (param $mask i32) (result i32)
          (i32.and (i32.and (i32.ge_u (local.get $at) (i32.const 1032)) (i32.eqz (i32.and (local.get $at) (local.get $mask))))
            (i64.le_u (i64.add (i64.extend_i32_u (local.get $at)) (local.get $size)) (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16)))))
        (func (export "kernel_forward") (param $d i32) (result i32)
          (select (i32.const 6) (i32.const 1) (call $lies (local.get $d) (i64.const 40) (i32.const 15))))
        (func (export "kernel_init") (param i32 i32) (result i32)
          (if (result i32) (local.get 1) (then {refused}) (else (i32.const 0))))
        (func (export "kernel_info") (param $out i32) (result i32)
          (if (i32.eqz (call $lies (local.get $out) (i64.const 20) (i32.const 3))) (then (return (i32.const 2))))
          (i32.store (local.get $out) (i32.const 16))
          (i32.store offset=4 (local.get $out) (i32.const 4))
          (i32.store offset=8 (local.get $out) (i32.const 0x10001))
          (i64.store offset=12 (local.get $out) (i64.const 0))
          (i32.const 0))
        (func (export "kernel_cleanup") (result i32) (i32.const 0)))"#
    );
    wat::parse_str(text).unwrap()
}

/// A pack of this kernel and of a reference that is another module.
fn pack(folder: &Path, module: &[u8]) -> String {
    let pack = folder.join("pack");
    let reference = self::module("(i32.const 4)");
    let digest = hex::encode(Sha256::digest(&reference));
    for (path, contents) in [
        ("kernels/relu.wasm", module),
        ("reference/relu.wasm", &reference),
        (
            "contracts/relu.json",
            json!({
                "axes": {"n": {"min": 1}},
                "tolerance": {"bits": true},
                "truth": [{"reference": {"path": "reference/relu.wasm", "entry_point": "kernel_forward", "hash": format!("sha256:{digest}")}}],
            })
            .to_string()
            .as_bytes(),
        ),
    ] {
        let file = pack.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, contents).unwrap();
    }
    let template = fs::read(root().join("fixtures/packs/foreign.template.json")).unwrap();
    let mut template: Value = serde_json::from_slice(&template).unwrap();
    template["vectors"] = json!([]);
    let tensor = |name: &str| json!([{"name": name, "dtype": "f32", "shape": ["n"]}]);
    template["kernels"] = json!([{
        "id": "relu", "name": "relu", "category": "elementwise", "path": "kernels/relu.wasm", "entry_point": "kernel_forward",
        "inputs": tensor("x"), "outputs": tensor("y"), "params": {},
        "resource_limits": {"max_memory_pages": 64, "max_epoch_ticks": 100, "max_table_elements": 1},
        "platforms": {}, "contract": {"path": "contracts/relu.json"},
    }]);
    let file = folder.join("template.json");
    fs::write(&file, template.to_string()).unwrap();
    let key = PackSigningKey::read(&root().join("fixtures/keys/test.ed25519")).unwrap();
    build_folder(&pack, &file, Some(&key.public())).unwrap();
    sign_folder(&pack, &key, &[]).unwrap();
    pack.to_str().unwrap().to_owned()
}

/// How what concerns the module as a whole ended.
fn of_module(refused: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack(folder.path(), &module(refused));
    let out = folder.path().join("results");
    let command = ["conform", &pack, "--runtime", "wasmi", "--cases", "1"];
    let more = ["--out", out.to_str().unwrap()];
    let (_, document) = json(&[&command[..], &more].concat());
    let results = document["results"].as_array().unwrap();
    let of_module = results.iter().find(|entry| entry["case"] == "edge:module");
    let word = |key: &str| {
        let value = of_module.map(|entry| entry[key].as_str().unwrap_or_default().to_owned());
        value.unwrap_or_default()
    };
    assert!(!results.is_empty(), "{document:#}");
    (word("outcome"), word("detail"))
}

#[test]
fn no_parameters_are_taken_wherever_they_lie_and_any_others_are_refused() {
    assert_eq!(
        of_module("(i32.const 3)"),
        (String::new(), String::new()),
        "what passes is not listed by itself"
    );
    let (outcome, detail) = of_module("(i32.const 0)");
    assert_eq!(outcome, "fail");
    assert!(detail.contains("answered 0 where 3 is due"), "{detail}");
}
