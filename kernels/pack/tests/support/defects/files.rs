//! Paths, files and hashes.

use kernel_pack::Code;
use serde_json::json;

use super::super::{Draft, MODULE, hash, tiny_module};
use super::{Defect, MANIFEST, TINY_ID, defect};

pub fn paths_and_hashes() -> Vec<Defect> {
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
