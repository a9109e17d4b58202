//! Modules that are no kernels: the part of the pre-pass that is about features and limits, and nothing of the ABI.

use std::collections::BTreeSet;

use wasmparser::{CompositeInnerType, ExternalKind, Parser, Payload, TypeRef};

use super::survey::Survey;
use super::{check_header, rejection, validate};
use crate::error::{Code, Rejection};
use crate::feature::Feature;

/// What the pre-pass found out about a module that need not be a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainFacts {
    /// Features that the module uses.
    pub features_used: BTreeSet<Feature>,
}

/// The pre-pass as far as features and limits go: the module decodes, is not too costly to validate, validates with
/// exactly the features a pack may use, and starts within these limits. Imports, start functions and exports are not judged.
///
/// Never panics, whatever the bytes are; time is bounded by their number.
///
/// # Errors
/// [`Code::ModuleMalformed`], [`Code::ModuleInvalid`], [`Code::LimitExceeded`].
pub fn inspect_plain_module(
    bytes: &[u8],
    max_memory_pages: u32,
    max_table_elements: u32,
) -> Result<PlainFacts, Rejection> {
    check_header(bytes)?;
    let mut survey = Survey::of_any_interface();
    survey.module(bytes).map_err(rejection)?;
    survey.check_complexity()?;
    let types = validate(bytes)?;
    let types = types.as_ref();
    let pages = (0..types.memory_count())
        .map(|index| types.memory_at(index).initial)
        .fold(0, u64::saturating_add);
    let elements = (0..types.table_count())
        .map(|index| types.table_at(index).initial)
        .fold(0, u64::saturating_add);
    for (what, starts, allowed) in [
        ("memory starts with", pages, max_memory_pages),
        ("tables start with", elements, max_table_elements),
    ] {
        if starts > u64::from(allowed) {
            return Err(Rejection::new(
                Code::LimitExceeded,
                format!("the module's {what} {starts}, {allowed} are allowed"),
            ));
        }
    }
    if survey
        .exports
        .iter()
        .filter(|export| export.kind == ExternalKind::Global)
        .any(|export| types.global_at(export.index).mutable)
    {
        survey.features.insert(Feature::MutableGlobals);
    }
    Ok(PlainFacts {
        features_used: survey.features,
    })
}

/// The number of parameters of the function exported as `name`; `None` where the module has no such function, or
/// cannot be decoded so far.
pub fn entry_parameters(bytes: &[u8], name: &str) -> Option<usize> {
    let mut types = Vec::new();
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::TypeSection(section) => {
                for group in section {
                    for subtype in group.ok()?.types() {
                        types.push(match &subtype.composite_type.inner {
                            CompositeInnerType::Func(function) => Some(function.params().len()),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(index) = import.ok()?.ty {
                        functions.push(index);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for index in section {
                    functions.push(index.ok()?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    if export.name == name && export.kind == ExternalKind::Func {
                        let function = *functions.get(export.index as usize)?;
                        return types.get(function as usize).copied().flatten();
                    }
                }
                return None;
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(text: &str) -> Result<PlainFacts, Code> {
        inspect_plain_module(&wat::parse_str(text).unwrap(), 4, 8).map_err(|error| error.code)
    }

    #[test]
    fn an_interface_of_any_kind_passes() {
        let facts = inspect(
            r#"(module (import "a" "b" (func)) (import "a" "c" (global externref))
                 (func $start) (start $start) (func (export "__wasm_call_ctors")))"#,
        );
        let facts = facts.unwrap();
        assert_eq!(
            facts.features_used,
            BTreeSet::from([Feature::ReferenceTypes])
        );
        assert!(inspect("(module)").unwrap().features_used.is_empty());
    }

    #[test]
    fn features_and_limits_hold() {
        for (text, code) in [
            ("(module (memory 5))", Code::LimitExceeded),
            (
                r#"(module (import "a" "b" (memory 5)))"#,
                Code::LimitExceeded,
            ),
            (
                "(module (table 5 funcref) (table 4 externref))",
                Code::LimitExceeded,
            ),
            ("(module (memory i64 1))", Code::ModuleInvalid),
            ("(module (func (return_call 0)))", Code::ModuleInvalid),
            ("(module (func (result i32)))", Code::ModuleInvalid),
        ] {
            assert_eq!(inspect(text), Err(code), "{text}");
        }
        assert!(inspect("(module (memory 4) (table 8 funcref))").is_ok());
        let text = inspect_plain_module(b"(module)", 1, 1).map_err(|error| error.code);
        assert_eq!(text, Err(Code::ModuleMalformed));
    }

    #[test]
    fn parameters_of_an_entry_are_counted_over_imports() {
        let wasm = wat::parse_str(
            r#"(module (import "a" "b" (func (param i64 i64)))
                 (func (export "run") (param i32) (result i32) (local.get 0))
                 (func (export "none") (result i32) (i32.const 1)) (memory (export "memory") 1))"#,
        )
        .unwrap();
        assert_eq!(entry_parameters(&wasm, "run"), Some(1));
        assert_eq!(entry_parameters(&wasm, "none"), Some(0));
        assert_eq!(entry_parameters(&wasm, "memory"), None);
        assert_eq!(entry_parameters(&wasm, "absent"), None);
        assert_eq!(entry_parameters(b"nonsense", "run"), None);
    }
}
