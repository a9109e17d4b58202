//! docs/abi.md lists every kernel, its parameters' sizes apart, which kernel-abi's own tests hold to the code.

#[path = "../../abi/tests/markdown/mod.rs"]
mod markdown;

use kernel_core::KERNELS;
use markdown::{rows, section};

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
