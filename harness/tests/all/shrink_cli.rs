//! Failing calls become small ones: of contracts that are data, and of what is known by heart.

use crate::{
    foreign_cli::{Variation, right},
    support::{adapter_with, core_pack, forward_of, json, pack_of, root},
};
use kernel_pack::{build::build_folder, sign::PackSigningKey, sign::sign_folder};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The module whose entry calls its own and then, where that did its work, runs these instructions.
fn after(module: &[u8], code: &str) -> Vec<u8> {
    let own = forward_of(module);
    let text = wasmprinter::print_bytes(module).unwrap();
    let export = format!(r#"(export "kernel_forward" (func {own}))"#);
    assert!(text.contains(&export), "{export}");
    let text = text.replacen(&export, "", 1);
    let end = text.rfind(')').unwrap();
    let entry = format!(
        r#"(func (export "kernel_forward") (param i32) (result i32) (local $status i32) (local $at i32)
            local.get 0 call {own} local.tee $status i32.eqz if {code} end
            local.get $status
        )"#
    );
    wat::parse_str(format!("{}{entry})", &text[..end])).unwrap()
}

/// The module with a section at its end that the kernel's own has there too, by which the adapter knows one.
fn with_end_of(module: &[u8], kernel: &str) -> Vec<u8> {
    let honest = fs::read(right(kernel)).unwrap();
    let mut changed = module.to_vec();
    // A section of its own, named by the last byte of the other one.
    changed.extend([0, 2, 1, honest[honest.len() - 1]]);
    changed
}

/// The word of the parameters at this offset.
fn param(offset: u32) -> String {
    format!("local.get 0 i32.load offset=32 i32.load offset={offset}")
}

/// Makes the last element of the first row another one, where rows are longer than 8; their length is this parameter.
fn last_column(module: &[u8], length: u32) -> Vec<u8> {
    let length = param(length);
    let change = format!(
        "{length} i32.const 8 i32.gt_u if
            {length} i32.const 2 i32.shl local.get 0 i32.load offset=16 i32.add i32.const 4 i32.sub
            local.set $at
            local.get $at local.get $at i32.load i32.const 0x400000 i32.xor i32.store
        end"
    );
    after(module, &change)
}

/// The foreign pack with this module of a kernel, with its truth or without.
fn pack(folder: &Path, kernel: &str, module: &[u8], truth: bool) -> PathBuf {
    let file = folder.join("faulty.wasm");
    fs::write(&file, module).unwrap();
    let variation = Variation {
        kernels: vec![kernel],
        module: &|_| file.clone(),
        truth,
        vectors: if truth { usize::MAX } else { 0 },
    };
    variation.write(folder)
}

/// What `assay conform` lists as failing cases of a kernel; results are in `results` below the folder.
fn failures(folder: &Path, pack: &Path, kernel: &str, further: &[&str]) -> Vec<Value> {
    let out = folder.join("results");
    let mut arguments = vec!["conform", pack.to_str().unwrap(), "--kernel", kernel];
    arguments.extend(["--seed", "2", "--own-seed", "3"]);
    arguments.extend(["--out", out.to_str().unwrap()]);
    arguments.extend(further);
    let (exit, mut document) = json(&arguments);
    assert_eq!(exit, 1, "{document:#}");
    let results = document["results"].as_array_mut().unwrap();
    results.retain(|entry| entry["case"].is_string() && entry["outcome"] == "fail");
    std::mem::take(results)
}

const ONE: [&str; 4] = ["--runtime", "wasmtime.cranelift", "--cases", "2"];

/// The entry of a layer that was made smaller: the first one of its kind.
fn shrunk<'a>(failures: &'a [Value], layer: &str) -> &'a Value {
    let mut all = failures.iter();
    let found = all.find(|entry| entry["layer"] == layer && entry["shrunk"].is_string());
    found.unwrap_or_else(|| panic!("{layer}: {failures:#?}"))
}

/// The smallest call's parameters, as words, and its input a, as f32.
fn smallest(folder: &Path, entry: &Value, name: &str) -> (Vec<u32>, Vec<f32>) {
    let bytes = entry["bytes"].as_str().unwrap();
    let folder = folder.join("results").join(bytes).join(name);
    let words = |file: &str| -> Vec<u32> {
        let bytes = fs::read(folder.join(file)).unwrap();
        let (words, rest) = bytes.as_chunks();
        assert!(rest.is_empty());
        words.iter().map(|word| u32::from_le_bytes(*word)).collect()
    };
    let a = words("a.bin").into_iter().map(f32::from_bits).collect();
    (words("params.bin"), a)
}

/// The author's reference module is asked about each smaller call.
#[test]
fn a_fault_in_the_last_column_of_rows_longer_than_8_shrinks_to_one_row_of_9() {
    let kernel = "fused_add_rmsnorm";
    let folder = tempfile::tempdir().unwrap();
    let module = last_column(&fs::read(right(kernel)).unwrap(), 4);
    let pack = pack(folder.path(), kernel, &module, true);
    let failures = failures(folder.path(), &pack, kernel, &ONE);
    let entry = shrunk(&failures, "L4");
    let said = entry["shrunk"].as_str().unwrap();
    assert!(
        said.contains("a 36 bytes") && said.contains("element 8 of output; truth: the author's"),
        "{said}"
    );
    let (params, a) = smallest(folder.path(), entry, "smallest-L4");
    assert_eq!(params, [1, 9, 1e-5_f32.to_bits()]);
    assert!(a.iter().all(|value| [0.0, 1.0].contains(value)), "{a:?}");
}

