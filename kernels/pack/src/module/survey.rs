//! What decoding alone tells about a module.

use std::collections::BTreeSet;

use wasmparser::{
    BlockType, CompositeInnerType, ConstExpr, DataKind, DataSectionReader, ElementItems,
    ElementKind, ElementSectionReader, Export, ExportSectionReader, FuncType, FunctionBody,
    ImportSectionReader, Operator, Parser, Payload, RefType, TableInit, TableSectionReader,
    TypeRef, TypeSectionReader, ValType,
};

use crate::error::{Code, Rejection, quoted};
use crate::feature::Feature;

use super::{State, hint};

/// Local variables of one function, parameters not counted.
pub(crate) const MOST_LOCALS: u64 = 50_000;
/// Parameters of one function type.
pub(crate) const MOST_PARAMETERS: usize = 1_000;
/// Targets of one `br_table`, the default not counted.
pub(crate) const MOST_BRANCH_TARGETS: u32 = 65_520;
/// Validation looks at all parameters and results of a type at each call and block, and at all values of a label at
/// each branch target. The product is bounded, because a module of 8 MiB could otherwise keep a validator busy for
/// minutes; kernels stay below a thousandth of it.
pub(crate) const MOST_OPERAND_CHECKS: u64 = 20_000_000;

/// Exports that WAMR calls by itself, outside any budget.
pub(crate) const RUN_BY_ENGINES: [&str; 2] = ["__post_instantiate", "__wasm_call_ctors"];

/// Why a survey stopped.
pub(super) enum Refused {
    Decoding(wasmparser::Error),
    Rule(Rejection),
}

impl From<wasmparser::Error> for Refused {
    fn from(error: wasmparser::Error) -> Self {
        Refused::Decoding(error)
    }
}

fn malformed(reason: impl Into<String>) -> Refused {
    Refused::Rule(Rejection::new(Code::ModuleMalformed, reason))
}

fn invalid(reason: impl Into<String>) -> Refused {
    Refused::Rule(Rejection::new(Code::ModuleInvalid, reason))
}

/// What decoding alone tells.
#[derive(Default)]
pub(super) struct Survey<'bytes> {
    /// Imports, a start function and exports that engines run by themselves are let pass: the module is no kernel.
    any_interface: bool,
    pub(super) features: BTreeSet<Feature>,
    pub(super) exports: Vec<Export<'bytes>>,
    /// Of each global: the value of an initialiser that is a plain `i32.const`.
    pub(super) global_constants: Vec<Option<i32>>,
    /// Globals that code sets, by index.
    globals_set: BTreeSet<u32>,
    /// State besides globals.
    state: BTreeSet<State>,
    /// Branches, calls and blocks.
    control_operators: u64,
    /// Targets of all `br_table`.
    branch_targets: u64,
    /// Of each type: the larger number of its parameters and results.
    type_widths: Vec<u64>,
    /// The largest number of values that a label carries.
    widest_label: u64,
}

impl<'bytes> Survey<'bytes> {
    /// A survey of a module that need not be a kernel.
    pub(super) fn of_any_interface() -> Self {
        Self {
            any_interface: true,
            ..Self::default()
        }
    }

