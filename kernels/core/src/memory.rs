use core::marker::PhantomData;

use kernel_abi::{Descriptor, MAX_REGION_BYTES, REGION_ALIGNMENT, Region};

use crate::unroll::unroll;

/// Linear memory as a kernel sees it: addresses from 0 to `len`, of which the host may use those from `heap_base` on.
///
/// It never becomes one slice: in a guest the bytes below `heap_base` are the running code's own stack and data. Only
/// regions that were checked to lie in the host's part, and to be disjoint where one is written, become slices.
#[derive(Debug)]
pub struct LinearMemory<'a> {
    /// Address of the first byte, whose provenance is exposed. No pointer, because in a guest it is 0: what is computed from a
    /// null pointer may be optimised away.
    base: usize,
    len: u64,
    heap_base: u32,
    memory: PhantomData<&'a mut [u8]>,
}

impl<'a> LinearMemory<'a> {
    /// Memory whose address 0 is the first byte of `memory`.
    pub fn new(memory: &'a mut [u8], heap_base: u32) -> Self {
        Self {
            base: memory.as_mut_ptr().expose_provenance(),
            len: memory.len() as u64,
            heap_base,
            memory: PhantomData,
        }
    }

    /// Memory of `len` bytes whose address 0 is at `base`: 0 in a guest.
    ///
    /// # Safety
    /// For `'a`, the bytes from `base + heap_base` to `base + len` are valid for reads and writes and are used by nothing
    /// else, their provenance is exposed, and none of them is at address 0.
    #[allow(unsafe_code)]
    pub unsafe fn from_raw_parts(base: usize, len: u64, heap_base: u32) -> Self {
        Self {
            base,
            len,
            heap_base,
            memory: PhantomData,
        }
    }

    /// Whether the region lies inside memory, at or above the heap base, aligned to 16 bytes. An absent region does.
    #[inline(always)]
    pub(crate) fn holds(&self, region: Region) -> bool {
        (region.size == 0) | self.holds_aligned(region, REGION_ALIGNMENT)
    }

    #[inline(always)]
    fn holds_aligned(&self, region: Region, alignment: u32) -> bool {
        (region.offset >= self.heap_base)
            & region.offset.is_multiple_of(alignment)
            & (region.size <= MAX_REGION_BYTES)
            & (region.end() <= self.len)
    }

    /// Copies the region that starts at `offset` and is as long as `into`; `None` if memory does not [hold](Self::holds) it.
    pub(crate) fn copy_out(&self, offset: u32, into: &mut [u8]) -> Option<()> {
        let size = u32::try_from(into.len()).ok()?;
        if !self.holds(Region::new(offset, size)) {
            return None;
        }
        into.copy_from_slice(self.slice(Region::new(offset, size)));
        Some(())
    }

    /// Writes `bytes` at `offset`; `None`, and nothing written, unless they fit inside memory at or above the heap base and
    /// `offset` is a multiple of `alignment`.
    pub(crate) fn copy_in(&mut self, offset: u32, bytes: &[u8], alignment: u32) -> Option<()> {
        let region = Region::new(offset, u32::try_from(bytes.len()).ok()?);
        if !self.holds_aligned(region, alignment) {
            return None;
        }
        self.slice_mut(region).copy_from_slice(bytes);
        Some(())
    }

    /// Whether all five regions of a descriptor and the descriptor at `address` lie where they may and share no byte; and the four tensor
    /// regions if they do, else empty ones. No `Option`, because its compiled form asks the first tensor's pointer again.
    #[inline(always)]
    pub(crate) fn regions(&mut self, address: u32, descriptor: &Descriptor) -> (bool, Regions<'_>) {
        let [a, b, output, scratch, params] = descriptor.regions();
        let own = Region::new(address, Descriptor::SIZE as u32);
        let all = [a, b, output, scratch, params, own];
        // Written out, without a branch: of the smallest call this is a large part, and each turn of a loop would be metered.
        let mut fits = true;
        unroll!(8: 6, |i| fits &= self.holds(all[i]));
        unroll!(16: 15, |i| fits &= apart(all[PAIRS[i].0], all[PAIRS[i].1]));
        let [a, b, output, scratch] =
            [a, b, output, scratch].map(|region| if fits { region } else { Region::new(0, 0) });
        // SAFETY: where there is no byte in them nothing is read or written. Else every region was just checked to lie in the host's
        // part of memory, which is valid and used by nothing else while `self` is borrowed mutably, and no two of them share a byte.
        #[allow(unsafe_code)]
        let regions = unsafe {
            Regions {
                input_a: core::slice::from_raw_parts(self.start(a), a.size as usize),
                input_b: core::slice::from_raw_parts(self.start(b), b.size as usize),
                output: core::slice::from_raw_parts_mut(self.start(output), output.size as usize),
                scratch: core::slice::from_raw_parts_mut(
                    self.start(scratch),
                    scratch.size as usize,
                ),
            }
        };
        (fits, regions)
    }

