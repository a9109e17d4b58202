//! docs/abi.md and the C header against the crate: what is added or renamed here fails until it stands there.

#[path = "../examples/c_header/header.rs"]
mod header;
mod markdown;

use kernel_abi::layout::{Field, LAYOUTS, Layout};
use kernel_abi::{
    ABI_VERSION, Descriptor, KernelInfo, MAX_REGION_BYTES, PAGE_BYTES, REGION_ALIGNMENT, Status,
    block, export, params,
};
use markdown::{code, rows, section};

const ABI: &str = include_str!("../../../docs/abi.md");

#[test]
fn the_committed_header_is_current() {
    let committed = include_str!("../include/kernel_abi.h");
    assert!(
        committed == header::header(),
        "include/kernel_abi.h is not what the crate gives; write it with: cargo run -p kernel-abi --example c_header"
    );
}

#[test]
fn every_export_and_no_other_is_listed() {
    let listed: Vec<&str> = rows(section(ABI, "## Exports"))
        .iter()
        .map(|row| row[0].trim_matches('`'))
        .collect();
    assert_eq!(listed, export::ALL);
}

#[test]
fn every_status_and_no_other_is_listed() {
    let listed: Vec<String> = rows(section(ABI, "## Statuses"))
        .iter()
        .map(|row| format!("{} {}", row[0], row[1].trim_matches('`')))
        .collect();
    let known: Vec<String> = Status::ALL
        .iter()
        .map(|(status, _)| status.to_string())
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn checks_name_statuses_that_there_are() {
    for row in rows(section(ABI, "## Checks")) {
        let value: i32 = row[2].parse().expect("a status");
        assert!(Status::ALL.iter().any(|(status, _)| status.0 == value));
    }
}

#[test]
fn the_descriptor_is_pictured_as_it_is() {
    let text = section(ABI, "## Descriptor");
    let regions: Vec<&str> = rows(text)
        .iter()
        .map(|row| row[0].trim_matches('`'))
        .collect();
    let fields = names(&Descriptor::LAYOUT);
    assert_eq!(regions, fields);
    let words = Descriptor::SIZE / 4;
    assert_eq!(words, 10);
    assert!(text.contains(&format!("{} bytes, ten u32", Descriptor::SIZE)));
    let picture = markdown::fenced(text, "text");
    assert_eq!(picture.matches("offset | size").count(), fields.len());
    let under: Vec<&str> = picture
        .lines()
        .last()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(under, fields);
}

#[test]
fn the_info_is_listed_as_it_is() {
    let listed: Vec<String> = rows(section(ABI, "## KernelInfo"))
        .iter()
        .map(|row| format!("{} {} {}", row[0], row[1].trim_matches('`'), row[2]))
        .collect();
    let mut offset = 0;
    let mut known = Vec::new();
    for field in KernelInfo::LAYOUT.fields {
        known.push(format!("{offset} {} {}", field.name, field.kind));
        offset += field.size();
    }
    assert_eq!(listed, known);
}

#[test]
fn every_parameter_struct_is_listed_with_its_fields() {
    let listed: Vec<String> = rows(section(ABI, "## Parameter structs"))
        .iter()
        .filter(|row| row.len() == 3)
        .map(|row| format!("{}: {}", row[0].trim_matches('`'), row[2].replace('`', "")))
        .collect();
    let known: Vec<String> = LAYOUTS
        .iter()
        .filter(|layout| layout.is_params())
        .map(|layout| {
            let field = |field: &Field| format!("{} {}", field.name, field.kind);
            let fields: Vec<String> = layout.fields.iter().map(field).collect();
            format!("{}: {}", layout.name, fields.join(", "))
        })
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn the_sizes_of_rope_are_listed() {
    let sizes: Vec<String> = (0..=64)
        .filter(|size| params::Rope::from_le_bytes(&vec![0; *size]).is_some())
        .map(|size| size.to_string())
        .collect();
    assert!(ABI.contains(&format!(
        "`Rope` may have {} or {} bytes",
        sizes[..2].join(", "),
        sizes[2]
    )));
    assert_eq!(sizes.len(), 3);
}

#[test]
fn constants_stand_in_the_text() {
    for text in [
        format!("# The kernel ABI, version {ABI_VERSION}\n"),
        format!("starts at a multiple of {REGION_ALIGNMENT},"),
        format!("at most {MAX_REGION_BYTES} bytes"),
        format!("in pages of {PAGE_BYTES} bytes"),
        format!("{} values along the last axis", block::ELEMENTS),
        format!("| Q8_0 | `q8` | {} |", block::Q8_BYTES),
        format!("| Q4_0 | `q4` | {} |", block::Q4_BYTES),
        format!("writes {} bytes at `out`", KernelInfo::SIZE),
    ] {
        assert!(ABI.contains(&text), "docs/abi.md does not say `{text}`");
    }
}

#[test]
fn names_of_exports_in_the_text_are_known() {
    for name in code(ABI) {
        let word = name.split('(').next().unwrap_or_default();
        if word.starts_with("kernel_") {
            assert!(export::ALL.contains(&word), "there is no export `{word}`");
        }
    }
}

fn names(layout: &Layout) -> Vec<&'static str> {
    layout.fields.iter().map(|field| field.name).collect()
}
