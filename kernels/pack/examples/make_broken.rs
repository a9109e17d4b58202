//! Writes the broken packs of `fixtures/packs/broken`: `cargo run -p kernel-pack --example make_broken`.
#![allow(missing_docs, clippy::unwrap_used)] // a generator of fixtures

#[path = "../tests/support/mod.rs"]
mod support;

use serde_json::json;

fn main() {
    let folder = support::fixtures().join("packs/broken");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in [
        ("trusted_keys", support::trust_text()),
        ("trusted_keys.weak", support::defects::weak_trust_text()),
        (
            "trusted_keys.not_canonical",
            support::defects::not_canonical_trust_text(),
        ),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let mut index = Vec::new();
    for defect in support::defects::all() {
        defect.draft.write(&folder.join(defect.name));
        let mut entry = json!({
            "defect": defect.name,
            "code": defect.code.as_str(),
            "kernel": defect.kernel,
            "file": defect.file,
        });
        if let Some(trust) = defect.trust {
            entry["trust"] = json!(trust);
        }
        index.push(entry);
    }
    println!("{} broken packs", index.len());
    let text = serde_json::to_string_pretty(&index).unwrap() + "\n";
    std::fs::write(folder.join("index.json"), text).unwrap();
}