    /// Address of the region's first byte; of an absent region, whose offset means nothing, a pointer that is never read.
    fn start(&self, region: Region) -> *mut u8 {
        if region.size == 0 {
            return core::ptr::NonNull::dangling().as_ptr();
        }
        core::ptr::with_exposed_provenance_mut(self.base + region.offset as usize)
    }

    /// The bytes of a region that memory holds.
    fn slice(&self, region: Region) -> &[u8] {
        // SAFETY: callers checked `holds`, so the bytes lie in the host's part of memory, which nothing writes while `self`
        // is borrowed.
        #[allow(unsafe_code)]
        unsafe {
            core::slice::from_raw_parts(self.start(region), region.size as usize)
        }
    }

    /// The bytes of a region that memory holds.
    fn slice_mut(&mut self, region: Region) -> &mut [u8] {
        // SAFETY: callers checked `holds_aligned`, so the bytes lie in the host's part of memory, which nothing else uses while
        // `self` is borrowed mutably.
        #[allow(unsafe_code)]
        unsafe {
            core::slice::from_raw_parts_mut(self.start(region), region.size as usize)
        }
    }
}

/// All pairs of six regions.
const PAIRS: [(usize, usize); 15] = [
    (0, 1),
    (0, 2),
    (0, 3),
    (0, 4),
    (0, 5),
    (1, 2),
    (1, 3),
    (1, 4),
    (1, 5),
    (2, 3),
    (2, 4),
    (2, 5),
    (3, 4),
    (3, 5),
    (4, 5),
];

/// Whether two regions share no byte, as [`Region::overlaps`] has it, for regions that end at 2^32 at most: the one that begins
/// first ends before the other begins. In 32 bits, because 64 cost more on small machines.
#[inline(always)]
fn apart(one: Region, other: Region) -> bool {
    let inside = |from: Region, of: Region| from.offset.wrapping_sub(of.offset) < of.size;
    (one.size == 0) | (other.size == 0) | !(inside(one, other) | inside(other, one))
}

/// The tensors of one call. They share no byte; an absent one is empty.
#[derive(Debug)]
pub struct Regions<'a> {
    /// First input.
    pub input_a: &'a [u8],
    /// Second input.
    pub input_b: &'a [u8],
    /// Output; holds the tensor to update where a kernel works in place.
    pub output: &'a mut [u8],
    /// Working memory with unknown content.
    pub scratch: &'a mut [u8],
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Near each other and near both ends of memory, where differences wrap.
    fn region() -> impl Strategy<Value = Region> {
        let offset = prop_oneof![0..64u32, u32::MAX - 63..=u32::MAX, any::<u32>()];
        (offset, prop_oneof![0..48u32, 0..=MAX_REGION_BYTES])
            .prop_map(|(offset, size)| Region::new(offset, size))
            .prop_filter("regions end at 2^32 at most", |region| {
                region.end() <= 1 << 32
            })
    }

    proptest! {
        #[test]
        fn regions_are_apart_where_they_do_not_overlap(one in region(), other in region()) {
            prop_assert_eq!(apart(one, other), !one.overlaps(other));
        }
    }

    #[test]
    fn every_pair_is_compared_once() {
        let all = (0..6).flat_map(|a| (a + 1..6).map(move |b| (a, b)));
        assert!(PAIRS.into_iter().eq(all));
    }
}
