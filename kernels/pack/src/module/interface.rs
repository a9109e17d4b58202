//! A validated module against the ABI.

use kernel_abi::export;
use wasmparser::types::EntityType;
use wasmparser::{CompositeInnerType, Export, ExternalKind, ValType};

use super::{ModuleRules, hint};
use crate::error::{Code, Rejection, quoted};

/// A validated module's exports, memory and tables, against the ABI.
pub(super) struct Interface<'a> {
    pub(super) types: wasmparser::types::TypesRef<'a>,
    pub(super) exports: &'a [Export<'a>],
}

impl Interface<'_> {
    pub(super) fn find(&self, name: &str) -> Option<&Export<'_>> {
        self.exports.iter().find(|export| export.name == name)
    }

    fn required(&self, name: &str) -> Result<&Export<'_>, Rejection> {
        self.find(name).ok_or_else(|| {
            Rejection::new(
                Code::ExportMissing,
                format!(
                    "the module does not export {}; {}",
                    quoted(name),
                    hint::export(name)
                ),
            )
        })
    }

    /// Minimum and maximum of the only memory.
    pub(super) fn memory(&self, rules: &ModuleRules<'_>) -> Result<(u32, Option<u32>), Rejection> {
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
                    "the module's memory starts with {minimum} pages, the manifest allows {}; {}",
                    rules.max_memory_pages,
                    hint::MEMORY
                ),
            ));
        }
        Ok((minimum, memory.maximum.map(pages)))
    }

    /// Elements of all tables.
    pub(super) fn tables(&self, rules: &ModuleRules<'_>) -> Result<u32, Rejection> {
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

    pub(super) fn heap_base(&self, constants: &[Option<i32>]) -> Result<u32, Rejection> {
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
    pub(super) fn function(&self, name: &str, parameters: usize) -> Result<(), Rejection> {
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

    pub(super) fn exports_mutable_global(&self) -> bool {
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
