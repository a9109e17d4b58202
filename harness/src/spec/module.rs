//! What a valid module holds, as far as rewriting needs it, and how its imports from `spectest` become definitions.

use super::scope::OutOfScope;
use std::{collections::HashMap, ops::Range};
use wasm_encoder::{
    ConstExpr, Encode, GlobalType as EncodedGlobalType, Ieee32, Ieee64, RefType as EncodedRefType,
    ValType as EncodedValType,
};
use wasmparser::{
    BinaryReader, BinaryReaderError, ExternalKind, FuncType, FunctionBody, GlobalType, Operator,
    Parser, Payload, TypeRef, ValType,
};

/// Identifiers of sections, in the order that they must have.
pub(super) mod section {
    pub(in crate::spec) const CUSTOM: u8 = 0;
    pub(in crate::spec) const TYPE: u8 = 1;
    pub(in crate::spec) const FUNCTION: u8 = 3;
    pub(in crate::spec) const TABLE: u8 = 4;
    pub(in crate::spec) const MEMORY: u8 = 5;
    pub(in crate::spec) const GLOBAL: u8 = 6;
    pub(in crate::spec) const EXPORT: u8 = 7;
    pub(in crate::spec) const START: u8 = 8;
    pub(in crate::spec) const ELEMENT: u8 = 9;
    pub(in crate::spec) const CODE: u8 = 10;
    pub(in crate::spec) const DATA: u8 = 11;
    pub(in crate::spec) const DATA_COUNT: u8 = 12;
}

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

/// Items for the front of a section: their encodings, joined, and how many.
#[derive(Clone, Debug, Default)]
pub(super) struct Items {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u32,
}

impl Items {
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.count += 1;
    }
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

/// What an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exported {
    Function(u32),
    Global(u32),
    Other,
}

