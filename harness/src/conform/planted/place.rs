//! Where a call that something is planted in lies, and what it leaves free.

use crate::conform::subject;
use fastrand::Rng;
use kernel_abi::{Descriptor, PAGE_BYTES, Region};

/// Where a call has its regions.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) placed: &'a subject::Placed,
    pub(super) heap_base: u32,
    /// Pages that the module may have.
    pub(super) limit: u32,
    /// Whether a kernel may add one, whatever the host added: 1 or 0.
    pub(super) room: u32,
}

impl Place<'_> {
    /// An address of a word in no region of the call, near them.
    pub(super) fn free(&self, random: &mut Rng) -> Option<u32> {
        let frame = &self.placed.frame;
        let mut taken = frame.placed().regions().to_vec();
        taken.push(Region::new(
            frame.descriptor_address(),
            Descriptor::SIZE as u32,
        ));
        let memory_end = u64::from(self.placed.pages) * PAGE_BYTES;
        let first = u64::from(frame.start().saturating_sub(256).max(self.heap_base));
        let end = (frame.end() + 256).min(memory_end);
        // Almost every place has guard bands, and the most others something before or behind them.
        (0..1000).find_map(|_| {
            let at = random.u64(first..end.checked_sub(4)?.max(first + 1));
            let word = Region::new(u32::try_from(at).ok()?, 4);
            let inside = word.end() <= end;
            // A word over an edge of the frame is neither in it nor beside it.
            let edge = |edge: u64| u64::from(word.offset) < edge && edge < word.end();
            let apart = !edge(frame.start().into()) && !edge(frame.end());
            let free = taken.iter().all(|region| !region.overlaps(word));
            (inside && apart && free).then_some(word.offset)
        })
    }
}
