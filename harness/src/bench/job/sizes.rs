//! The shapes that kernels of definitions are measured at.

use kernel_cases::{case::Case, generate};

/// Names of the classes of size that a kernel is measured at.
pub fn size_names(kernel: &str) -> Vec<&'static str> {
    let names = sizes(kernel, false).into_iter();
    names.map(|(name, ..)| name).collect()
}

/// The class of size at which budgets are compared.
pub(in crate::bench) fn budget_size(quick: bool) -> &'static str {
    if quick { "4Ki" } else { "64Ki" }
}

/// Class, dimensions as [`generate::sized`] takes them, elements, operations.
pub(super) type Size = (&'static str, [u32; 4], u64, Option<u64>);

/// Sizes of a kernel.
pub(super) fn sizes(kernel: &str, quick: bool) -> Vec<Size> {
    let half = kernel.ends_with("_f16");
    // Rows for 4 Ki and 64 Ki elements, and for a main tensor of 1 MiB.
    let (family, rows): (&str, [u32; 3]) = match kernel {
        "rope_q8" => ("rope_q8", [8, 128, 2048]),
        name if name.starts_with("rope") => ("rope", [8, 128, if half { 1024 } else { 512 }]),
        name if name.starts_with("kv") => ("kv", [32, 512, 2048]),
        name if name.starts_with("lora") => ("lora", [4, 64, if half { 512 } else { 256 }]),
        name if name.starts_with("rmsnorm") => ("rmsnorm", [4, 64, if half { 512 } else { 256 }]),
        name if name.starts_with("swiglu") => ("swiglu", [4, 64, if half { 512 } else { 256 }]),
        _ => return Vec::new(),
    };
    let of = |rows: u32, small: bool| -> ([u32; 4], u64, Option<u64>) {
        let one =
            |dimensions: [u32; 4], per_row: u32| (dimensions, u64::from(rows) * u64::from(per_row));
        let (dimensions, elements) = match (family, small) {
            ("rope", true) => one([1, 1, 1, 32], 64),
            ("rope", false) => one([1, rows, 8, 32], 512),
            ("rope_q8", true) => one([1, 1, 1, 2], 64),
            ("rope_q8", false) => one([1, rows, 8, 2], 512),
            ("kv", true) => one([1, 2, 1, 1], 64),
            ("kv", false) => one([rows, 4, 1, 1], 128),
            ("lora", true) => one([1, 64, 8, 64], 64),
            ("lora", false) => one([rows, 1024, 8, 1024], 1024),
            (_, true) => one([1, 64, 1, 1], 64),
            (_, false) => one([rows, 1024, 1, 1], 1024),
        };
        let operations = match family {
            // Four products and two sums of a pair.
            "rope" => Some(3 * elements),
            // A square and a sum, two products.
            "rmsnorm" => Some(4 * elements),
            "lora" => {
                let [rows, input, rank, output] = dimensions.map(u64::from);
                Some(2 * rows * rank * (input + output) + 2 * rows * output)
            }
            _ => None,
        };
        (dimensions, elements, operations)
    };
    let size = |name: &'static str, rows: u32, small: bool| {
        let (dimensions, elements, operations) = of(rows, small);
        (name, dimensions, elements, operations)
    };
    if quick {
        let mut sizes = vec![size("4Ki", rows[0], false)];
        if kernel == "rmsnorm_f32" {
            sizes.push(size("small", 1, true));
        }
        return sizes;
    }
    let mut sizes = vec![
        size("small", 1, true),
        size("4Ki", rows[0], false),
        size("64Ki", rows[1], false),
        size("1MiB", rows[2], false),
    ];
    if kernel == "rope_f32" {
        let elements = 512 * 32 * 128;
        sizes.push(("seq512", [1, 512, 32, 64], elements, Some(3 * elements)));
    }
    sizes
}

/// A call of a kernel with 4 Ki elements in its main tensor, for what is compared at one size: fuel, and times of two packs. `None` for
/// a kernel that this harness has no contract for.
pub(crate) fn reference_case(kernel: &str, seed: u64) -> Option<Case> {
    let size = budget_size(true);
    let (_, dimensions, ..) = sizes(kernel, true)
        .into_iter()
        .find(|(name, ..)| *name == size)?;
    generate::sized(kernel, dimensions, seed)
}
