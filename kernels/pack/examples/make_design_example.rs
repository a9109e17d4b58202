//! Writes `fixtures/packs/design-example`: `cargo run -p kernel-pack --example make_design_example`.
#![allow(missing_docs, clippy::unwrap_used)] // a generator of fixtures

use std::path::Path;

use kernel_pack::build::build_folder;
use kernel_pack::sign::{PackSigningKey, sign_folder};
use wasmparser::{ExternalKind, Parser, Payload};

fn main() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let folder = fixtures.join("packs/design-example");
    let module = std::fs::read(fixtures.join("packs/core/kernels/rope_f32.wasm")).unwrap();
    std::fs::create_dir_all(folder.join("rope")).unwrap();
    std::fs::write(
        folder.join("rope/rope_f32.wasm"),
        renamed(&module, "kernel_forward", "rope_forward"),
    )
    .unwrap();
    let key = PackSigningKey::read(&fixtures.join("keys/test.ed25519")).unwrap();
    let template = fixtures.join("packs/design-example.template.json");
    build_folder(&folder, &template, Some(&key.public())).unwrap();
    sign_folder(&folder, &key, &[]).unwrap();
}

/// The module with one export under another name.
fn renamed(module: &[u8], from: &str, to: &str) -> Vec<u8> {
    // Sections follow each other: one begins where the one before ends, the first behind the header.
    let mut start = 8;
    let mut found = None;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.unwrap();
        let section = payload.as_section();
        if let Payload::ExportSection(exports) = payload {
            found = Some(exports);
            break;
        }
        start = section.map_or(start, |(_, range)| range.end as usize);
    }
    let exports = found.unwrap();
    let end = exports.range().end as usize;
    let mut content = unsigned(exports.count());
    for export in exports {
        let export = export.unwrap();
        let name = if export.name == from { to } else { export.name };
        content.extend(unsigned(name.len() as u32));
        content.extend(name.as_bytes());
        content.push(match export.kind {
            ExternalKind::Func => 0,
            ExternalKind::Table => 1,
            ExternalKind::Memory => 2,
            ExternalKind::Global => 3,
            other => panic!("{other:?}"),
        });
        content.extend(unsigned(export.index));
    }
    assert_eq!(module[start], 7, "the number of the export section");
    let mut made = module[..=start].to_vec();
    made.extend(unsigned(content.len() as u32));
    made.extend(content);
    made.extend(&module[end..]);
    made
}

/// LEB128.
fn unsigned(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
