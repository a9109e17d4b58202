//! The manifest as JSON, and its top level.

use kernel_pack::{Code, SCHEMA};
use serde_json::json;

use super::super::{Draft, hash, trusted_key};
use super::{Defect, MANIFEST, TINY_ID, defect};

pub fn malformed() -> Vec<Defect> {
    let text = String::from_utf8(Draft::new().manifest_text()).unwrap();
    let cases: Vec<(&'static str, Draft)> = vec![
        (
            "json-byte-order-mark",
            Draft::new().bytes(format!("\u{feff}{text}").into_bytes()),
        ),
        (
            "json-utf16",
            Draft::new().bytes(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ),
        (
            "json-not-utf8",
            Draft::new().bytes(
                text.replace("Test author", "Test \u{1}")
                    .into_bytes()
                    .into_iter()
                    .map(|b| if b == 1 { 0xff } else { b })
                    .collect(),
            ),
        ),
        ("json-empty", Draft::new().bytes(Vec::new())),
        (
            "json-truncated",
            Draft::new().bytes(text.as_bytes()[..text.len() / 2].to_vec()),
        ),
        (
            "json-trailing-object",
            Draft::new().bytes(format!("{text}{{}}").into_bytes()),
        ),
        (
            "json-trailing-nul",
            Draft::new().bytes(format!("{text}\0").into_bytes()),
        ),
        (
            "json-trailing-comma",
            Draft::new().text("\"1.2.3\"\n}", "\"1.2.3\",\n}"),
        ),
        ("json-comment", Draft::new().text("{", "{ // comment\n")),
        (
            "json-duplicate-key",
            Draft::new().text(
                "\"name\": \"tiny\",",
                "\"name\": \"tiny\", \"name\": \"other\",",
            ),
        ),
        (
            "json-duplicate-key-escaped",
            Draft::new().text(
                "\"name\": \"tiny\",",
                "\"name\": \"tiny\", \"n\\u0061me\": \"tiny\",",
            ),
        ),
        (
            "json-duplicate-hash",
            Draft::new().text("\"hash\"", "\"hash\": \"sha256:0\", \"hash\""),
        ),
        (
            "json-duplicate-key-in-params",
            Draft::new().text("\"min\": 1,", "\"min\": 1, \"min\": 0,"),
        ),
        (
            "json-duplicate-key-in-extension",
            Draft::new().text("{", "{\"x-note\": {\"a\": 1, \"a\": 2},"),
        ),
        (
            "json-nested-33-deep",
            Draft::new().text(
                "{",
                &format!("{{\"x-deep\": {}{},", "[".repeat(32), "]".repeat(32)),
            ),
        ),
        (
            "json-nested-100000-deep",
            Draft::new().text("{", &format!("{{\"x-deep\": {}", "[".repeat(100_000))),
        ),
        ("json-number-1e999", Draft::new().text("10000.0", "1e999")),
        (
            "json-number-leading-zero",
            Draft::new().text("10000.0", "010000"),
        ),
        ("json-number-nan", Draft::new().text("10000.0", "NaN")),
        (
            "json-lone-surrogate",
            Draft::new().text("Test author", "\\ud800"),
        ),
    ];
    let mut defects: Vec<Defect> = cases
        .into_iter()
        .map(|(name, draft)| defect(name, Code::ManifestMalformed, None, MANIFEST, draft))
        .collect();
    let mut large = text.into_bytes();
    large.resize((1 << 20) + 1, b' ');
    defects.push(defect(
        "manifest-over-1-mib",
        Code::ManifestTooLarge,
        None,
        MANIFEST,
        Draft::new().bytes(large),
    ));
    defects
}

pub fn top_level() -> Vec<Defect> {
    use Code::*;
    let new = Draft::new;
    let array = json!([SCHEMA, "tiny", "1.2.3"]);
    let invalid = |name, draft| defect(name, ManifestInvalid, None, MANIFEST, draft);
    vec![
        invalid(
            "top-level-array",
            new().bytes(serde_json::to_vec(&array).unwrap()),
        ),
        invalid("top-level-null", new().bytes(b"null".to_vec())),
        invalid("field-missing-version", new().remove("/version")),
        invalid("field-missing-created-at", new().remove("/created_at")),
        invalid("field-missing-schema", new().remove("/$schema")),
        invalid(
            "field-unknown",
            new().set("/homepage", json!("https://tiny.example")),
        ),
        invalid(
            "field-unknown-in-author",
            new().set("/author/url", json!("x")),
        ),
        invalid(
            "author-as-array",
            new().set(
                "/author",
                json!(["Test author", "a@b.example", trusted_key().public()]),
            ),
        ),
        invalid(
            "author-key-not-base64",
            new().set("/author/signing_key", json!("ed25519:AAAA...")),
        ),
        invalid(
            "author-email-without-at",
            new().set("/author/email", json!("nobody")),
        ),
        invalid("name-is-a-path", new().set("/name", json!("../tiny"))),
        invalid("name-with-nul", new().set("/name", json!("tiny\0"))),
        invalid("name-look-alike", new().set("/name", json!("t\u{456}ny"))),
        invalid("version-not-semantic", new().set("/version", json!("1.2"))),
        invalid(
            "created-at-not-rfc3339",
            new().set("/created_at", json!("2026-01-18")),
        ),
        invalid("expires-at-null", new().set("/expires_at", json!(null))),
        invalid(
            "min-above-max-runtime-version",
            new().set("/min_runtime_version", json!("1.0.1")),
        ),
        invalid("kernels-empty", new().set("/kernels", json!([]))),
        invalid("kernels-as-object", new().set("/kernels", json!({"0": {}}))),
        defect(
            "fallback-to-itself",
            ManifestInvalid,
            TINY_ID,
            MANIFEST,
            new().set("/fallbacks", json!({"tiny": "tiny"})),
        ),
        defect(
            "fallback-to-nowhere",
            ManifestInvalid,
            TINY_ID,
            MANIFEST,
            new().set("/fallbacks", json!({"tiny": "missing"})),
        ),
        defect(
            "fallback-takes-other-inputs",
            ManifestInvalid,
            TINY_ID,
            MANIFEST,
            new().set("/fallbacks", json!({"tiny": "rope_reference"})),
        ),
        defect("fallback-cycle", ManifestInvalid, TINY_ID, MANIFEST, {
            let mut draft = new();
            let mut second = draft.kernel().clone();
            second["id"] = json!("tiny_b");
            draft.manifest["kernels"]
                .as_array_mut()
                .unwrap()
                .push(second);
            draft.set("/fallbacks", json!({"tiny": "tiny_b", "tiny_b": "tiny"}))
        }),
        defect(
            "fallback-to-kernel-with-other-inputs",
            ManifestInvalid,
            TINY_ID,
            MANIFEST,
            {
                let mut draft = new();
                let mut second = draft.kernel().clone();
                second["id"] = json!("tiny_b");
                second["inputs"][0]["dtype"] = json!("f16");
                draft.manifest["kernels"]
                    .as_array_mut()
                    .unwrap()
                    .push(second);
                draft.set("/fallbacks", json!({"tiny": "tiny_b"}))
            },
        ),
        invalid(
            "vector-of-unknown-kernel",
            new()
                .set(
                    "/vectors",
                    json!([{"kernel": "other", "path": "v.json", "hash": hash(b"{}")}]),
                )
                .file("v.json", b"{}"),
        ),
        defect(
            "schema-version-2",
            SchemaUnsupported,
            None,
            MANIFEST,
            new().set("/$schema", json!(SCHEMA.replace("v1", "v2"))),
        ),
        defect(
            "expired",
            PackExpired,
            None,
            MANIFEST,
            new().set("/expires_at", json!("2026-02-01T00:00:00+01:00")),
        ),
        defect(
            "needs-newer-release",
            RuntimeTooOld,
            None,
            MANIFEST,
            new().set("/min_runtime_version", json!("0.99.0")),
        ),
        defect(
            "needs-older-release",
            RuntimeTooNew,
            None,
            MANIFEST,
            new()
                .set("/min_runtime_version", json!("0.1.0"))
                .set("/max_runtime_version", json!("0.4.9")),
        ),
        defect(
            "needs-older-release-by-pre-release",
            RuntimeTooNew,
            None,
            MANIFEST,
            new()
                .set("/min_runtime_version", json!("0.1.0"))
                .set("/max_runtime_version", json!("0.5.0-rc.1")),
        ),
    ]
}
