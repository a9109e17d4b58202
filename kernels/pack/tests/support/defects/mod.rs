//! Broken packs: each has one defect and is named for it. `fixtures/packs/broken.json` lists them, with what verification has to say.

use std::path::Path;

use kernel_pack::Code;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Draft;

mod binaries;
mod files;
mod kernels;
mod manifest;
mod signatures;

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
    let mut defects = signatures::signatures();
    defects.extend(signatures::further_signatures());
    defects.extend(manifest::malformed());
    defects.extend(manifest::top_level());
    defects.extend(kernels::kernels());
    defects.extend(files::paths_and_hashes());
    defects.extend(binaries::binaries());
    defects.extend(binaries::modules());
    defects
}

/// Writes all of them into a folder that does not exist yet, with their trust lists and `index.json`; returns the index.
pub fn write_all(folder: &Path) -> Value {
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::create_dir(folder).unwrap();
    for (name, text) in [
        ("trusted_keys", super::trust_text()),
        ("trusted_keys.weak", weak_trust_text()),
        ("trusted_keys.not_canonical", not_canonical_trust_text()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    for defect in all() {
        defect.draft.write(&folder.join(defect.name));
    }
    let index = index();
    let text = serde_json::to_string_pretty(&index).unwrap() + "\n";
    std::fs::write(folder.join("index.json"), text).unwrap();
    index
}

/// What `fixtures/packs/broken.json` has to hold.
pub fn index() -> Value {
    all()
        .iter()
        .map(|defect| {
            let mut entry = json!({
                "defect": defect.name,
                "code": defect.code.as_str(),
                "kernel": defect.kernel,
                "file": defect.file,
                "sha256": digest(&defect.draft),
            });
            if let Some(trust) = defect.trust {
                entry["trust"] = json!(trust);
            }
            entry
        })
        .collect()
}

/// Of all files, with their paths and lengths, and of all links.
fn digest(draft: &Draft) -> String {
    let mut hash = Sha256::new();
    let links = draft.links.iter();
    let files = draft.all_files().into_iter();
    let entries = files
        .map(|(path, bytes)| (path, "file", bytes))
        .chain(links.map(|(path, target)| (path.clone(), "link", target.clone().into_bytes())));
    for (path, kind, bytes) in entries {
        hash.update(format!("{kind} {path}\n{}\n", bytes.len()));
        hash.update(bytes);
    }
    super::digits(&hash.finalize())
}
