//! The pool of instances, which wants address space of 64 bits.

use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Instances that a pool has.
const POOLED_INSTANCES: u32 = 128;
/// Address space of a pooled memory: all that 32 bits address.
const POOLED_MEMORY_BYTES: usize = 1 << 32;
/// Elements of a pooled table.
const POOLED_TABLE_ELEMENTS: usize = 100_000;
/// Bytes of a pooled memory that are cleared rather than given back to the system: a kernel with small tensors has no more.
const RESIDENT_MEMORY_BYTES: usize = 2 * 1024 * 1024;

/// A pool that refuses nothing the limits of a store allow.
pub(crate) fn strategy() -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(POOLED_INSTANCES)
        .total_memories(POOLED_INSTANCES)
        .total_tables(POOLED_INSTANCES * 4)
        .max_tables_per_module(4)
        .total_gc_heaps(POOLED_INSTANCES)
        .max_memory_size(POOLED_MEMORY_BYTES)
        .table_elements(POOLED_TABLE_ELEMENTS)
        .linear_memory_keep_resident(RESIDENT_MEMORY_BYTES)
        .table_keep_resident(64 * 1024)
        // Where the system says which pages were written, only those are cleared.
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}
