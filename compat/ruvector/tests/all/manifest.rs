//! What each side reads of a manifest, and which manifests only one of them takes.

use crate::support::{CORE, DESIGN_EXAMPLE, changed, manifest, manifest_text};
use kernel_pack::{Code, HostCaps, Manifest};
use ruvector_wasm::kernel::manifest::{KernelManifest, KernelParam, ShapeDim};
use ruvector_wasm::kernel::{MAX_MANIFEST_VERSION, RUNTIME_VERSION};
use semver::Version;
use serde_json::{Value, json};
use std::collections::HashMap;

fn ours(text: &str) -> Result<Manifest, kernel_pack::Rejection> {
    Manifest::parse(text.as_bytes(), &HostCaps::default())
}

#[test]
fn both_sides_read_the_same_kernels() {
    for pack in [CORE, DESIGN_EXAMPLE] {
        let client = manifest(pack);
        let ours = ours(&manifest_text(pack)).unwrap();
        assert_eq!(client.name, ours.name);
        assert_eq!(Version::parse(&client.version).unwrap(), ours.version);
        assert_eq!(client.kernels.len(), ours.kernels.len());
        for (client, ours) in client.kernels.iter().zip(&ours.kernels) {
            assert_eq!(client.id, ours.id);
            assert_eq!(json!(client.category), json!(ours.category));
            assert_eq!(client.path, ours.file.path);
            assert_eq!(client.entry_point, ours.entry_point);
            assert_eq!(client.inputs.len(), ours.inputs.len());
            assert_eq!(client.outputs.len(), ours.outputs.len());
            assert_eq!(client.params.len(), ours.params.len());
            assert_eq!(client.platforms.len(), ours.platforms.len());
            let (limits, our_limits) = (&client.resource_limits, &ours.limits);
            assert_eq!(limits.max_memory_pages, our_limits.max_memory_pages);
            assert_eq!(limits.max_epoch_ticks, our_limits.max_epoch_ticks);
            assert_eq!(limits.max_table_elements, our_limits.max_table_elements);
        }
        assert_eq!(client.fallbacks.is_empty(), ours.fallbacks.is_empty());
    }
}

/// The struct of parameters has the manifest's order. The client reads them into a map without one.
#[test]
fn the_client_loses_the_order_of_parameters() {
    let manifest = manifest(CORE);
    let params: &HashMap<String, KernelParam> = &manifest.get_kernel("rmsnorm_f32").unwrap().params;
    assert_eq!(params.len(), 3);
}

/// Dimensions such as `head_dim/2` are names like any other to the client.
#[test]
fn the_client_does_not_evaluate_dimensions() {
    let manifest = manifest(CORE);
    let angles = &manifest.get_kernel("rope_f32").unwrap().inputs[1];
    assert!(matches!(&angles.shape[1], ShapeDim::Symbolic(name) if name == "head_dim/2"));
}

#[test]
fn the_client_drops_what_it_does_not_know() {
    let before: Value = serde_json::from_str(&manifest_text(CORE)).unwrap();
    let rewritten = manifest(CORE).to_json().unwrap();
    let after: Value = serde_json::from_str(&rewritten).unwrap();
    assert!(before["vectors"].is_array() && after.get("vectors").is_none());
    let dropped: Vec<_> = before["kernels"][0]
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| after["kernels"][0].get(key.as_str()).is_none())
        .collect();
    assert_eq!(dropped, ["tolerance", "variants"]);

    // What it adds: `null` for what is absent, which this project takes for a value.
    let limits = &after["kernels"][0]["resource_limits"];
    assert!(limits["max_stack_size"].is_null() && limits["max_globals"].is_null());
    let refused = ours(&rewritten).unwrap_err();
    assert_eq!(refused.code, Code::ManifestInvalid, "{refused}");
}

/// The client states a version for each of the two ranges of a manifest, and compares neither: it would refuse both
/// packs.
#[test]
fn the_client_is_outside_the_range_of_runtimes_and_reads_the_pack_all_the_same() {
    let client = Version::parse(RUNTIME_VERSION).unwrap();
    for pack in [CORE, DESIGN_EXAMPLE] {
        let manifest = manifest(pack);
        assert!(client > Version::parse(&manifest.max_runtime_version).unwrap());
    }
    // The "maximum supported kernel manifest schema version" has nothing to be compared with but the version of the
    // pack.
    let largest = Version::parse(MAX_MANIFEST_VERSION).unwrap();
    assert!(Version::parse(&manifest(CORE).version).unwrap() > largest);
}

/// A change of the core pack's manifest.
type Change = fn(&mut Value);

/// With how the client begins its refusal.
const ONLY_OURS: &[(&str, Change, &str)] = &[
    (
        "no description",
        |m| remove(m, "", "description"),
        "missing field `description`",
    ),
    (
        "another category",
        |m| m["kernels"][0]["category"] = json!("elementwise"),
        "unknown variant `elementwise`",
    ),
    (
        "a tensor of u32",
        |m| m["kernels"][0]["inputs"][0]["dtype"] = json!("u32"),
        "unknown variant `u32`",
    ),
    (
        "a fraction of a microsecond",
        |m| {
            m["kernels"][0]["benchmarks"] =
                json!({"one": {"latency_us": 3.5, "throughput_gflops": 1.0}});
        },
        "invalid type: floating point `3.5`, expected u64",
    ),
];

