//! The pre-pass: one decision about a module, before any engine sees its bytes, that holds for all engines.
//!
//! Two steps. Everything is decoded first, with every proposal of the decoder on: what cannot be decoded is
//! malformed, and what no kernel may have (imports, a start function) is found without validating it. Then the module
//! is validated with exactly the features a pack may use.

use std::collections::BTreeSet;

use kernel_abi::export;
use wasmparser::{Validator, WasmFeatures, types::Types};

use crate::error::{Code, Rejection};
use crate::feature::Feature;

mod hint;
mod interface;
mod plain;
mod state;
mod survey;

use interface::Interface;
pub use plain::{PlainFacts, entry_parameters, inspect_plain_module};
pub use state::State;
#[cfg(test)]
pub(crate) use survey::{
    MOST_BRANCH_TARGETS, MOST_LOCALS, MOST_OPERAND_CHECKS, MOST_PARAMETERS, RUN_BY_ENGINES,
};
use survey::{Refused, Survey};

/// What a module has to satisfy besides the ABI.
#[derive(Clone, Debug)]
pub struct ModuleRules<'a> {
    /// Export that runs the kernel: `(i32) -> i32`.
    pub entry_point: &'a str,
    /// Pages of 64 KiB that the memory may start with.
    pub max_memory_pages: u32,
    /// Elements that all tables together may start with.
    pub max_table_elements: u32,
}

/// What the pre-pass found out about a module that it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleFacts {
    /// `__heap_base`: first address the host may place tensors at. May lie beyond the initial memory.
    pub heap_base: u32,
    /// Pages of 64 KiB that the memory starts with.
    pub memory_minimum_pages: u32,
    /// Pages of 64 KiB that the module itself limits its memory to.
    pub memory_maximum_pages: Option<u32>,
    /// Elements that all tables together start with.
    pub table_elements: u32,
    /// Whether `kernel_backward` is exported.
    pub has_backward: bool,
    /// Features that the module uses.
    pub features_used: BTreeSet<Feature>,
    /// State that the module can change and that does not lie in its memory. [`check_state`](Self::check_state) refuses what is not declared.
    pub state: BTreeSet<State>,
}

/// Decides whether a module may be given to engines, and what they need to know of it.
///
/// Never panics, whatever the bytes are; time is bounded by their number.
///
/// # Errors
/// [`Code::ModuleMalformed`], [`Code::ImportForbidden`], [`Code::ModuleInvalid`], [`Code::ExportMissing`],
/// [`Code::ExportType`], [`Code::LimitExceeded`].
pub fn inspect_module(bytes: &[u8], rules: &ModuleRules<'_>) -> Result<ModuleFacts, Rejection> {
    check_header(bytes)?;
    let mut survey = Survey::default();
    survey.module(bytes).map_err(rejection)?;
    survey.check_complexity()?;
    let types = validate(bytes)?;
    let interface = Interface {
        types: types.as_ref(),
        exports: &survey.exports,
    };
    let (minimum, maximum) = interface.memory(rules)?;
    let table_elements = interface.tables(rules)?;
    let heap_base = interface.heap_base(&survey.global_constants)?;
    interface.function(rules.entry_point, 1)?;
    interface.function(export::INIT, 2)?;
    interface.function(export::INFO, 1)?;
    interface.function(export::CLEANUP, 0)?;
    let has_backward = interface.find(export::BACKWARD).is_some();
    if has_backward {
        interface.function(export::BACKWARD, 1)?;
    }
    if interface.exports_mutable_global() {
        survey.features.insert(Feature::MutableGlobals);
    }
    Ok(ModuleFacts {
        heap_base,
        memory_minimum_pages: minimum,
        memory_maximum_pages: maximum,
        table_elements,
        has_backward,
        state: survey.state(u64::from(minimum) * kernel_abi::PAGE_BYTES),
        features_used: survey.features,
    })
}

/// What a survey that stopped means.
fn rejection(refused: Refused) -> Rejection {
    match refused {
        // The decoder's own limits (1 000 parameters, say) are not errors of the encoding.
        Refused::Decoding(error) if error.message().ends_with("is out of bounds") => {
            Rejection::new(
                Code::ModuleInvalid,
                format!("the module is beyond a limit that engines share: {error}"),
            )
        }
        Refused::Decoding(error) => Rejection::new(
            Code::ModuleMalformed,
            format!("the module cannot be decoded: {error}"),
        ),
        Refused::Rule(rejection) => rejection,
    }
}

fn validate(bytes: &[u8]) -> Result<Types, Rejection> {
    Validator::new_with_features(allowed_features())
        .validate_all(bytes)
        .map_err(|error| {
            let reason = error.to_string();
            let hint = hint::feature(&reason).map(|hint| format!("; {hint}"));
            Rejection::new(
                Code::ModuleInvalid,
                format!(
                    "the module does not validate with the features a pack may use: {reason}{}",
                    hint.unwrap_or_default()
                ),
            )
        })
}

/// Exactly the features a pack may use.
fn allowed_features() -> WasmFeatures {
    WasmFeatures::WASM2
}

/// Only core modules in binary form get any further: engines guess formats, and some of those hold native code.
fn check_header(bytes: &[u8]) -> Result<(), Rejection> {
    let found = match bytes {
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => return Ok(()),
        [] => "an empty file",
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => "a component",
        [b'\0', b'a', b's', b'm', ..] => "a module of another version, or cut short",
        [b'\0', b'a', b'o', b't', ..] => "an ahead-of-time compiled module",
        [0x7f, b'E', b'L', b'F', ..] => "an ELF file",
        _ if bytes.trim_ascii_start().starts_with(b"(") => "a module in text form",
        _ => "something else",
    };
    Err(Rejection::new(
        Code::ModuleMalformed,
        format!("it is {found}, not a binary core module (\\0asm, version 1)"),
    ))
}
