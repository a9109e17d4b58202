//! What is in scope: WebAssembly 2.0, whose features are exactly those that packs may use. Decided from the script, never by
//! what an engine does.

use crate::rewrite;
use kernel_pack::Feature;
use serde::Serialize;
use std::fmt;
use wasmparser::{Validator, WasmFeatures};

/// Why an assertion is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutOfScope {
    /// The module stands in the script as quoted text: it tests a parser of the text format.
    TextFormat,
    /// The module imports something that cannot be linked into it: packs may not import anything.
    Imports,
    /// The assertion is about linking.
    Linking,
    /// A value that only a host can make is passed or expected.
    HostReferences,
    /// The module needs a feature that packs may not use.
    Features,
    /// Another module, not in scope, shares state with this one.
    SharedState,
    /// The module is invalid in WebAssembly 2.0 and valid in 3.0, which an engine may have.
    LaterVersions,
}

impl OutOfScope {
    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            OutOfScope::TextFormat => "quoted text, which tests parsers of the text format",
            OutOfScope::Imports => "imports that cannot be linked into the module",
            OutOfScope::Linking => "linking, which packs cannot ask for",
            OutOfScope::HostReferences => "references that only a host can make",
            OutOfScope::Features => "features that packs may not use",
            OutOfScope::SharedState => "state shared with a module that is not in scope",
            OutOfScope::LaterVersions => "invalid in WebAssembly 2.0, valid in 3.0",
        }
    }
}

impl fmt::Display for OutOfScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Whether a module is valid with the features of packs.
pub(super) fn is_valid(wasm: &[u8]) -> bool {
    verdict(wasm, rewrite::FEATURES).is_none()
}

/// Whether a module is valid in WebAssembly 3.0.
pub(super) fn is_valid_later(wasm: &[u8]) -> bool {
    verdict(wasm, WasmFeatures::WASM3).is_none()
}

/// The features without which a validator judges the module otherwise, or for another reason: those that the module needs.
pub(super) fn needs(wasm: &[u8]) -> Vec<&'static str> {
    let with_all = verdict(wasm, rewrite::FEATURES);
    FEATURES
        .iter()
        .filter(|(_, flag)| verdict(wasm, rewrite::FEATURES.difference(*flag)) != with_all)
        .map(|(feature, _)| feature.as_str())
        .collect()
}

const FEATURES: [(Feature, WasmFeatures); 7] = [
    (Feature::MutableGlobals, WasmFeatures::MUTABLE_GLOBAL),
    (Feature::SignExtension, WasmFeatures::SIGN_EXTENSION),
    (
        Feature::SaturatingFloatToInt,
        WasmFeatures::SATURATING_FLOAT_TO_INT,
    ),
    (Feature::MultiValue, WasmFeatures::MULTI_VALUE),
    (Feature::BulkMemory, WasmFeatures::BULK_MEMORY),
    (Feature::ReferenceTypes, WasmFeatures::REFERENCE_TYPES),
    (Feature::Simd, WasmFeatures::SIMD),
];

/// Where and why a module is not valid.
fn verdict(wasm: &[u8], features: WasmFeatures) -> Option<(u64, String)> {
    Validator::new_with_features(features)
        .validate_all(wasm)
        .err()
        .map(|error| (error.offset(), error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs_of(text: &str) -> Vec<&'static str> {
        needs(&wat::parse_str(text).unwrap())
    }

    #[test]
    fn features_are_found_in_valid_and_in_invalid_modules() {
        assert!(needs_of("(module (func))").is_empty());
        assert_eq!(
            needs_of("(module (func (result v128) (v128.const i64x2 0 0)))"),
            ["simd"]
        );
        assert_eq!(
            needs_of("(module (func (result i32) (v128.const i64x2 0 0)))"),
            ["simd"]
        );
        assert_eq!(
            needs_of("(module (func (result i32 i32) (i32.const 0) (i32.const 1)))"),
            ["multi-value"]
        );
        assert!(needs_of("(module (func (result i32)))").is_empty());
    }

    #[test]
    fn two_memories_are_for_later() {
        let wasm = wat::parse_str("(module (memory 0) (memory 0))").unwrap();
        assert!(!is_valid(&wasm));
        assert!(is_valid_later(&wasm));
    }
}
