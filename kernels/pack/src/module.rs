//! The pre-pass: one decision about a module, before any engine sees its bytes, that holds for all engines.
//!
//! Two steps. Everything is decoded first, with every proposal of the decoder on: what cannot be decoded is
//! malformed, and what no kernel may have (imports, a start function) is found without validating it. Then the module
//! is validated with exactly the features a pack may use.

use std::collections::BTreeSet;

use kernel_abi::export;
use wasmparser::types::EntityType;
use wasmparser::{
    BlockType, CompositeInnerType, ConstExpr, DataKind, ElementItems, ElementKind, Export,
    ExternalKind, FuncType, FunctionBody, Operator, Parser, Payload, RefType, TableInit, ValType,
    Validator, WasmFeatures,
};

use crate::error::{Code, Rejection, quoted};
use crate::feature::Feature;

/// Local variables of one function, parameters not counted.
const MOST_LOCALS: u64 = 50_000;
/// Parameters of one function type.
const MOST_PARAMETERS: usize = 1_000;
/// Targets of one `br_table`, the default not counted.
const MOST_BRANCH_TARGETS: u32 = 65_520;
/// Validation looks at up to all parameters and results of a type at each branch, call and block. The product is
/// bounded, because a module of 8 MiB could otherwise keep a validator busy for minutes.
const MOST_OPERAND_CHECKS: u64 = 200_000_000;

/// Exports that WAMR calls by itself, outside any budget.
const RUN_BY_ENGINES: [&str; 2] = ["__post_instantiate", "__wasm_call_ctors"];

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
    survey.module(bytes).map_err(|error| match error {
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
    })?;
    survey.check_complexity()?;
    let types = Validator::new_with_features(allowed_features())
        .validate_all(bytes)
        .map_err(|error| {
            Rejection::new(
                Code::ModuleInvalid,
                format!("the module does not validate with the features a pack may use: {error}"),
            )
        })?;
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
        features_used: survey.features,
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

enum Refused {
    Decoding(wasmparser::Error),
    Rule(Rejection),
}

impl From<wasmparser::Error> for Refused {
    fn from(error: wasmparser::Error) -> Self {
        Refused::Decoding(error)
    }
}

fn invalid(reason: impl Into<String>) -> Refused {
    Refused::Rule(Rejection::new(Code::ModuleInvalid, reason))
}

/// What decoding alone tells.
#[derive(Default)]
struct Survey<'bytes> {
    features: BTreeSet<Feature>,
    exports: Vec<Export<'bytes>>,
    /// Of each global: the value of an initialiser that is a plain `i32.const`.
    global_constants: Vec<Option<i32>>,
    /// Branches, calls and blocks.
    control_operators: u64,
    /// The largest number of parameters or results of a type.
    widest_type: u64,
}