/// With the code by which this project refuses.
const ONLY_CLIENT: &[(&str, Change, Code)] = &[
    (
        "no schema",
        |m| remove(m, "", "$schema"),
        Code::ManifestInvalid,
    ),
    (
        "another schema",
        |m| m["$schema"] = json!("https://example.com/v9.json"),
        Code::SchemaUnsupported,
    ),
    (
        "an unknown field",
        |m| m["speed"] = json!(1),
        Code::ManifestInvalid,
    ),
    (
        "a time that is none",
        |m| m["created_at"] = json!("yesterday"),
        Code::ManifestInvalid,
    ),
    (
        "a range of runtimes that is none",
        |m| m["min_runtime_version"] = json!("newest"),
        Code::ManifestInvalid,
    ),
    (
        "a key that is none",
        |m| m["author"]["signing_key"] = json!("nobody"),
        Code::ManifestInvalid,
    ),
    (
        "two kernels of one id",
        |m| {
            let first = m["kernels"][0].clone();
            m["kernels"].as_array_mut().unwrap().push(first);
        },
        Code::DuplicateKernel,
    ),
    (
        "no kernels",
        |m| m["kernels"] = json!([]),
        Code::ManifestInvalid,
    ),
    (
        "a path out of the pack",
        |m| m["kernels"][0]["path"] = json!("../outside.wasm"),
        Code::PathEscape,
    ),
    (
        "a hash in capitals",
        |m| m["kernels"][0]["hash"] = json!(format!("sha256:{}", "AB".repeat(32))),
        Code::HashMalformed,
    ),
    (
        "no outputs",
        |m| m["kernels"][0]["outputs"] = json!([]),
        Code::ManifestInvalid,
    ),
    (
        "no platforms",
        |m| remove(m, "/kernels/0", "platforms"),
        Code::ManifestInvalid,
    ),
    (
        "an engine's version that is none",
        |m| m["kernels"][0]["platforms"]["wasmi"]["min_version"] = json!("any"),
        Code::ManifestInvalid,
    ),
    (
        "a feature that does not exist",
        |m| m["kernels"][0]["platforms"]["wasmi"]["features"] = json!(["telepathy"]),
        Code::ManifestInvalid,
    ),
    (
        "a parameter of f64",
        |m| m["kernels"][0]["params"]["theta"]["type"] = json!("f64"),
        Code::ManifestInvalid,
    ),
    (
        "a default out of its range",
        |m| m["kernels"][0]["params"]["layout"]["default"] = json!(2),
        Code::ManifestInvalid,
    ),
    (
        "a bound that is null",
        |m| m["kernels"][0]["params"]["layout"]["max"] = json!(null),
        Code::ManifestInvalid,
    ),
    (
        "a size of the stack",
        |m| m["kernels"][0]["resource_limits"]["max_stack_size"] = json!(65_536),
        Code::ManifestInvalid,
    ),
    (
        "a number of globals",
        |m| m["kernels"][0]["resource_limits"]["max_globals"] = json!(8),
        Code::ManifestInvalid,
    ),
    (
        "a memory of 4 GiB",
        |m| m["kernels"][0]["resource_limits"]["max_memory_pages"] = json!(65_536),
        Code::ManifestInvalid,
    ),
    (
        "no time at all",
        |m| m["kernels"][0]["resource_limits"]["max_epoch_ticks"] = json!(0),
        Code::ManifestInvalid,
    ),
    (
        "time for ever",
        |m| m["kernels"][0]["resource_limits"]["max_epoch_ticks"] = json!(u64::MAX),
        Code::ManifestInvalid,
    ),
];

fn remove(manifest: &mut Value, place: &str, key: &str) {
    let removed = manifest
        .pointer_mut(place)
        .and_then(Value::as_object_mut)
        .and_then(|object| object.remove(key));
    assert!(removed.is_some(), "{place}/{key}");
}

#[test]
fn manifests_that_only_this_project_takes() {
    ours(&changed(|_| ())).unwrap();
    for &(what, change, refusal) in ONLY_OURS {
        let text = changed(change);
        ours(&text).unwrap_or_else(|rejection| panic!("{what}: {rejection}"));
        let error = KernelManifest::from_json(&text)
            .expect_err(what)
            .to_string();
        assert!(error.starts_with(refusal), "{what}: {error}");
    }
}

#[test]
fn manifests_that_only_the_client_takes() {
    for &(what, change, code) in ONLY_CLIENT {
        let text = changed(change);
        KernelManifest::from_json(&text).unwrap_or_else(|error| panic!("{what}: {error}"));
        let rejection = ours(&text).expect_err(what);
        assert_eq!(rejection.code, code, "{what}: {rejection}");
    }
}