    pub(super) fn module(&mut self, bytes: &'bytes [u8]) -> Result<(), Refused> {
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => self.types(section)?,
                Payload::ImportSection(section) => self.imports(section)?,
                Payload::FunctionSection(section) => exhaust(section)?,
                Payload::TableSection(section) => self.tables(section)?,
                Payload::MemorySection(section) => exhaust(section)?,
                Payload::TagSection(section) => exhaust(section)?,
                Payload::GlobalSection(section) => {
                    for global in section {
                        let global = global?;
                        self.value(global.ty.content_type);
                        self.expression(&global.init_expr)?;
                        self.global_constants
                            .push(plain_constant(&global.init_expr));
                    }
                }
                Payload::ExportSection(section) => self.exports(section)?,
                Payload::StartSection { .. } if self.any_interface => {}
                Payload::StartSection { .. } => {
                    return Err(invalid(format!(
                        "the module has a start function; a kernel runs only when it is called; {}",
                        hint::START
                    )));
                }
                Payload::ElementSection(section) => self.elements(section)?,
                Payload::DataCountSection { .. } => {
                    self.features.insert(Feature::BulkMemory);
                }
                Payload::DataSection(section) => self.data(section)?,
                Payload::CodeSectionEntry(body) => self.body(&body)?,
                // A name or producers section may hold anything; engines ignore custom sections.
                Payload::CustomSection(_)
                | Payload::Version { .. }
                | Payload::CodeSectionStart { .. }
                | Payload::End(_) => {}
                Payload::UnknownSection { id, .. } => {
                    return Err(malformed(format!(
                        "the module has a section of the unknown kind {id}"
                    )));
                }
                // The enum grows with the decoder; what is not known here is not accepted.
                _ => {
                    return Err(malformed(
                        "the module has a section that no core module has",
                    ));
                }
            }
        }
        Ok(())
    }

    fn types(&mut self, section: TypeSectionReader<'bytes>) -> Result<(), Refused> {
        for group in section {
            for subtype in group?.types() {
                match &subtype.composite_type.inner {
                    CompositeInnerType::Func(function) => self.function_type(function)?,
                    _ => self.type_widths.push(0),
                }
            }
        }
        Ok(())
    }

    fn imports(&mut self, section: ImportSectionReader<'bytes>) -> Result<(), Refused> {
        for import in section.into_imports() {
            let import = import?;
            if !self.any_interface {
                return Err(Refused::Rule(Rejection::new(
                    Code::ImportForbidden,
                    format!(
                        "the module imports {} from {}; a kernel imports nothing; {}",
                        quoted(import.name),
                        quoted(import.module),
                        hint::import(import.module, import.name)
                    ),
                )));
            }
            match import.ty {
                TypeRef::Table(table) => self.reference(table.element_type),
                TypeRef::Global(global) => self.value(global.content_type),
                _ => {}
            }
        }
        Ok(())
    }

    fn tables(&mut self, section: TableSectionReader<'bytes>) -> Result<(), Refused> {
        for (index, table) in section.into_iter().enumerate() {
            let table = table?;
            self.reference(table.ty.element_type);
            if index > 0 {
                self.features.insert(Feature::ReferenceTypes);
            }
            if let TableInit::Expr(expression) = &table.init {
                self.expression(expression)?;
            }
        }
        Ok(())
    }

    fn exports(&mut self, section: ExportSectionReader<'bytes>) -> Result<(), Refused> {
        for export in section {
            let export = export?;
            if RUN_BY_ENGINES.contains(&export.name) && !self.any_interface {
                return Err(invalid(format!(
                    "the module exports {}, which some engines run by themselves",
                    export.name
                )));
            }
            self.exports.push(export);
        }
        Ok(())
    }

    fn elements(&mut self, section: ElementSectionReader<'bytes>) -> Result<(), Refused> {
        for element in section {
            let element = element?;
            match &element.kind {
                ElementKind::Active { offset_expr, .. } => self.expression(offset_expr)?,
                ElementKind::Passive => {
                    self.features.insert(Feature::BulkMemory);
                }
                ElementKind::Declared => {
                    self.features.insert(Feature::ReferenceTypes);
                }
            }
            match element.items {
                ElementItems::Functions(items) => exhaust(items)?,
                ElementItems::Expressions(reference, items) => {
                    self.reference(reference);
                    self.features.insert(Feature::BulkMemory);
                    for expression in items {
                        self.expression(&expression?)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn data(&mut self, section: DataSectionReader<'bytes>) -> Result<(), Refused> {
        for data in section {
            match data?.kind {
                DataKind::Active { offset_expr, .. } => self.expression(&offset_expr)?,
                DataKind::Passive => {
                    self.features.insert(Feature::BulkMemory);
                }
            }
        }
        Ok(())
    }

    fn function_type(&mut self, function: &FuncType) -> Result<(), Refused> {
        let (parameters, results) = (function.params(), function.results());
        if parameters.len() > MOST_PARAMETERS {
            return Err(invalid(format!(
                "the module has a function type of {} parameters, the most is {MOST_PARAMETERS}",
                parameters.len()
            )));
        }
        if results.len() > 1 {
            self.features.insert(Feature::MultiValue);
        }
        for value in parameters.iter().chain(results) {
            self.value(*value);
        }
        let (parameters, results) = (parameters.len() as u64, results.len() as u64);
        self.type_widths.push(parameters.max(results));
        // The body of any function is a label that carries its results.
        self.widest_label = self.widest_label.max(results);
        Ok(())
    }

    fn body(&mut self, body: &FunctionBody<'bytes>) -> Result<(), Refused> {
        let mut locals = body.get_locals_reader()?;
        let mut count = 0;
        for _ in 0..locals.get_count() {
            let (repeat, value) = locals.read()?;
            self.value(value);
            count += u64::from(repeat);
            if count > MOST_LOCALS {
                return Err(invalid(format!(
                    "the module has a function of more than {MOST_LOCALS} locals"
                )));
            }
        }
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            self.operator(&operators.read()?)?;
        }
        operators.finish()?;
        Ok(())
    }

    fn operator(&mut self, operator: &Operator<'_>) -> Result<(), Refused> {
        match operator {
            Operator::BrTable { targets } => {
                if targets.len() > MOST_BRANCH_TARGETS {
                    return Err(invalid(format!(
                        "the module has a br_table of {} targets, the most is {MOST_BRANCH_TARGETS}",
                        targets.len()
                    )));
                }
                for target in targets.targets() {
                    target?;
                }
                self.branch_targets += u64::from(targets.len());
            }
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                match blockty {
                    BlockType::FuncType(index) => {
                        self.features.insert(Feature::MultiValue);
                        let width = self.type_widths.get(*index as usize).copied();
                        self.widest_label = self.widest_label.max(width.unwrap_or(0));
                    }
                    BlockType::Type(value) => self.value(*value),
                    BlockType::Empty => {}
                }
                self.control_operators += 1;
            }
            Operator::Else
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::Return
            | Operator::Call { .. } => self.control_operators += 1,
            Operator::CallIndirect { table_index, .. } => {
                self.control_operators += 1;
                if *table_index > 0 {
                    self.features.insert(Feature::ReferenceTypes);
                }
            }
            Operator::GlobalSet { global_index } => {
                self.globals_set.insert(*global_index);
            }
            Operator::MemoryGrow { .. } => {
                self.state.insert(State::MemoryGrow);
            }
            Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. } => {
                self.state.insert(State::Tables);
            }
            Operator::DataDrop { .. } => {
                self.state.insert(State::DataDrop);
            }
            Operator::ElemDrop { .. } => {
                self.state.insert(State::ElemDrop);
            }
            _ => {}
        }
        if let Some(feature) = feature_of_proposal(proposal(operator)) {
            self.features.insert(feature);
        }
        Ok(())
    }

    fn expression(&mut self, expression: &ConstExpr<'bytes>) -> Result<(), Refused> {
        for operator in expression.get_operators_reader() {
            self.operator(&operator?)?;
        }
        Ok(())
    }

    fn value(&mut self, value: ValType) {
        match value {
            ValType::V128 => {
                self.features.insert(Feature::Simd);
            }
            ValType::Ref(reference) => {
                self.features.insert(Feature::ReferenceTypes);
                self.reference(reference);
            }
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => {}
        }
    }

    fn reference(&mut self, reference: RefType) {
        if reference != RefType::FUNCREF {
            self.features.insert(Feature::ReferenceTypes);
        }
    }

    /// State that does not lie in a memory of so many bytes. One global that code sets and that begins as an address in memory is taken for
    /// the stack pointer: compilers restore it before they return, and conformance looks whether the module does.
    pub(super) fn state(&self, memory_bytes: u64) -> BTreeSet<State> {
        let mut state = self.state.clone();
        let is_address = |index: &&u32| {
            let constant = self.global_constants.get(**index as usize).copied();
            let address = constant.flatten().map(|value| u64::from(value as u32));
            address.is_some_and(|address| address > 0 && address <= memory_bytes)
        };
        let stack_pointers = self.globals_set.iter().filter(is_address).count().min(1);
        if self.globals_set.len() > stack_pointers {
            state.insert(State::Globals);
        }
        state
    }

    pub(super) fn check_complexity(&self) -> Result<(), Rejection> {
        let widest_type = self.type_widths.iter().copied().max().unwrap_or(0);
        let checks = self
            .control_operators
            .saturating_mul(widest_type)
            .saturating_add(self.branch_targets.saturating_mul(self.widest_label));
        if checks > MOST_OPERAND_CHECKS {
            return Err(Rejection::new(
                Code::ModuleInvalid,
                format!(
                    "the module is too costly to validate: {} branches, calls and blocks with types of up to \
                     {widest_type} values, {} br_table targets with labels of up to {}",
                    self.control_operators, self.branch_targets, self.widest_label
                ),
            ));
        }
        Ok(())
    }
}

/// Decodes all items of a section that hold nothing to be noted.
fn exhaust<'bytes, T: wasmparser::FromReader<'bytes>>(
    section: wasmparser::SectionLimited<'bytes, T>,
) -> Result<(), Refused> {
    for item in section {
        item?;
    }
    Ok(())
}

/// The value of an initialiser `i32.const n`.
fn plain_constant(expression: &ConstExpr<'_>) -> Option<i32> {
    let mut operators = expression.get_operators_reader();
    match (operators.read(), operators.read(), operators.eof()) {
        (Ok(Operator::I32Const { value }), Ok(Operator::End), true) => Some(value),
        _ => None,
    }
}

/// Generates the function that names the proposal an operator came with, from the decoder's own table.
macro_rules! define_proposal {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        fn proposal(operator: &Operator<'_>) -> &'static str {
            match operator {
                $(Operator::$op { .. } => stringify!($proposal),)*
                _ => "",
            }
        }
    };
}
wasmparser::for_each_operator!(define_proposal);

/// The features among the proposals. The others are refused by validation.
fn feature_of_proposal(proposal: &str) -> Option<Feature> {
    match proposal {
        "sign_extension" => Some(Feature::SignExtension),
        "saturating_float_to_int" => Some(Feature::SaturatingFloatToInt),
        "bulk_memory" => Some(Feature::BulkMemory),
        "reference_types" => Some(Feature::ReferenceTypes),
        "simd" => Some(Feature::Simd),
        _ => None,
    }
}