impl<'bytes> Survey<'bytes> {
    fn module(&mut self, bytes: &'bytes [u8]) -> Result<(), Refused> {
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        for subtype in group?.types() {
                            if let CompositeInnerType::Func(function) =
                                &subtype.composite_type.inner
                            {
                                self.function_type(function)?;
                            }
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    if let Some(import) = section.into_imports().next() {
                        let import = import?;
                        return Err(Refused::Rule(Rejection::new(
                            Code::ImportForbidden,
                            format!(
                                "the module imports {} from {}; a kernel imports nothing",
                                quoted(import.name),
                                quoted(import.module)
                            ),
                        )));
                    }
                }
                Payload::FunctionSection(section) => exhaust(section)?,
                Payload::TableSection(section) => {
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
                }
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
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if RUN_BY_ENGINES.contains(&export.name) {
                            return Err(invalid(format!(
                                "the module exports {}, which some engines run by themselves",
                                export.name
                            )));
                        }
                        self.exports.push(export);
                    }
                }
                Payload::StartSection { .. } => {
                    return Err(invalid(
                        "the module has a start function; a kernel runs only when it is called",
                    ));
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        let element = element?;
                        match &element.kind {
                            ElementKind::Active { offset_expr, .. } => {
                                self.expression(offset_expr)?;
                            }
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
                }
                Payload::DataCountSection { .. } => {
                    self.features.insert(Feature::BulkMemory);
                }
                Payload::DataSection(section) => {
                    for data in section {
                        match data?.kind {
                            DataKind::Active { offset_expr, .. } => {
                                self.expression(&offset_expr)?
                            }
                            DataKind::Passive => {
                                self.features.insert(Feature::BulkMemory);
                            }
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => self.body(&body)?,
                // A name or producers section may hold anything; engines ignore custom sections.
                Payload::CustomSection(_)
                | Payload::Version { .. }
                | Payload::CodeSectionStart { .. }
                | Payload::End(_) => {}
                Payload::UnknownSection { id, .. } => {
                    return Err(Refused::Rule(Rejection::new(
                        Code::ModuleMalformed,
                        format!("the module has a section of the unknown kind {id}"),
                    )));
                }
                // The enum grows with the decoder; what is not known here is not accepted.
                _ => {
                    return Err(Refused::Rule(Rejection::new(
                        Code::ModuleMalformed,
                        "the module has a section that no core module has",
                    )));
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
        self.widest_type = self
            .widest_type
            .max(parameters.len() as u64)
            .max(results.len() as u64);
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
                self.control_operators += u64::from(targets.len());
            }
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                match blockty {
                    BlockType::FuncType(_) => {
                        self.features.insert(Feature::MultiValue);
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

    fn check_complexity(&self) -> Result<(), Rejection> {
        if self.control_operators.saturating_mul(self.widest_type) > MOST_OPERAND_CHECKS {
            return Err(Rejection::new(
                Code::ModuleInvalid,
                format!(
                    "the module is too costly to validate: {} branches, calls and blocks, types of up to {} values",
                    self.control_operators, self.widest_type
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

/// A validated module's exports, memory and tables, against the ABI.
struct Interface<'a> {
    types: wasmparser::types::TypesRef<'a>,
    exports: &'a [Export<'a>],
}

impl Interface<'_> {
    fn find(&self, name: &str) -> Option<&Export<'_>> {
        self.exports.iter().find(|export| export.name == name)
    }

    fn required(&self, name: &str) -> Result<&Export<'_>, Rejection> {
        self.find(name).ok_or_else(|| {
            Rejection::new(
                Code::ExportMissing,
                format!("the module does not export {}", quoted(name)),
            )
        })
    }

    /// Minimum and maximum of the only memory.
    fn memory(&self, rules: &ModuleRules<'_>) -> Result<(u32, Option<u32>), Rejection> {
        let export = self.required(export::MEMORY)?;
        if export.kind != ExternalKind::Memory {
            return Err(wrong_type(export::MEMORY, "a memory"));
        }
        // Validation without multi-memory, memory64, threads and custom page sizes left one plain memory.
        let memory = self.types.memory_at(export.index);
        if memory.memory64 || memory.shared || memory.page_size_log2.is_some() {
            return Err(wrong_type(export::MEMORY, "a plain 32-bit memory"));
        }
        let pages = |pages: u64| u32::try_from(pages).unwrap_or(u32::MAX);
        let minimum = pages(memory.initial);
        if minimum > rules.max_memory_pages {
            return Err(Rejection::new(
                Code::LimitExceeded,
                format!(
                    "the module's memory starts with {minimum} pages, the manifest allows {}",
                    rules.max_memory_pages
                ),
            ));
        }
        Ok((minimum, memory.maximum.map(pages)))
    }

    /// Elements of all tables.
    fn tables(&self, rules: &ModuleRules<'_>) -> Result<u32, Rejection> {
        let elements = (0..self.types.table_count())
            .map(|index| self.types.table_at(index).initial)
            .fold(0, u64::saturating_add);
        u32::try_from(elements)
            .ok()
            .filter(|elements| *elements <= rules.max_table_elements)
            .ok_or_else(|| {
                Rejection::new(
                    Code::LimitExceeded,
                    format!(
                        "the module's tables start with {elements} elements, the manifest allows {}",
                        rules.max_table_elements
                    ),
                )
            })
    }

    fn heap_base(&self, constants: &[Option<i32>]) -> Result<u32, Rejection> {
        let export = self.required(export::HEAP_BASE)?;
        let wrong = || {
            wrong_type(
                export::HEAP_BASE,
                "an immutable i32 global with a constant value",
            )
        };
        if export.kind != ExternalKind::Global {
            return Err(wrong());
        }
        let global = self.types.global_at(export.index);
        if global.mutable || global.content_type != ValType::I32 {
            return Err(wrong());
        }
        // Nothing is imported, so export indices count the module's own globals.
        let constant = constants.get(export.index as usize).copied().flatten();
        constant.map(|value| value as u32).ok_or_else(wrong)
    }

    /// Refuses an export that is not a function of so many i32 to one i32.
    fn function(&self, name: &str, parameters: usize) -> Result<(), Rejection> {
        let export = self.required(name)?;
        let matches = match self.types.entity_type_from_export(export) {
            Some(EntityType::Func(id)) => match self.types.get(id) {
                Some(subtype) => match &subtype.composite_type.inner {
                    CompositeInnerType::Func(function) => {
                        function.params().len() == parameters
                            && function.params().iter().all(|value| *value == ValType::I32)
                            && function.results() == [ValType::I32]
                    }
                    _ => false,
                },
                None => false,
            },
            _ => false,
        };
        if matches {
            return Ok(());
        }
        let signature = vec!["i32"; parameters].join(", ");
        Err(wrong_type(
            name,
            &format!("a function ({signature}) -> i32"),
        ))
    }

    fn exports_mutable_global(&self) -> bool {
        self.exports
            .iter()
            .filter(|export| export.kind == ExternalKind::Global)
            .any(|export| self.types.global_at(export.index).mutable)
    }
}

fn wrong_type(name: &str, expected: &str) -> Rejection {
    Rejection::new(
        Code::ExportType,
        format!("the module's export {} must be {expected}", quoted(name)),
    )
}
