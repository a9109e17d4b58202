//! docs/abi.md, docs/kernels.md and docs/vectors.md against the kernels that there are.

#[path = "../../abi/tests/markdown/mod.rs"]
mod markdown;

use kernel_core::KERNELS;
use markdown::{code, rows, section};
use serde_json::Value;
use std::collections::BTreeSet;

const ABI: &str = include_str!("../../../docs/abi.md");

/// The ids in a column, in the order of their names.
fn listed(heading: &str, column: usize, width: usize) -> Vec<String> {
    let mut ids: Vec<String> = rows(section(ABI, heading))
        .iter()
        .filter(|row| row.len() == width && !row[column].contains('*'))
        .flat_map(|row| row[column].split(',').map(|id| id.trim().to_owned()))
        .collect();
    ids.sort();
    ids
}

#[test]
fn every_kernel_and_no_other_is_listed() {
    let mut known: Vec<&str> = KERNELS.iter().map(|kernel| kernel.id).collect();
    known.sort();
    assert_eq!(listed("## Parameter structs", 1, 3), known);
    assert_eq!(listed("## The 13 kernels", 0, 5), known);
    let tolerances = section(ABI, "## Tolerances");
    for id in known {
        assert!(tolerances.contains(id), "{id} has no tolerance");
    }
}

#[test]
fn every_gradient_and_no_other_is_listed() {
    let gradients = include_str!("../../../docs/kernels.md");
    let listed: Vec<&str> = rows(section(gradients, "## Gradients (`kernel_backward`)"))
        .iter()
        .map(|row| row[0].trim_end_matches('*'))
        .collect();
    for kernel in &KERNELS {
        let is_listed = listed.iter().any(|family| kernel.id.starts_with(family));
        assert_eq!(is_listed, kernel.has_backward, "{}", kernel.id);
    }
}

/// What the vectors of the core pack are made of stands in docs/vectors.md, and nothing else. Which oracles bind is a test of
/// the harness, which decides it.
#[test]
fn every_name_in_the_vectors_is_listed() {
    let document = include_str!("../../../docs/vectors.md");
    let calls = code(section(document, "## Calls"));
    let mut oracles = BTreeSet::new();
    for kernel in &KERNELS {
        let path = format!(
            "{}/../../fixtures/packs/core/vectors/{}.json",
            env!("CARGO_MANIFEST_DIR"),
            kernel.id
        );
        let file: Value = serde_json::from_slice(&std::fs::read(path).expect("the vectors"))
            .expect("a vector file");
        for case in file["cases"].as_array().expect("cases") {
            for part in ["params", "inputs"] {
                for name in case[part].as_object().expect("names").keys() {
                    let listed = calls.contains(&name.as_str());
                    assert!(listed, "{}: {part}.{name} is not listed", kernel.id);
                }
            }
            oracles.extend(
                case["outputs"]
                    .as_object()
                    .expect("outputs")
                    .keys()
                    .cloned(),
            );
            let class = case["class"].as_str().expect("a class");
            assert!(section(document, "## Classes").contains(&format!("| `{class}` |")));
        }
    }
    let listed: BTreeSet<String> = rows(section(document, "## Oracles"))
        .iter()
        .filter(|row| row.len() == 2)
        .flat_map(|row| code(row[0]))
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, oracles);
}
