//! The broken packs of `fixtures/packs/broken`: each has one defect and is named for it.

use kernel_pack::Code;
use serde_json::json;

use super::*;

/// A pack with one defect, and what verification has to say about it.
pub struct Defect {
    pub name: &'static str,
    pub code: Code,
    pub kernel: Option<&'static str>,
    pub file: Option<&'static str>,
    /// A trust list of its own, beside the shared one.
    pub trust: Option<&'static str>,
    pub draft: Draft,
}

/// Small-order key: the identity point.
pub fn weak_trust_text() -> String {
    "# The identity point: any signature by it can be forged.\n\
     ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        .to_owned()
}

/// y = p + 3, a coordinate that is not reduced.
pub fn not_canonical_trust_text() -> String {
    "# A coordinate that is not reduced modulo the field's prime.\n\
     ed25519:8P///////////////////////////////////////38=\n"
        .to_owned()
}

const MANIFEST: Option<&str> = Some("kernels.json");
const SIGNATURE: Option<&str> = Some("kernels.json.sig");
const TINY_ID: Option<&str> = Some("tiny");

fn defect(
    name: &'static str,
    code: Code,
    kernel: Option<&'static str>,
    file: Option<&'static str>,
    draft: Draft,
) -> Defect {
    Defect {
        name,
        code,
        kernel,
        file,
        trust: None,
        draft,
    }
}

/// All of them.
pub fn all() -> Vec<Defect> {
    let mut defects = signatures();
    defects.extend(malformed());
    defects.extend(top_level());
    defects.extend(kernels());
    defects.extend(paths_and_hashes());
    defects.extend(binaries());
    defects.extend(modules());
    defects
}

fn signatures() -> Vec<Defect> {
    use Code::*;
    let good = Draft::new().sign();
    let mut flipped = good.clone();
    flipped[0] ^= 1;
    let without_manifest = Draft {
        without_manifest: true,
        ..Draft::new().signature(good.clone())
    };
    let without_signature = Draft {
        without_signature: true,
        ..Draft::new()
    };
    let claims_another = Draft::new().set("/author/signing_key", json!(unknown_key().public()));
    vec![
        defect(
            "manifest-missing",
            ManifestMissing,
            None,
            MANIFEST,
            without_manifest,
        ),
        defect(
            "signature-missing",
            SignatureMissing,
            None,
            SIGNATURE,
            without_signature,
        ),
        defect(
            "signature-63-bytes",
            SignatureMalformed,
            None,
            SIGNATURE,
            Draft::new().signature(good[..63].to_vec()),
        ),
        defect(
            "signature-65-bytes",
            SignatureMalformed,
            None,
            SIGNATURE,
            Draft::new().signature([good.as_slice(), b"\n"].concat()),
        ),
        defect(
            "signature-empty",
            SignatureMalformed,
            None,
            SIGNATURE,
            Draft::new().signature(vec![]),
        ),
        defect(
            "signature-as-hex-text",
            SignatureMalformed,
            None,
            SIGNATURE,
            Draft::new().signature(
                good.iter()
                    .flat_map(|b| format!("{b:02x}").into_bytes())
                    .collect(),
            ),
        ),
        defect(
            "signature-bit-flipped",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().signature(flipped),
        ),
        defect(
            "signature-all-zero",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().signature(vec![0; 64]),
        ),
        defect(
            "signature-malleable",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().signature(plus_group_order(&good)),
        ),
        defect(
            "signature-of-another-manifest",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new()
                .set("/version", json!("1.2.4"))
                .signature(good.clone()),
        ),
        defect(
            "manifest-changed-by-a-space",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().text("{", "{ ").signature(good.clone()),
        ),
        defect(
            "signed-by-unknown-key",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().signed_by(unknown_key()),
        ),
        defect(
            "signed-by-revoked-key",
            KeyRevoked,
            None,
            SIGNATURE,
            Draft::new()
                .set("/author/signing_key", json!(revoked_key().public()))
                .signed_by(revoked_key()),
        ),
        defect(
            "signing-key-of-another-author",
            KeyMismatch,
            None,
            MANIFEST,
            claims_another,
        ),
        Defect {
            trust: Some("trusted_keys.weak"),
            ..defect(
                "trusted-key-small-order",
                TrustedKeyWeak,
                None,
                None,
                Draft::new(),
            )
        },
        Defect {
            trust: Some("trusted_keys.not_canonical"),
            ..defect(
                "trusted-key-not-canonical",
                TrustedKeyWeak,
                None,
                None,
                Draft::new(),
            )
        },
        defect(
            "unsigned-garbage-manifest",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().bytes(b"[[[[".to_vec()).signature(good),
        ),
    ]
}

