//! Modules taken apart and put together again, for whoever changes them: scripts' assertions become exports, blocks are counted,
//! faults are planted.
//!
//! What a change does not concern is not encoded again: sections keep their bytes, and get items in front, behind, or in the place of
//! others. Indexes stay.

pub(crate) mod body;
pub(crate) mod flow;
mod listing;

pub(crate) use listing::Listing;

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};
use wasm_encoder::{
    ConstExpr, Encode, ExportKind, Function, Instruction, Module as EncodedModule, RawSection,
};
use wasmparser::{
    BinaryReader, BinaryReaderError, ExternalKind, FuncType, GlobalSectionReader, GlobalType,
    Operator, Parser, Payload, TypeRef, ValType, WasmFeatures,
};

/// What packs and scripts may use: WebAssembly 2.0, which is WebAssembly 1.0 with the seven features of packs.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM2;

/// Identifiers of sections.
pub(crate) mod section {
    pub(crate) const CUSTOM: u8 = 0;
    pub(crate) const TYPE: u8 = 1;
    pub(crate) const FUNCTION: u8 = 3;
    pub(crate) const TABLE: u8 = 4;
    pub(crate) const MEMORY: u8 = 5;
    pub(crate) const GLOBAL: u8 = 6;
    pub(crate) const EXPORT: u8 = 7;
    pub(crate) const START: u8 = 8;
    pub(crate) const ELEMENT: u8 = 9;
    pub(crate) const CODE: u8 = 10;
    pub(crate) const DATA: u8 = 11;
    pub(crate) const DATA_COUNT: u8 = 12;

    /// The order that they must have.
    pub(super) const ORDER: [u8; 11] = [
        TYPE, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA,
    ];
}

/// Items for the ends of a section: their encodings, joined, and how many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Items {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: u32,
}

impl Items {
    pub(crate) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.count += 1;
    }
}

/// Splits the contents of a section into the number of its items and the items.
pub(crate) fn items(contents: &[u8]) -> Result<(u32, &[u8]), BinaryReaderError> {
    let mut reader = BinaryReader::new(contents, 0);
    let count = reader.read_var_u32()?;
    Ok((count, &contents[reader.current_position()..]))
}

/// What becomes of a section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// Contents in the place of those that there are.
    pub(crate) contents: Option<Vec<u8>>,
    pub(crate) before: Items,
    pub(crate) after: Items,
}

/// What an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exported {
    Function(u32),
    Global(u32),
    Other,
}

/// An import.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) kind: TypeRef,
}

/// A module of the binary format.
#[derive(Clone, Debug, Default)]
pub(crate) struct Module {
    pub(crate) wasm: Vec<u8>,
    /// Identifier and contents of every section, in order.
    sections: Vec<(u8, Range<usize>)>,
    pub(crate) types: Vec<FuncType>,
    pub(crate) imports: Vec<Import>,
    /// Type index of every function, imported ones first.
    functions: Vec<u32>,
    /// All globals, imported ones first.
    pub(crate) globals: Vec<GlobalType>,
    /// Whether it has a memory or a table.
    pub(crate) has_memory_or_table: bool,
    exports: HashMap<String, Exported>,
    /// Of every function that has a body.
    pub(crate) bodies: Vec<Range<usize>>,
}

