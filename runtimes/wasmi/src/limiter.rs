use crate::guest::Embedder;
use runtime_api::Limits;
use std::time::Instant;
use wasmi::{ResourceLimiter, errors::TableError};
use wasmi_core::LimiterError;

const PAGE_BYTES: usize = 65_536;

/// More than one module can have of anything; packs have one memory, and tables are limited by their elements.
const MANY: usize = 10_000;

/// Data of a store: counts what the instance has and refuses what is beyond its limits.
pub(crate) struct Limiter {
    max_memory_bytes: usize,
    max_table_elements: usize,
    table_elements: usize,
    /// Elements granted by the last request, given back if the growth fails after all.
    last_granted: usize,
    /// Off while a call runs in fuel slices: wasmi 2.0.0 cannot resume a `table.grow` that ran out of fuel (it does
    /// not save where it was, as every other instruction does), so it must not get that far.
    pub(crate) tables_may_grow: bool,
    /// Whose functions a guest calls; kernels have none.
    pub(crate) embedder: Option<Embedder>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            max_memory_bytes: (limits.max_memory_pages as usize).saturating_mul(PAGE_BYTES),
            max_table_elements: limits.max_table_elements as usize,
            table_elements: 0,
            last_granted: 0,
            tables_may_grow: true,
            embedder: None,
        }
    }

    /// A call begins, which must have ended by then.
    pub(crate) fn enter(&mut self, deadline: Option<Instant>) {
        self.tables_may_grow = deadline.is_none();
        if let Some(embedder) = &mut self.embedder {
            embedder.deadline = deadline;
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(desired <= self.max_memory_bytes)
    }

    /// The limit is for all tables in sum, as a table's elements cost the host the same wherever they are.
    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        let more = desired.saturating_sub(current);
        let sum = self.table_elements.saturating_add(more);
        let granted = self.tables_may_grow
            && sum <= self.max_table_elements
            && maximum.is_none_or(|maximum| desired <= maximum);
        self.last_granted = if granted { more } else { 0 };
        self.table_elements += self.last_granted;
        Ok(granted)
    }

    fn table_grow_failed(&mut self, _error: &TableError) -> Result<(), LimiterError> {
        self.table_elements -= self.last_granted;
        self.last_granted = 0;
        Ok(())
    }

    fn instances(&self) -> usize {
        MANY
    }

    fn tables(&self) -> usize {
        MANY
    }

    fn memories(&self) -> usize {
        MANY
    }
}