/// S + L: the same signature to a verifier that does not ask for a reduced S.
fn plus_group_order(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut sum = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in sum[32..].iter_mut().zip(ORDER) {
        let value = u16::from(*byte) + u16::from(order) + carry;
        *byte = value as u8;
        carry = value >> 8;
    }
    sum
}

fn malformed() -> Vec<Defect> {
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

fn top_level() -> Vec<Defect> {
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
        invalid(
            "fallback-of-unknown-kernel",
            new().set("/fallbacks", json!({"other": "tiny"})),
        ),
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

fn kernels() -> Vec<Defect> {
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

fn paths_and_hashes() -> Vec<Defect> {
    use Code::*;
    let path = |path: &str| Draft::new().set("/kernels/0/path", json!(path));
    let hashed = |hash: String| Draft::new().set("/kernels/0/hash", json!(hash));
    let right = hash(&tiny_module());
    let in_kernel = |name, code, file, draft| defect(name, code, TINY_ID, file, draft);
    let mut changed = tiny_module();
    let last = changed.len() - 2;
    changed[last] ^= 1;
    let mut without_file = Draft::new();
    without_file.files.clear();
    let mut link = Draft::new().file("elsewhere/tiny.wasm", &tiny_module());
    link.files.remove(MODULE);
    link.links
        .insert(MODULE.to_owned(), "../elsewhere/tiny.wasm".to_owned());
    let mut link_out = Draft::new();
    link_out.files.remove(MODULE);
    link_out
        .links
        .insert(MODULE.to_owned(), "../../trusted_keys".to_owned());
    let mut folder_link = Draft::new().file("elsewhere/tiny.wasm", &tiny_module());
    folder_link.files.remove(MODULE);
    folder_link
        .links
        .insert("kernels".to_owned(), "elsewhere".to_owned());
    let manifest_link = {
        let mut draft = Draft::new();
        let text = draft.manifest_text();
        draft.signature = Some(draft.sign());
        draft.without_manifest = true;
        draft
            .links
            .insert("kernels.json".to_owned(), "manifest.json".to_owned());
        draft.file("manifest.json", &text)
    };
    let mut unlisted_link = Draft::new();
    unlisted_link
        .links
        .insert("link".to_owned(), MODULE.to_owned());
    let vector = |content: &[u8]| {
        Draft::new()
            .set(
                "/vectors",
                json!([{"kernel": "tiny", "path": "vectors/tiny.json", "hash": hash(b"{}")}]),
            )
            .file("vectors/tiny.json", content)
    };
    vec![
        in_kernel(
            "path-parent",
            PathEscape,
            Some("../tiny.wasm"),
            path("../tiny.wasm"),
        ),
        in_kernel(
            "path-parent-inside",
            PathEscape,
            Some("kernels/../../tiny.wasm"),
            path("kernels/../../tiny.wasm"),
        ),
        in_kernel(
            "path-absolute",
            PathEscape,
            Some("/etc/hostname"),
            path("/etc/hostname"),
        ),
        in_kernel(
            "path-backslash",
            PathInvalid,
            Some("kernels\\\\tiny.wasm"),
            path("kernels\\tiny.wasm"),
        ),
        in_kernel(
            "path-drive-letter",
            PathInvalid,
            Some("C:/tiny.wasm"),
            path("C:/tiny.wasm"),
        ),
        in_kernel(
            "path-dot",
            PathInvalid,
            Some("./kernels/tiny.wasm"),
            path("./kernels/tiny.wasm"),
        ),
        in_kernel("path-empty", PathInvalid, Some(""), path("")),
        in_kernel(
            "path-empty-part",
            PathInvalid,
            Some("kernels//tiny.wasm"),
            path("kernels//tiny.wasm"),
        ),
        in_kernel(
            "path-nul",
            PathInvalid,
            Some("kernels/tiny.wasm\\0.txt"),
            path("kernels/tiny.wasm\0.txt"),
        ),
        in_kernel(
            "path-space",
            PathInvalid,
            Some("kernels/ tiny.wasm"),
            path("kernels/ tiny.wasm"),
        ),
        in_kernel(
            "path-not-ascii",
            PathInvalid,
            Some("kernels/t\u{456}ny.wasm"),
            path("kernels/t\u{456}ny.wasm"),
        ),
        in_kernel(
            "file-is-a-directory",
            NotARegularFile,
            Some("kernels"),
            path("kernels"),
        ),
        in_kernel("file-is-a-link", NotARegularFile, Some(MODULE), link),
        in_kernel(
            "file-is-a-link-out-of-the-pack",
            NotARegularFile,
            Some(MODULE),
            link_out,
        ),
        in_kernel(
            "folder-is-a-link",
            NotARegularFile,
            Some(MODULE),
            folder_link,
        ),
        in_kernel(
            "folder-is-a-file",
            NotARegularFile,
            Some("kernels/tiny.wasm/x"),
            path("kernels/tiny.wasm/x"),
        ),
        defect(
            "manifest-is-a-link",
            NotARegularFile,
            None,
            MANIFEST,
            manifest_link,
        ),
        in_kernel("file-missing", KernelMissing, Some(MODULE), without_file),
        in_kernel(
            "file-missing-other-case",
            KernelMissing,
            Some("kernels/Tiny.wasm"),
            path("kernels/Tiny.wasm"),
        ),
        in_kernel(
            "hash-upper-case",
            HashMalformed,
            MANIFEST,
            hashed(format!("sha256:{}", right[7..].to_uppercase())),
        ),
        in_kernel(
            "hash-prefix-upper-case",
            HashMalformed,
            MANIFEST,
            hashed(right.replace("sha256", "SHA256")),
        ),
        in_kernel(
            "hash-without-prefix",
            HashMalformed,
            MANIFEST,
            hashed(right[7..].to_owned()),
        ),
        in_kernel(
            "hash-with-space",
            HashMalformed,
            MANIFEST,
            hashed(format!("{right} ")),
        ),
        in_kernel(
            "hash-short",
            HashMalformed,
            MANIFEST,
            hashed(right[..right.len() - 1].to_owned()),
        ),
        in_kernel(
            "hash-placeholder",
            HashMalformed,
            MANIFEST,
            hashed("sha256:abc123...".to_owned()),
        ),
        in_kernel(
            "hash-of-another-kind",
            HashMalformed,
            MANIFEST,
            hashed(right.replace("sha256", "sha512")),
        ),
        in_kernel(
            "module-bit-flipped",
            HashMismatch,
            Some(MODULE),
            Draft::new().file(MODULE, &changed),
        ),
        in_kernel(
            "module-emptied",
            HashMismatch,
            Some(MODULE),
            Draft::new().file(MODULE, b""),
        ),
        in_kernel(
            "vector-changed",
            HashMismatch,
            Some("vectors/tiny.json"),
            vector(b"[]"),
        ),
        defect(
            "unlisted-file",
            UnlistedFile,
            None,
            Some("extra.wasm"),
            Draft::new().file("extra.wasm", b"x"),
        ),
        defect(
            "unlisted-hidden-file",
            UnlistedFile,
            None,
            Some("kernels/.hidden"),
            Draft::new().file("kernels/.hidden", b"x"),
        ),
        defect(
            "unlisted-link",
            UnlistedFile,
            None,
            Some("link"),
            unlisted_link,
        ),
    ]
}

fn binaries() -> Vec<Defect> {
    let tiny = tiny_module();
    let mut version_2 = tiny.clone();
    version_2[4] = 2;
    let mut overlong = b"\0asm\x01\0\0\0".to_vec();
    overlong.extend([1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let cases: Vec<(&'static str, Vec<u8>)> = vec![
        ("module-empty", Vec::new()),
        ("module-in-text-form", TINY.as_bytes().to_vec()),
        ("module-is-a-component", b"\0asm\x0d\0\x01\0".to_vec()),
        (
            "module-is-elf",
            [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 57]].concat(),
        ),
        ("module-is-wamr-aot", b"\0aot\x05\0\0\0".to_vec()),
        ("module-of-version-2", version_2),
        ("module-header-cut", tiny[..7].to_vec()),
        ("module-cut-in-a-section", tiny[..tiny.len() - 3].to_vec()),
        ("module-cut-in-a-size", tiny[..9].to_vec()),
        (
            "module-trailing-bytes",
            [tiny.as_slice(), &[0xff, 0xff]].concat(),
        ),
        ("module-overlong-integer", overlong),
        (
            "module-with-bom",
            [b"\xef\xbb\xbf".as_slice(), &tiny].concat(),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, bytes)| {
            defect(
                name,
                Code::ModuleMalformed,
                TINY_ID,
                Some(MODULE),
                Draft::new().module(bytes),
            )
        })
        .collect()
}

fn modules() -> Vec<Defect> {
    use Code::*;
    const FORWARD: &str =
        r#"(func (export "kernel_forward") (param i32) (result i32) i32.const 0)"#;
    const HEAP_BASE: &str = r#"(global (export "__heap_base") i32 (i32.const 1024))"#;
    const MEMORY: &str = r#"(memory (export "memory") 1 4)"#;
    let forward = |with: &str| altered(FORWARD, with);
    let heap_base = |with: &str| altered(HEAP_BASE, with);
    let memory = |with: &str| altered(MEMORY, with);
    let table = |with: &str| altered("(table 2 funcref)", with);
    let locals = format!("(func (local {}))", "i32 ".repeat(50_001));
    let parameters = format!("(type (func (param {})))", "i32 ".repeat(1_001));
    let branches = format!("(func (br_table {} (i32.const 0)))", "0 ".repeat(65_522));
    let cases: Vec<(&'static str, Code, Vec<u8>)> = vec![
        ("import-function", ImportForbidden, altered("(memory", r#"(import "env" "abort" (func)) (memory"#)),
        ("import-wasi", ImportForbidden, altered("(memory", r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (memory"#)),
        ("import-memory", ImportForbidden, memory(r#"(import "env" "memory" (memory 1)) (export "memory" (memory 0))"#)),
        ("import-global", ImportForbidden, wat::parse_str(TINY.replace(HEAP_BASE, "").replacen("(memory", r#"(import "env" "__heap_base" (global i32)) (export "__heap_base" (global 0)) (memory"#, 1)).unwrap()),
        ("start-function", ModuleInvalid, extended("(func $start) (start $start)")),
        ("export-post-instantiate", ModuleInvalid, extended(r#"(func (export "__post_instantiate"))"#)),
        ("export-wasm-call-ctors", ModuleInvalid, extended(r#"(func (export "__wasm_call_ctors"))"#)),
        ("memory-two", ModuleInvalid, extended("(memory 1)")),
        ("memory-64-bit", ModuleInvalid, memory(r#"(memory (export "memory") i64 1 4)"#)),
        ("memory-shared", ModuleInvalid, memory(r#"(memory (export "memory") 1 4 shared)"#)),
        ("memory-page-size-1", ModuleInvalid, memory(r#"(memory (export "memory") 1 4 (pagesize 1))"#)),
        ("uses-atomics", ModuleInvalid, extended("(func (drop (i32.atomic.load (i32.const 0))))")),
        ("uses-relaxed-simd", ModuleInvalid, extended("(func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0))))")),
        ("uses-tail-call", ModuleInvalid, extended("(func $f (return_call $f))")),
        ("uses-exceptions", ModuleInvalid, extended("(tag $t) (func (throw $t))")),
        ("uses-gc", ModuleInvalid, extended("(type (struct (field i32)))")),
        ("uses-function-references", ModuleInvalid, extended("(type $f (func)) (func (param (ref $f)))")),
        ("uses-extended-const", ModuleInvalid, heap_base(r#"(global (export "__heap_base") i32 (i32.add (i32.const 1) (i32.const 2)))"#)),
        ("uses-wide-arithmetic", ModuleInvalid, extended("(func (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1)))")),
        ("body-does-not-type", ModuleInvalid, extended("(func (result i32) i64.const 0)")),
        ("calls-unknown-function", ModuleInvalid, extended("(func (call 99))")),
        ("locals-50001", ModuleInvalid, extended(&locals)),
        ("parameters-1001", ModuleInvalid, extended(&parameters)),
        ("branch-targets-65521", ModuleInvalid, extended(&branches)),
        ("memory-missing", ExportMissing, memory("")),
        ("memory-not-exported", ExportMissing, memory("(memory 1 4)")),
        ("heap-base-missing", ExportMissing, heap_base("")),
        ("entry-point-missing", ExportMissing, forward("")),
        ("init-missing", ExportMissing, altered("kernel_init", "kernel_initialise")),
        ("info-missing", ExportMissing, altered("kernel_info", "kernel_Info")),
        ("cleanup-missing", ExportMissing, altered("kernel_cleanup", "kernel_cleanup_")),
        ("heap-base-mutable", ExportType, heap_base(r#"(global (export "__heap_base") (mut i32) (i32.const 1024))"#)),
        ("heap-base-i64", ExportType, heap_base(r#"(global (export "__heap_base") i64 (i64.const 1024))"#)),
        ("heap-base-a-function", ExportType, heap_base(r#"(func (export "__heap_base") (result i32) i32.const 1024)"#)),
        ("memory-a-global", ExportType, memory(r#"(memory 1 4) (global (export "memory") i32 (i32.const 0))"#)),
        ("entry-point-takes-i64", ExportType, forward(r#"(func (export "kernel_forward") (param i64) (result i32) i32.const 0)"#)),
        ("entry-point-takes-two", ExportType, forward(r#"(func (export "kernel_forward") (param i32 i32) (result i32) i32.const 0)"#)),
        ("entry-point-returns-nothing", ExportType, forward(r#"(func (export "kernel_forward") (param i32))"#)),
        ("entry-point-returns-f32", ExportType, forward(r#"(func (export "kernel_forward") (param i32) (result f32) f32.const 0)"#)),
        ("entry-point-a-global", ExportType, forward(r#"(global (export "kernel_forward") i32 (i32.const 0))"#)),
        ("backward-of-wrong-type", ExportType, extended(r#"(func (export "kernel_backward"))"#)),
        ("cleanup-of-wrong-type", ExportType, altered(r#""kernel_cleanup") (result i32) i32.const 0"#, r#""kernel_cleanup")"#)),
        ("memory-beyond-limit", LimitExceeded, memory(r#"(memory (export "memory") 5)"#)),
        ("table-beyond-limit", LimitExceeded, table("(table 17 funcref)")),
        ("tables-beyond-limit-in-sum", LimitExceeded, table("(table 9 funcref) (table 8 externref)")),
    ];
    cases
        .into_iter()
        .map(|(name, code, bytes)| {
            defect(
                name,
                code,
                TINY_ID,
                Some(MODULE),
                Draft::new().module(bytes),
            )
        })
        .collect()
}
