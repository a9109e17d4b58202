use crate::invocation::read_memory;
use runtime_api::{Instance, Result};

/// Memory is cleared in parts of this size, because the whole of it may be longer than a u32 can say.
const PART_BYTES: u64 = 1 << 30;

/// The memory of an instance below the host's region (the module's stack and data), as it was when this was taken: after
/// `kernel_init`, before the first call. [`restore`](Self::restore) makes an instance that went on as good as one that did not, as
/// far as its state lies in memory.
///
/// A reset brings back every byte below `__heap_base` and clears all of memory above it, the tensors of the last caller among
/// it. It does not undo what lies elsewhere: globals that a module changes, tables, dropped segments, and the size of memory: pages
/// that were added stay, cleared. A module that has any of these is not resettable (`kernel_pack::ModuleFacts::is_resettable`), and its instances
/// are dropped. Kernels of the pack keep no state at all, and what Rust has as state lies in memory. After a trap there is
/// nothing to reset: the instance is dropped, because its stack pointer, a global, stands where it stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    below: Vec<u8>,
}

impl Image {
    /// Copies what lies below `heap_base`.
    ///
    /// # Errors
    /// [`Error::Access`](runtime_api::Error::Access) if memory is smaller than that, [`Error::Export`](runtime_api::Error::Export) if
    /// there is none.
    pub fn take(instance: &mut dyn Instance, heap_base: u32) -> Result<Self> {
        Ok(Self {
            below: read_memory(instance, 0, heap_base)?,
        })
    }

    /// Resets an instance of the module that the image was taken of.
    ///
    /// # Errors
    /// As [`take`](Self::take), for memory of another instance than the image's.
    pub fn restore(&self, instance: &mut dyn Instance) -> Result<()> {
        instance.write(0, &self.below)?;
        let memory_bytes = u64::from(instance.memory_pages()?) * 65_536;
        let mut at = self.below.len() as u64;
        while at < memory_bytes {
            let length = (memory_bytes - at).min(PART_BYTES);
            // Both fit: memory has at most 2^32 bytes.
            instance.with_memory(at as u32, length as u32, &mut |bytes| bytes.fill(0))?;
            at += length;
        }
        Ok(())
    }
}