impl Module {
    /// Reads a module; code is not looked at.
    ///
    /// # Errors
    /// If it cannot be decoded.
    pub(crate) fn of(wasm: Vec<u8>) -> Result<Module, BinaryReaderError> {
        let mut module = Module::default();
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        for payload in parser.parse_all(&wasm) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section() {
                module
                    .sections
                    .push((id, range.start as usize..range.end as usize));
            }
            module.payload(payload)?;
        }
        module.wasm = wasm;
        Ok(module)
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
                    match import.ty {
                        TypeRef::Func(index) => self.functions.push(index),
                        TypeRef::Global(kind) => self.globals.push(kind),
                        TypeRef::Memory(_) | TypeRef::Table(_) => self.has_memory_or_table = true,
                        _ => {}
                    }
                    self.imports.push(Import {
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                        kind: import.ty,
                    });
                }
            }
            Payload::FunctionSection(functions) => {
                for kind in functions {
                    self.functions.push(kind?);
                }
            }
            Payload::TableSection(tables) => self.has_memory_or_table |= tables.count() > 0,
            Payload::MemorySection(memories) => self.has_memory_or_table |= memories.count() > 0,
            Payload::GlobalSection(globals) => {
                for global in globals {
                    self.globals.push(global?.ty);
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

    /// What an export is; `None` if there is none of this name.
    pub(crate) fn export(&self, name: &str) -> Option<Exported> {
        self.exports.get(name).copied()
    }

    /// The type of a function.
    pub(crate) fn function(&self, index: u32) -> Option<&FuncType> {
        let kind = self.functions.get(index as usize)?;
        self.types.get(*kind as usize)
    }

    /// The type of a global.
    pub(crate) fn global(&self, index: u32) -> Option<ValType> {
        Some(self.globals.get(index as usize)?.content_type)
    }

    /// Number of functions, imported ones included.
    pub(crate) fn functions(&self) -> u32 {
        self.functions.len() as u32
    }

    /// Number of functions that are imported: the first ones.
    pub(crate) fn imported_functions(&self) -> u32 {
        (self.functions.len() - self.bodies.len()) as u32
    }

    /// A start of names that no export has.
    pub(crate) fn free_prefix(&self) -> String {
        let mut prefix = "assay".to_owned();
        while self.exports.keys().any(|name| name.starts_with(&prefix)) {
            prefix.push('_');
        }
        prefix
    }

    /// The mutable globals that the module defines, by index, each with what it begins with; those of references are left out.
    ///
    /// # Errors
    /// If they cannot be decoded.
    pub(crate) fn mutable_globals(
        &self,
    ) -> Result<Vec<(u32, Instruction<'static>)>, BinaryReaderError> {
        let Some(contents) = self.contents(section::GLOBAL) else {
            return Ok(Vec::new());
        };
        let reader = GlobalSectionReader::new(BinaryReader::new(contents, 0))?;
        let imported = self.globals.len() as u32 - reader.count();
        let mut globals = Vec::new();
        for (index, global) in reader.into_iter().enumerate() {
            let global = global?;
            let mut operators = global.init_expr.get_operators_reader();
            let begins_with = match operators.read()? {
                Operator::I32Const { value } => Instruction::I32Const(value),
                Operator::I64Const { value } => Instruction::I64Const(value),
                Operator::F32Const { value } => Instruction::F32Const(value.into()),
                Operator::F64Const { value } => Instruction::F64Const(value.into()),
                Operator::V128Const { value } => Instruction::V128Const(value.i128()),
                _ => continue,
            };
            if global.ty.mutable {
                globals.push((imported + index as u32, begins_with));
            }
        }
        Ok(globals)
    }

    /// The contents of a section.
    pub(crate) fn contents(&self, id: u8) -> Option<&[u8]> {
        let (_, range) = self.sections.iter().find(|(other, _)| *other == id)?;
        self.wasm.get(range.clone())
    }

    /// The contents of the code section with other bodies in the places of some.
    pub(crate) fn code(&self, bodies: &HashMap<usize, Vec<u8>>) -> Vec<u8> {
        let mut code = Vec::new();
        (self.bodies.len() as u32).encode(&mut code);
        for (index, range) in self.bodies.iter().enumerate() {
            match bodies.get(&index) {
                Some(body) => body[..].encode(&mut code),
                None => self.wasm[range.clone()].encode(&mut code),
            }
        }
        code
    }

    /// The module with its sections changed; custom sections go to the end.
    ///
    /// # Errors
    /// If a section cannot be decoded.
    pub(crate) fn assemble(
        &self,
        changes: &BTreeMap<u8, Change>,
    ) -> Result<Vec<u8>, BinaryReaderError> {
        let nothing = Change::default();
        let mut module = EncodedModule::new();
        for id in section::ORDER {
            let Change {
                contents,
                before,
                after,
            } = changes.get(&id).unwrap_or(&nothing);
            let old = contents.as_deref().or_else(|| self.contents(id));
            if before.count + after.count == 0 {
                if let Some(data) = old {
                    module.section(&RawSection { id, data });
                }
                continue;
            }
            let (count, bytes) = items(old.unwrap_or(&[0]))?;
            let mut data = Vec::new();
            (before.count + count + after.count).encode(&mut data);
            data.extend_from_slice(&before.bytes);
            data.extend_from_slice(bytes);
            data.extend_from_slice(&after.bytes);
            module.section(&RawSection { id, data: &data });
        }
        for (id, range) in &self.sections {
            if *id == section::CUSTOM {
                let data = &self.wasm[range.clone()];
                module.section(&RawSection { id: *id, data });
            }
        }
        Ok(module.finish())
    }
}

/// Items for the ends of the sections that exported functions are made of.
#[derive(Default)]
pub(crate) struct Added {
    types: Vec<FuncType>,
    functions: Items,
    pub(crate) globals: Items,
    exports: Items,
    bodies: Items,
}

impl Added {
    /// Adds an exported function of these types.
    pub(crate) fn function(
        &mut self,
        module: &Module,
        export: &str,
        types: (&[ValType], &[ValType]),
        body: &Function,
    ) {
        let index = self.inner_function(module, types, body);
        self.exports.push(|bytes| {
            export.encode(bytes);
            ExportKind::Func.encode(bytes);
            index.encode(bytes);
        });
    }

    /// Adds a function of these types that only the module's own code can call; gives its index.
    pub(crate) fn inner_function(
        &mut self,
        module: &Module,
        (parameters, results): (&[ValType], &[ValType]),
        body: &Function,
    ) -> u32 {
        let index = module.functions() + self.functions.count;
        let is_it = |kind: &FuncType| kind.params() == parameters && kind.results() == results;
        let mut types = module.types.iter().chain(&self.types);
        let kind = types.position(is_it).unwrap_or_else(|| {
            let (parameters, results) = (parameters.iter().copied(), results.iter().copied());
            self.types.push(FuncType::new(parameters, results));
            module.types.len() + self.types.len() - 1
        });
        self.functions.push(|bytes| (kind as u32).encode(bytes));
        self.bodies.push(|bytes| body.encode(bytes));
        index
    }

    /// Adds a mutable global of 32 bits, which is 0 in the beginning.
    pub(crate) fn counter(&mut self) {
        self.global(wasm_encoder::ValType::I32, ConstExpr::i32_const(0));
    }

    /// The same with lanes.
    pub(crate) fn lanes(&mut self) {
        self.global(wasm_encoder::ValType::V128, ConstExpr::v128_const(0));
    }

    fn global(&mut self, val_type: wasm_encoder::ValType, begins_with: ConstExpr) {
        self.globals.push(|bytes| {
            let kind = wasm_encoder::GlobalType {
                val_type,
                mutable: true,
                shared: false,
            };
            kind.encode(bytes);
            begins_with.encode(bytes);
        });
    }

    /// Puts the items behind those of the sections.
    pub(crate) fn into_changes(self, changes: &mut BTreeMap<u8, Change>) {
        let mut types = Items::default();
        for kind in &self.types {
            types.push(|bytes| {
                bytes.push(0x60);
                for values in [kind.params(), kind.results()] {
                    (values.len() as u32).encode(bytes);
                    values.iter().for_each(|kind| number(*kind).encode(bytes));
                }
            });
        }
        for (id, items) in [
            (section::TYPE, types),
            (section::FUNCTION, self.functions),
            (section::GLOBAL, self.globals),
            (section::EXPORT, self.exports),
            (section::CODE, self.bodies),
        ] {
            changes.entry(id).or_default().after = items;
        }
    }
}

/// A value's type, for the encoder.
pub(crate) fn number(kind: ValType) -> wasm_encoder::ValType {
    use wasm_encoder::ValType as Encoded;
    match kind {
        ValType::I32 => Encoded::I32,
        ValType::I64 => Encoded::I64,
        ValType::F32 => Encoded::F32,
        ValType::F64 => Encoded::F64,
        ValType::V128 => Encoded::V128,
        ValType::Ref(kind) if kind == wasmparser::RefType::EXTERNREF => Encoded::EXTERNREF,
        ValType::Ref(_) => Encoded::FUNCREF,
    }
}

#[cfg(test)]
mod tests;