/// A module of the binary format, surveyed.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    pub(super) wasm: Vec<u8>,
    /// Identifier and contents of every section, in order.
    pub(super) sections: Vec<(u8, Range<usize>)>,
    pub(super) types: Vec<FuncType>,
    /// Module and name of every import.
    pub(super) imports: Vec<(String, String)>,
    /// Type index of every function, imported ones first.
    functions: Vec<u32>,
    globals: Vec<GlobalType>,
    exports: HashMap<String, Exported>,
    /// Of every function that has a body.
    bodies: Vec<Range<usize>>,
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
        let mut survey = Survey {
            wasm: Vec::new(),
            sections: Vec::new(),
            types: Vec::new(),
            imports: Vec::new(),
            functions: Vec::new(),
            globals: Vec::new(),
            exports: HashMap::new(),
            bodies: Vec::new(),
            has_state: false,
            definitions: Some(Definitions::default()),
        };
        let mut parser = Parser::new(0);
        parser.set_features(super::scope::pack_features());
        for payload in parser.parse_all(&wasm) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section() {
                survey
                    .sections
                    .push((id, range.start as usize..range.end as usize));
            }
            survey.payload(payload)?;
        }
        survey.wasm = wasm;
        Ok(survey)
    }

    fn payload(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(types) => {
                for kind in types.into_iter_err_on_gc_types() {
                    self.types.push(kind?);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    self.imports
                        .push((import.module.to_owned(), import.name.to_owned()));
                    self.import(import.module, import.name, import.ty);
                }
            }
            Payload::FunctionSection(functions) => {
                for kind in functions {
                    self.functions.push(kind?);
                }
            }
            Payload::TableSection(tables) => self.has_state |= tables.count() > 0,
            Payload::MemorySection(memories) => self.has_state |= memories.count() > 0,
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let kind = global?.ty;
                    self.has_state |= kind.mutable;
                    self.globals.push(kind);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let exported = match export.kind {
                        ExternalKind::Func => Exported::Function(export.index),
                        ExternalKind::Global => Exported::Global(export.index),
                        _ => Exported::Other,
                    };
                    self.exports.insert(export.name.to_owned(), exported);
                }
            }
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                self.bodies.push(range.start as usize..range.end as usize);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes an import into the index spaces, and its definition to the others if `spectest` has it.
    fn import(&mut self, module: &str, name: &str, kind: TypeRef) {
        if module != "spectest" {
            self.definitions = None;
        }
        let defined = match kind {
            TypeRef::Func(index) => {
                self.functions.push(index);
                let wanted = self.types.get(index as usize);
                self.definitions.as_mut().is_some_and(|definitions| {
                    definitions.functions.push(|bytes| index.encode(bytes));
                    // No locals, and the end.
                    definitions.bodies.push(|bytes| [0, 0x0b][..].encode(bytes));
                    let has = spectest_function(name);
                    wanted.is_some_and(|wanted| {
                        wanted.results().is_empty() && Some(wanted.params()) == has
                    })
                })
            }
            TypeRef::Table(wanted) => {
                self.has_state = true;
                self.definitions.as_mut().is_some_and(|definitions| {
                    definitions.tables.push(|bytes| {
                        EncodedRefType::FUNCREF.encode(bytes);
                        bytes.extend([1, 10, 20]);
                    });
                    name == "table"
                        && wanted.element_type == wasmparser::RefType::FUNCREF
                        && wanted.initial <= 10
                        && wanted.maximum.is_none_or(|maximum| maximum >= 20)
                })
            }
            TypeRef::Memory(wanted) => {
                self.has_state = true;
                self.definitions.as_mut().is_some_and(|definitions| {
                    definitions.memories.push(|bytes| bytes.extend([1, 1, 2]));
                    name == "memory"
                        && wanted.initial <= 1
                        && wanted.maximum.is_none_or(|maximum| maximum >= 2)
                })
            }
            TypeRef::Global(wanted) => {
                self.globals.push(wanted);
                self.has_state |= wanted.mutable;
                match (spectest_global(name), self.definitions.as_mut()) {
                    (Some((kind, value)), Some(definitions)) => {
                        definitions.globals.push(|bytes| {
                            let mutable = false;
                            EncodedGlobalType {
                                val_type: number(kind),
                                mutable,
                                shared: false,
                            }
                            .encode(bytes);
                            value.encode(bytes);
                        });
                        definitions.values.push(value);
                        !wanted.mutable && wanted.content_type == kind
                    }
                    _ => false,
                }
            }
            _ => false,
        };
        if !defined {
            self.definitions = None;
        }
    }

    /// The definitions that take the places of the imports.
    ///
    /// # Errors
    /// If there are imports that `spectest` does not have.
    pub(super) fn definitions(&self) -> Result<&Definitions, OutOfScope> {
        self.definitions.as_ref().ok_or(OutOfScope::Imports)
    }

    /// What an export is; `None` if there is none of this name.
    pub(super) fn export(&self, name: &str) -> Option<Exported> {
        self.exports.get(name).copied()
    }

    pub(super) fn function(&self, index: u32) -> Option<&FuncType> {
        let kind = self.functions.get(index as usize)?;
        self.types.get(*kind as usize)
    }

    /// Whether a call of a function may leave something behind. Functions that it calls are not followed: they may.
    pub(super) fn may_change_state(&self, function: u32) -> bool {
        let imported = self.functions.len() - self.bodies.len();
        let Some(body) = (function as usize).checked_sub(imported) else {
            return false;
        };
        let harmless = || -> Result<bool, BinaryReaderError> {
            let Some(bytes) = self
                .bodies
                .get(body)
                .and_then(|range| self.wasm.get(range.clone()))
            else {
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

    pub(super) fn global(&self, index: u32) -> Option<ValType> {
        Some(self.globals.get(index as usize)?.content_type)
    }

    /// Number of globals, imported ones included.
    pub(super) fn globals(&self) -> u32 {
        self.globals.len() as u32
    }

    /// Number of functions, imported ones included.
    pub(super) fn functions(&self) -> u32 {
        self.functions.len() as u32
    }

    /// A start of names that no export has.
    pub(super) fn free_prefix(&self) -> String {
        let mut prefix = "assay".to_owned();
        while self.exports.keys().any(|name| name.starts_with(&prefix)) {
            prefix.push('_');
        }
        prefix
    }
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

/// A number's type, for the encoder.
pub(super) fn number(kind: ValType) -> EncodedValType {
    match kind {
        ValType::I32 => EncodedValType::I32,
        ValType::I64 => EncodedValType::I64,
        ValType::F32 => EncodedValType::F32,
        ValType::F64 => EncodedValType::F64,
        ValType::V128 => EncodedValType::V128,
        ValType::Ref(kind) if kind == wasmparser::RefType::EXTERNREF => EncodedValType::EXTERNREF,
        ValType::Ref(_) => EncodedValType::FUNCREF,
    }
}

/// Splits the contents of a section into the number of its items and the items.
pub(super) fn items(contents: &[u8]) -> Result<(u32, &[u8]), BinaryReaderError> {
    let mut reader = BinaryReader::new(contents, 0);
    let count = reader.read_var_u32()?;
    Ok((count, &contents[reader.current_position()..]))
}
