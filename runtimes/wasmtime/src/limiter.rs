use crate::guest::Embedder;
use runtime_api::Limits;
use wasmtime::ResourceLimiter;

const PAGE_BYTES: usize = 65_536;

/// Data of a store: counts what the instance has and refuses what is beyond its limits.
pub(crate) struct Limiter {
    max_memory_bytes: usize,
    max_table_elements: usize,
    table_elements: usize,
    /// Elements granted by the last request, given back if the growth fails after all.
    last_granted: usize,
    refused: bool,
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
            refused: false,
            embedder: None,
        }
    }

    /// Whether anything was refused so far.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = desired <= self.max_memory_bytes;
        self.refused |= !granted;
        Ok(granted)
    }

    /// The limit is for all tables in sum, as a table's elements cost the host the same wherever they are.
    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let sum = self.table_elements.saturating_add(more);
        let granted =
            sum <= self.max_table_elements && maximum.is_none_or(|maximum| desired <= maximum);
        self.last_granted = if granted { more } else { 0 };
        self.table_elements += self.last_granted;
        self.refused |= !granted;
        Ok(granted)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements -= self.last_granted;
        self.last_granted = 0;
        Ok(())
    }
}
