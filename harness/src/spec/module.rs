//! What a valid module holds, as far as rewriting needs it, and how its imports from `spectest` become definitions.

use super::scope::OutOfScope;
use crate::rewrite::{Items, Module, number};
use wasm_encoder::{
    ConstExpr, Encode, GlobalType as EncodedGlobalType, Ieee32, Ieee64, RefType as EncodedRefType,
};
use wasmparser::{BinaryReader, BinaryReaderError, FunctionBody, Operator, TypeRef, ValType};

/// The globals that `spectest` has: all immutable.
pub(super) fn spectest_global(name: &str) -> Option<(ValType, ConstExpr)> {
    Some(match name {
        "global_i32" => (ValType::I32, ConstExpr::i32_const(666)),
        "global_i64" => (ValType::I64, ConstExpr::i64_const(666)),
        "global_f32" => (ValType::F32, ConstExpr::f32_const(Ieee32::from(666.6_f32))),
        "global_f64" => (ValType::F64, ConstExpr::f64_const(Ieee64::from(666.6_f64))),
        _ => return None,
    })
}

/// Parameters of the functions that `spectest` has: all do nothing and return nothing.
fn spectest_function(name: &str) -> Option<&'static [ValType]> {
    Some(match name {
        "print" => &[],
        "print_i32" => &[ValType::I32],
        "print_i64" => &[ValType::I64],
        "print_f32" => &[ValType::F32],
        "print_f64" => &[ValType::F64],
        "print_i32_f32" => &[ValType::I32, ValType::F32],
        "print_f64_f64" => &[ValType::F64, ValType::F64],
        _ => return None,
    })
}

/// The definitions that stand for imports. Imported items come first in each index space, so the indexes of all others remain
/// if every import is replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions {
    pub(super) functions: Items,
    pub(super) tables: Items,
    pub(super) memories: Items,
    pub(super) globals: Items,
    /// Bodies of the functions.
    pub(super) bodies: Items,
    /// What each global holds: a definition, unlike an import, may not be read by a constant expression.
    pub(super) values: Vec<ConstExpr>,
}

/// A module of the binary format, surveyed.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    pub(super) module: Module,
    /// Whether calls can leave something behind: there is a memory, a table or a mutable global.
    pub(super) has_state: bool,
    definitions: Option<Definitions>,
}

impl Survey {
    /// Reads a module; code is not looked at.
    ///
    /// # Errors
    /// If it cannot be decoded.
    pub(super) fn of(wasm: Vec<u8>) -> Result<Survey, BinaryReaderError> {
        let module = Module::of(wasm)?;
        Ok(Survey {
            has_state: module.has_memory_or_table
                || module.globals.iter().any(|global| global.mutable),
            definitions: definitions(&module),
            module,
        })
    }

    /// The definitions that take the places of the imports.
    ///
    /// # Errors
    /// If there are imports that `spectest` does not have.
    pub(super) fn definitions(&self) -> Result<&Definitions, OutOfScope> {
        self.definitions.as_ref().ok_or(OutOfScope::Imports)
    }

    /// Whether a call of a function may leave something behind. Functions that it calls are not followed: they may.
    pub(super) fn may_change_state(&self, function: u32) -> bool {
        let module = &self.module;
        let Some(body) = function.checked_sub(module.imported_functions()) else {
            return false;
        };
        let harmless = || -> Result<bool, BinaryReaderError> {
            let body = module.bodies.get(body as usize);
            let Some(bytes) = body.and_then(|range| module.wasm.get(range.clone())) else {
                return Ok(false);
            };
            let body = FunctionBody::new(BinaryReader::new(bytes, 0));
            for operator in body.get_operators_reader()? {
                if changes_state(&operator?) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        self.has_state && !matches!(harmless(), Ok(true))
    }
}

/// The definitions of the imports; `None` if there are some that `spectest` does not have.
fn definitions(module: &Module) -> Option<Definitions> {
    let mut definitions = Definitions::default();
    for import in &module.imports {
        let name = import.name.as_str();
        let defined = match import.kind {
            TypeRef::Func(index) => {
                definitions.functions.push(|bytes| index.encode(bytes));
                // No locals, and the end.
                definitions.bodies.push(|bytes| [0, 0x0b][..].encode(bytes));
                let wanted = module.types.get(index as usize);
                let has = spectest_function(name);
                wanted.is_some_and(|wanted| {
                    wanted.results().is_empty() && Some(wanted.params()) == has
                })
            }
            TypeRef::Table(wanted) => {
                definitions.tables.push(|bytes| {
                    EncodedRefType::FUNCREF.encode(bytes);
                    bytes.extend([1, 10, 20]);
                });
                name == "table"
                    && wanted.element_type == wasmparser::RefType::FUNCREF
                    && wanted.initial <= 10
                    && wanted.maximum.is_none_or(|maximum| maximum >= 20)
            }
            TypeRef::Memory(wanted) => {
                definitions.memories.push(|bytes| bytes.extend([1, 1, 2]));
                name == "memory"
                    && wanted.initial <= 1
                    && wanted.maximum.is_none_or(|maximum| maximum >= 2)
            }
            TypeRef::Global(wanted) => match spectest_global(name) {
                Some((kind, value)) => {
                    definitions.globals.push(|bytes| {
                        EncodedGlobalType {
                            val_type: number(kind),
                            mutable: false,
                            shared: false,
                        }
                        .encode(bytes);
                        value.encode(bytes);
                    });
                    definitions.values.push(value);
                    !wanted.mutable && wanted.content_type == kind
                }
                None => false,
            },
            _ => false,
        };
        if !defined || import.module != "spectest" {
            return None;
        }
    }
    Some(definitions)
}

/// Whether an instruction may change memory, a table, a global or a segment.
fn changes_state(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::I32Store { .. }
            | O::I64Store { .. }
            | O::F32Store { .. }
            | O::F64Store { .. }
            | O::I32Store8 { .. }
            | O::I32Store16 { .. }
            | O::I64Store8 { .. }
            | O::I64Store16 { .. }
            | O::I64Store32 { .. }
            | O::V128Store { .. }
            | O::V128Store8Lane { .. }
            | O::V128Store16Lane { .. }
            | O::V128Store32Lane { .. }
            | O::V128Store64Lane { .. }
            | O::MemoryGrow { .. }
            | O::MemoryFill { .. }
            | O::MemoryCopy { .. }
            | O::MemoryInit { .. }
            | O::DataDrop { .. }
            | O::TableSet { .. }
            | O::TableGrow { .. }
            | O::TableFill { .. }
            | O::TableCopy { .. }
            | O::TableInit { .. }
            | O::ElemDrop { .. }
            | O::GlobalSet { .. }
            | O::Call { .. }
            | O::CallIndirect { .. }
    )
}
