//! The C header, made from the crate.
//!
//! cbindgen would not do: it reads `#[repr(C)]` structs and constants, while this crate encodes its structs byte by byte and
//! names constants by type and module; and neither the checks nor the assertions of the layout would come from it.

use kernel_abi::layout::{Field, LAYOUTS, Layout};
use kernel_abi::{
    ABI_VERSION, FLAG_HAS_BACKWARD, MAX_REGION_BYTES, PAGE_BYTES, REGION_ALIGNMENT, Status, block,
    export,
};

/// C source that no constant of the crate decides.
const CHECKS: &str = include_str!("checks.h");

/// What stands before the first constant.
const BEGIN: &str = "\
/*
 * The kernel ABI in C11: structs, statuses and the checks of a call. docs/abi.md is the explanation.
 * Written by `cargo run -p kernel-abi --example c_header`; change the crate, not this file.
 */
#ifndef KERNEL_ABI_H
#define KERNEL_ABI_H

#include <stddef.h>
#include <stdint.h>
";

/// The text of `include/kernel_abi.h`.
pub(crate) fn header() -> String {
    let mut text = BEGIN.to_owned() + "\n";
    for (name, value, documentation) in constants() {
        text += &comment("", documentation);
        text += &format!("#define {name} {value}\n");
    }
    text += &exports();
    text += "\n/* What an export returns. */\nenum {\n";
    for (status, documentation) in Status::ALL {
        text += &comment("    ", documentation);
        text += &format!("    KERNEL_{} = {},\n", status.name(), status.0);
    }
    text += "};\n";
    for layout in &LAYOUTS {
        text += &structure(layout);
    }
    text += "\n/* Structs have no padding: they are what lies in linear memory. */\n";
    for layout in &LAYOUTS {
        text += &assertions(layout);
    }
    text + "\n" + CHECKS + "\n#endif\n"
}

fn constants() -> [(&'static str, String, &'static str); 8] {
    [
        (
            "KERNEL_ABI_VERSION",
            ABI_VERSION.to_string(),
            "Stated in KernelInfo.abi_version.",
        ),
        (
            "KERNEL_REGION_ALIGNMENT",
            format!("{REGION_ALIGNMENT}u"),
            "Every region starts at a multiple of it.",
        ),
        (
            "KERNEL_MAX_REGION_BYTES",
            format!("{MAX_REGION_BYTES}u"),
            "The largest region.",
        ),
        (
            "KERNEL_PAGE_BYTES",
            format!("{PAGE_BYTES}u"),
            "Bytes in a page of linear memory.",
        ),
        (
            "KERNEL_FLAG_HAS_BACKWARD",
            format!("{FLAG_HAS_BACKWARD}u"),
            "Bit of KernelInfo.flags: kernel_backward computes a gradient.",
        ),
        (
            "KERNEL_BLOCK_ELEMENTS",
            block::ELEMENTS.to_string(),
            "Elements in a quantised block.",
        ),
        (
            "KERNEL_Q8_BLOCK_BYTES",
            block::Q8_BYTES.to_string(),
            "A Q8_0 block: f16 scale, 32 i8 codes.",
        ),
        (
            "KERNEL_Q4_BLOCK_BYTES",
            block::Q4_BYTES.to_string(),
            "A Q4_0 block: f16 scale, 16 bytes of two 4-bit codes (element j low, element j + 16 high).",
        ),
    ]
}

fn exports() -> String {
    let (memory, heap_base, forward) = (export::MEMORY, export::HEAP_BASE, export::FORWARD);
    let (init, info, backward) = (export::INIT, export::INFO, export::BACKWARD);
    let cleanup = export::CLEANUP;
    format!(
        "
/*
 * A module exports its memory as {memory}, the immutable i32 global {heap_base}, and
 *     int32_t {forward}(uint32_t descriptor), or the name that the manifest gives as entry_point
 *     int32_t {init}(uint32_t params, uint32_t params_len)
 *     int32_t {info}(uint32_t out)
 *     int32_t {backward}(uint32_t descriptor), where it computes a gradient
 *     int32_t {cleanup}(void)
 */
"
    )
}

fn structure(layout: &Layout) -> String {
    let name = type_name(layout.name);
    let mut text = format!(
        "\n{}typedef struct {name} {{\n",
        comment("", layout.documentation)
    );
    for field in layout.fields {
        text += &comment("    ", field.documentation);
        text += &format!("    {} {};\n", c_type(field), field.name);
    }
    let (size_name, size) = (size_name(layout.name), layout.size());
    text + &format!("}} {name};\n#define {size_name} {size}u\n")
}

fn assertions(layout: &Layout) -> String {
    let name = type_name(layout.name);
    let mut text = String::new();
    let mut offset = 0;
    for field in layout.fields {
        let member = field.name;
        text += &format!(
            "_Static_assert(offsetof({name}, {member}) == {offset}, \"{name}.{member}\");\n"
        );
        offset += field.size();
    }
    let size_name = size_name(layout.name);
    text + &format!("_Static_assert(sizeof({name}) == {size_name}, \"{name}\");\n")
}

/// Names in C have no module to stand in.
fn type_name(rust: &str) -> String {
    match LAYOUTS.iter().find(|layout| layout.name == rust) {
        Some(layout) if layout.is_params() => format!("Kernel{rust}Params"),
        _ if rust.starts_with("Kernel") => rust.to_owned(),
        _ => format!("Kernel{rust}"),
    }
}

/// `KernelRmsNormParams` has `KERNEL_RMS_NORM_PARAMS_SIZE` bytes.
fn size_name(rust: &str) -> String {
    let mut name = String::new();
    for letter in type_name(rust).chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name + "_SIZE"
}

fn c_type(field: &Field) -> String {
    match field.kind {
        "u16" => "uint16_t".to_owned(),
        "u32" => "uint32_t".to_owned(),
        "f32" => "float".to_owned(),
        other => type_name(other),
    }
}

/// Documentation of Rust as a comment of C, without the marks of links and code.
fn comment(indent: &str, documentation: &str) -> String {
    const COLUMNS: usize = 120;
    let plain = documentation.replace(['`', '\\'], "");
    let mut lines = vec![format!("{indent}/*")];
    for word in plain.split_whitespace().chain(["*/"]) {
        let line = lines.len() - 1;
        if lines[line].len() + 1 + word.len() > COLUMNS {
            lines.push(format!("{indent}  "));
        }
        let line = lines.len() - 1;
        lines[line] += " ";
        lines[line] += word;
    }
    lines.join("\n") + "\n"
}
