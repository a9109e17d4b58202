//! Entries of kernels.

use kernel_pack::Code;
use serde_json::json;

use super::super::{Draft, MODULE, hash, tiny_module};
use super::{Defect, MANIFEST, TINY_ID, defect};

pub fn kernels() -> Vec<Defect> {
    let new = Draft::new;
    let set = |pointer: &str, value| new().set(&format!("/kernels/0/{pointer}"), value);
    let theta =
        |default| json!({"theta": {"type": "f32", "default": default, "min": 1, "max": 1e9}});
    let cases = vec![
        (
            "kernel-field-missing-category",
            new().remove("/kernels/0/category"),
        ),
        (
            "kernel-field-missing-platforms",
            new().remove("/kernels/0/platforms"),
        ),
        (
            "kernel-field-missing-limit",
            new().remove("/kernels/0/resource_limits/max_table_elements"),
        ),
        ("kernel-field-unknown", set("url", json!("x"))),
        ("kernel-without-outputs", set("outputs", json!([]))),
        (
            "limits-as-array",
            set("resource_limits", json!([4, 1000, 16])),
        ),
        (
            "limit-as-string",
            set("resource_limits/max_memory_pages", json!("4")),
        ),
        (
            "limit-as-float",
            set("resource_limits/max_memory_pages", json!(4.0)),
        ),
        (
            "limit-negative",
            set("resource_limits/max_memory_pages", json!(-4)),
        ),
        (
            "limit-memory-zero",
            set("resource_limits/max_memory_pages", json!(0)),
        ),
        (
            "limit-memory-beyond-host",
            set("resource_limits/max_memory_pages", json!(4097)),
        ),
        (
            "limit-ticks-zero",
            set("resource_limits/max_epoch_ticks", json!(0)),
        ),
        (
            "limit-ticks-beyond-host",
            set("resource_limits/max_epoch_ticks", json!(60_001)),
        ),
        (
            "limit-table-beyond-host",
            set("resource_limits/max_table_elements", json!(65_537)),
        ),
        ("dtype-unknown", set("inputs/0/dtype", json!("f64"))),
        (
            "tensor-as-array",
            set("inputs/0", json!(["x", "f32", ["rows"]])),
        ),
        ("shape-dimension-zero", set("inputs/0/shape/1", json!(0))),
        (
            "param-default-outside-range",
            set("params", theta(json!(0.5))),
        ),
        (
            "param-1e39-is-no-f32",
            set(
                "params",
                json!({"theta": {"type": "f32", "default": 1e39, "min": 1, "max": 1e39}}),
            ),
        ),
        ("param-type-unknown", set("params/theta/type", json!("f64"))),
        (
            "param-name-is-a-path",
            set(
                "params",
                json!({"../theta": {"type": "u32", "default": 1, "min": 1, "max": 1}}),
            ),
        ),
        (
            "feature-threads",
            set("platforms/wasmtime/features", json!(["threads"])),
        ),
        (
            "feature-relaxed-simd",
            set("platforms/wasmtime/features", json!(["relaxed-simd"])),
        ),
        (
            "platform-min-version-bad",
            set("platforms/wasmtime/min_version", json!("15")),
        ),
        (
            "benchmark-negative",
            set("benchmarks/rows_1/latency_us", json!(-1)),
        ),
        (
            "tolerance-field-unknown",
            set("tolerance", json!({"about": 1})),
        ),
        (
            "variant-without-features",
            set(
                "variants",
                json!([{"features": [], "path": MODULE, "hash": hash(&tiny_module())}]),
            ),
        ),
    ];
    let mut defects: Vec<Defect> = cases
        .into_iter()
        .map(|(name, draft)| defect(name, Code::ManifestInvalid, TINY_ID, MANIFEST, draft))
        .collect();
    let no_kernel = [
        ("kernel-id-upper-case", json!("Tiny")),
        ("kernel-id-empty", json!("")),
        ("kernel-id-is-a-path", json!("../tiny")),
        ("kernel-id-look-alike", json!("t\u{456}ny")),
        ("kernel-id-65-bytes", json!("a".repeat(65))),
        ("kernel-id-a-number", json!(1)),
    ];
    for (name, id) in no_kernel {
        defects.push(defect(
            name,
            Code::ManifestInvalid,
            None,
            MANIFEST,
            set("id", id),
        ));
    }
    let kernel_as_array = new().set("/kernels/0", json!(["tiny", "Does nothing"]));
    defects.push(defect(
        "kernel-as-array",
        Code::ManifestInvalid,
        None,
        MANIFEST,
        kernel_as_array,
    ));
    let mut twice = new();
    let copy = twice.kernel().clone();
    twice.manifest["kernels"].as_array_mut().unwrap().push(copy);
    defects.push(defect(
        "kernel-id-twice",
        Code::DuplicateKernel,
        TINY_ID,
        MANIFEST,
        twice,
    ));
    defects
}
