//! Limits on memories and tables, through wasmer's tunables.

use runtime_api::Limits;
use std::{cell::Cell, ptr::NonNull};
use wasmer::{
    MemoryError, MemoryStyle, MemoryType, ModuleInfo, Pages, TableStyle, TableType,
    sys::{
        BaseTunables, Tunables,
        vm::{
            VMConfig, VMMemory, VMMemoryDefinition, VMTable, VMTableDefinition, drain_stack_pool,
        },
    },
};

/// Tunables for the instances of one module: a minimum beyond its limits fails, growth ends at them. That several tables
/// stay within their limit in sum takes [`TableSum`](crate::tables::TableSum) too.
pub(crate) struct Limiting {
    base: BaseTunables,
    config: VMConfig,
    max_memory_pages: Pages,
    /// What the tables may grow by in sum; `None` if their minimums are over the limit.
    table_headroom: Option<u32>,
}

impl Limiting {
    /// Tunables for instances of the module that `info` describes.
    pub(crate) fn new(limits: &Limits, info: &ModuleInfo) -> Self {
        Self {
            base: BaseTunables::new(),
            config: VMConfig {
                wasm_stack_size: usize::try_from(limits.max_stack_bytes).ok(),
            },
            max_memory_pages: Pages(limits.max_memory_pages),
            table_headroom: table_headroom(limits.max_table_elements, info.tables.values()),
        }
    }

    fn limit_memory(&self, memory: &MemoryType) -> Result<MemoryType, MemoryError> {
        if memory.minimum > self.max_memory_pages {
            return Err(MemoryError::MinimumMemoryTooLarge {
                min_requested: memory.minimum,
                max_allowed: self.max_memory_pages,
            });
        }
        let maximum = memory.maximum.unwrap_or(self.max_memory_pages);
        Ok(MemoryType {
            maximum: Some(maximum.min(self.max_memory_pages)),
            ..*memory
        })
    }

    fn limit_table(&self, table: &TableType) -> Result<TableType, String> {
        let headroom = self
            .table_headroom
            .ok_or("the tables in sum are larger than the limit")?;
        let limit = table.minimum.saturating_add(headroom);
        let maximum = table.maximum.unwrap_or(limit);
        Ok(TableType {
            maximum: Some(maximum.min(limit)),
            ..*table
        })
    }
}

/// To be called before wasm code runs on this thread: wasmer keeps the stacks of ended calls, and gives a later call any
/// that is large enough, so those that are too large are thrown away first.
pub(crate) fn fit_stack(max_stack_bytes: u32) {
    thread_local! {
        static LAST: Cell<u32> = const { Cell::new(0) };
    }
    if LAST.replace(max_stack_bytes) > max_stack_bytes {
        drain_stack_pool();
    }
}

/// What `tables` may grow by in sum before they hold `limit` elements.
fn table_headroom<'a>(limit: u32, tables: impl Iterator<Item = &'a TableType>) -> Option<u32> {
    let minimum: u64 = tables.map(|table| u64::from(table.minimum)).sum();
    u64::from(limit).checked_sub(minimum)?.try_into().ok()
}

impl Tunables for Limiting {
    fn memory_style(&self, memory: &MemoryType) -> MemoryStyle {
        self.base.memory_style(memory)
    }

    fn table_style(&self, table: &TableType) -> TableStyle {
        self.base.table_style(table)
    }

    fn create_host_memory(
        &self,
        memory: &MemoryType,
        style: &MemoryStyle,
    ) -> Result<VMMemory, MemoryError> {
        self.base
            .create_host_memory(&self.limit_memory(memory)?, style)
    }

    #[allow(unsafe_code)]
    unsafe fn create_vm_memory(
        &self,
        memory: &MemoryType,
        style: &MemoryStyle,
        definition: NonNull<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        let memory = self.limit_memory(memory)?;
        // SAFETY: the caller's promise about `definition` is handed on; the type differs only in its maximum.
        unsafe { self.base.create_vm_memory(&memory, style, definition) }
    }

    fn create_host_table(&self, table: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.base
            .create_host_table(&self.limit_table(table)?, style)
    }

    #[allow(unsafe_code)]
    unsafe fn create_vm_table(
        &self,
        table: &TableType,
        style: &TableStyle,
        definition: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        let table = self.limit_table(table)?;
        // SAFETY: the caller's promise about `definition` is handed on; the type differs only in its maximum.
        unsafe { self.base.create_vm_table(&table, style, definition) }
    }

    fn vmconfig(&self) -> &VMConfig {
        &self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmer::Type;

    fn headroom(limit: u32, minimums: &[u32]) -> Option<u32> {
        let tables = minimums
            .iter()
            .map(|&minimum| TableType::new(Type::FuncRef, minimum, None));
        table_headroom(limit, tables.collect::<Vec<_>>().iter())
    }

    #[test]
    fn headroom_is_what_the_minimums_leave() {
        assert_eq!(headroom(10, &[]), Some(10));
        assert_eq!(headroom(10, &[4]), Some(6));
        assert_eq!(headroom(10, &[4, 6]), Some(0));
        assert_eq!(headroom(10, &[6, 5]), None);
        assert_eq!(headroom(10, &[u32::MAX, u32::MAX]), None);
    }
}