/// Where nothing but properties judges drawn calls, two calls become smaller together.
#[test]
fn calls_that_contradict_each_other_are_made_smaller_together() {
    let kernel = "fused_add_rmsnorm";
    let folder = tempfile::tempdir().unwrap();
    let module = last_column(&fs::read(right(kernel)).unwrap(), 4);
    let pack = pack(folder.path(), kernel, &module, false);
    let more = ["--runtime", "wasmtime.cranelift", "--cases", "8"];
    let failures = failures(folder.path(), &pack, kernel, &more);
    let entry = shrunk(&failures, "L7");
    let case = entry["case"].as_str().unwrap();
    assert!(case.contains('/'), "{case}");
    let said = entry["shrunk"].as_str().unwrap();
    assert!(
        said.contains("does not hold between this call and"),
        "{said}"
    );
    let (params, one) = smallest(folder.path(), entry, "smallest-L7");
    let (others, other) = smallest(folder.path(), entry, "smallest-L7-of");
    assert_eq!((params[1], others[1]), (9, 9), "{said}");
    assert!(
        params[0] <= others[0] && others[0] <= 2,
        "{params:?} {others:?}"
    );
    assert_eq!(
        (one.len(), other.len()),
        (9 * params[0] as usize, 9 * others[0] as usize)
    );
}

/// No native build says what is right: the engine that answers otherwise is asked again.
#[test]
fn a_call_on_which_engines_disagree_is_made_smaller() {
    let kernel = "fused_add_rmsnorm";
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    fs::create_dir(&own).unwrap();
    let module = last_column(&fs::read(right(kernel)).unwrap(), 4);
    fs::write(own.join("fused.wasm"), with_end_of(&module, kernel)).unwrap();
    let adapter = adapter_with(&["own-kernels", own.to_str().unwrap()]);
    let mut more = vec!["--adapter", &adapter, "--runtime", "liar.own-kernels"];
    more.extend(ONE);
    let pack = root().join("fixtures/packs/foreign");
    let failures = failures(folder.path(), &pack, kernel, &more);
    for (runtime, other) in [
        ("wasmtime.cranelift", "liar.own-kernels"),
        ("liar.own-kernels", "wasmtime.cranelift"),
    ] {
        let mut of_engine = failures.clone();
        of_engine.retain(|entry| entry["runtime"] == runtime);
        let entry = shrunk(&of_engine, "L2");
        let said = entry["shrunk"].as_str().unwrap();
        let due = format!("differs from {other}: index 8");
        assert!(said.contains("a 36 bytes") && said.contains(&due), "{said}");
    }
}

#[test]
fn shrinking_a_call_that_does_not_end_ends_itself() {
    let kernel = "gelu_erf";
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(right(kernel)).unwrap();
    let hangs = format!("{} i32.const 8 i32.gt_u if loop br 0 end end", param(4));
    let pack = pack(folder.path(), kernel, &after(&module, &hangs), true);
    // Half a second for a call.
    let template = folder.path().join("template.json");
    let text = fs::read_to_string(&template).unwrap();
    fs::write(
        &template,
        text.replace(r#""max_epoch_ticks": 1000"#, r#""max_epoch_ticks": 50"#),
    )
    .unwrap();
    let key = PackSigningKey::read(&root().join("fixtures/keys/test.ed25519")).unwrap();
    build_folder(&pack, &template, Some(&key.public())).unwrap();
    sign_folder(&pack, &key, &[]).unwrap();
    let begin = std::time::Instant::now();
    let failures = failures(folder.path(), &pack, kernel, &ONE);
    assert!(begin.elapsed().as_secs() < 60);
    let entry = shrunk(&failures, "L1");
    let said = entry["shrunk"].as_str().unwrap();
    assert!(said.contains("Epoch"), "{said}");
    let (params, _) = smallest(folder.path(), entry, "smallest-L1");
    assert_eq!(params, [1, 9], "{said}");
    // What fails for the same reason is made smaller once.
    assert_eq!(shrunk(&failures, "L6")["shrunk"], entry["shrunk"]);
}

/// Cases that are drawn as no tree.
#[test]
fn cases_of_every_family_of_a_known_kernel_are_made_smaller() {
    let kernel = "rmsnorm_f32";
    let folder = tempfile::tempdir().unwrap();
    let module = fs::read(core_pack().join(format!("kernels/{kernel}.wasm"))).unwrap();
    let pack = pack_of(folder.path(), kernel, &last_column(&module, 4), None);
    for case in ["together:model-3x171", "large:rest-1x2049"] {
        let more = ["--runtime", "wasmtime.cranelift", "--case", case];
        let failures = failures(folder.path(), &pack, kernel, &more);
        let entry = shrunk(&failures, "L4");
        let said = entry["shrunk"].as_str().unwrap();
        assert!(
            said.contains("a 36 bytes, b 36 bytes, output 36 bytes"),
            "{said}"
        );
        let (params, _) = smallest(folder.path(), entry, "smallest-L4");
        assert_eq!(params, [1e-5_f32.to_bits(), 9, 1]);
    }
}
