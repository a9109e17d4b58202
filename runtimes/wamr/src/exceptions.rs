//! WAMR says why code was stopped in text only. One table of whole strings; the length decides nothing, because the
//! whole string must be equal.

use runtime_api::Trap;

/// What precedes every text of an instance's exception.
const PREFIX: &str = "Exception: ";

/// WAMR's texts that have a class of their own. Source: WAMR 2.4.3, `exception_msgs` in `wasm_runtime_common.c` and
/// `wasm_interp_fast.c`. Texts that are not here are [`Trap::EngineOther`].
const TABLE: &[(&str, Trap)] = &[
    ("unreachable", Trap::Unreachable),
    ("integer overflow", Trap::IntegerOverflow),
    ("integer divide by zero", Trap::IntegerDivideByZero),
    (
        "invalid conversion to integer",
        Trap::InvalidConversionToInteger,
    ),
    ("out of bounds memory access", Trap::MemoryAccessViolation),
    ("out of bounds table access", Trap::TableAccessViolation),
    ("undefined element", Trap::TableAccessViolation),
    ("uninitialized element", Trap::NullFunction),
    (
        "indirect call type mismatch",
        Trap::IndirectCallTypeMismatch,
    ),
    ("wasm operand stack overflow", Trap::StackOverflow),
    ("native stack overflow", Trap::StackOverflow),
    ("terminated by user", Trap::EpochDeadline),
];

/// The class of an instance's exception, as WAMR gives it.
pub(crate) fn trap(engine: &str, exception: &str) -> Trap {
    classify(exception.strip_prefix(PREFIX).unwrap_or(exception)).unwrap_or_else(|| {
        Trap::EngineOther {
            engine: engine.to_owned(),
            text: exception.to_owned(),
        }
    })
}

/// The class of a text without what precedes it, if it has one.
pub(crate) fn classify(text: &str) -> Option<Trap> {
    TABLE
        .iter()
        .find(|(known, _)| *known == text)
        .map(|(_, trap)| trap.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

    /// WAMR's other texts. What a pack's modules could meet of these is a defect of WAMR or of this adapter; the rest
    /// belongs to proposals and parts that are not built.
    const UNCLASSIFIED: &[&str] = &[
        "allocate memory failed",
        "app heap corrupted",
        "array space is insufficient",
        "array type mismatch",
        "cast failure",
        "create array object failed",
        "create externref object failed",
        "create rtt type failed",
        "create singleton exec_env failed",
        "create string object failed",
        "create stringref failed",
        "create stringview failed",
        "create stringview iter failed",
        "create stringview wtf16 failed",
        "create stringview wtf8 failed",
        "create struct object failed",
        "data segment out of bounds",
        "encode failed",
        "failed to call unlinked import function",
        "failed to compile fast jit function",
        "instruction limit exceeded",
        "invalid exec env",
        "invalid function index",
        "invalid local type",
        "isolated surrogate is seen",
        "native function throw unknown exception",
        "null array reference",
        "null function reference",
        "null i31 reference",
        "null reference",
        "null structure reference",
        "out of bounds array access",
        "out of memory",
        "stringref encode failed",
        "the arguments conversion is failed",
        "the result conversion is failed",
        "thread signal env not inited",
        "unaligned atomic",
        "unaligned memory access",
        "uninitialized memory",
        "unknown exception",
        "unknown function",
        "unknown table",
        "unsupported SIMD opcode",
        "unsupported opcode",
        "unsupported param type",
        "unsupported result type",
        "wasm auxiliary stack overflow",
        "wasm auxiliary stack underflow",
    ];

    #[test]
    fn only_whole_strings_are_classes() {
        assert_eq!(
            trap("wamr.fast", "Exception: unreachable"),
            Trap::Unreachable
        );
        for text in [
            "Exception: unreachable ",
            "Exception: element",
            "Exception: allocate memory failed",
            "",
        ] {
            assert!(matches!(trap("wamr.fast", text), Trap::EngineOther { .. }));
        }
    }

    /// The texts of the pinned version: an upgrade that adds or drops one fails here until somebody has looked.
    #[test]
    fn every_text_of_the_source_is_known() {
        let known: BTreeSet<String> = TABLE
            .iter()
            .map(|(text, _)| *text)
            .chain(UNCLASSIFIED.iter().copied())
            .map(ToOwned::to_owned)
            .collect();
        assert_eq!(texts_of_the_source(), known);
    }

    fn texts_of_the_source() -> BTreeSet<String> {
        // What other platforms need may never have been downloaded here.
        let metadata = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
            .args(["metadata", "--format-version=1", "--offline"])
            .arg("--filter-platform=host-tuple")
            .output()
            .unwrap();
        let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
        let package = metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|package| package["name"] == "wamrx-sys")
            .unwrap();
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let folder = manifest.with_file_name("wasm-micro-runtime/core/iwasm");
        let mut texts = BTreeSet::new();
        for file in [
            "interpreter/wasm_interp_fast.c",
            "interpreter/wasm_runtime.c",
            "aot/aot_runtime.c",
            "common/wasm_runtime_common.c",
            "common/wasm_memory.c",
        ] {
            let source = fs::read_to_string(folder.join(file)).unwrap();
            for call in source.split("set_exception(").skip(1) {
                let statement = call.split(';').next().unwrap();
                texts.extend(literals(statement));
            }
            if let Some((_, list)) = source.split_once("exception_msgs[] = {") {
                texts.extend(literals(list.split("};").next().unwrap()));
            }
        }
        texts
    }

    /// String literals outside comments, adjacent ones joined as C does.
    fn literals(source: &str) -> Vec<String> {
        let mut code = String::new();
        for (index, part) in source.split("/*").enumerate() {
            code.push_str(match part.split_once("*/") {
                Some((_, after)) if index > 0 => after,
                _ => part,
            });
        }
        let parts: Vec<&str> = code.split('"').collect();
        let mut found: Vec<String> = Vec::new();
        for index in (1..parts.len()).step_by(2) {
            match found.last_mut() {
                Some(last) if index > 1 && parts[index - 1].trim().is_empty() => {
                    last.push_str(parts[index]);
                }
                _ => found.push(parts[index].to_owned()),
            }
        }
        found.retain(|text| !text.is_empty());
        found
    }
}
