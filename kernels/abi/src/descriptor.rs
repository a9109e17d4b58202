use crate::layout::layout;

layout! {
    [Clone, Copy, Debug, Default, PartialEq, Eq, Hash]
    /// A span of linear memory: `offset` is an address, `size` a number of bytes.
    Region {
        /// First byte.
        offset: u32,
        /// Number of bytes; 0 means the region is absent and its offset means nothing.
        size: u32,
    }
}

impl Region {
    /// A region of `size` bytes at `offset`.
    pub const fn new(offset: u32, size: u32) -> Self {
        Self { offset, size }
    }

    /// First address after the region; u64, because a region may end at 2^32.
    pub const fn end(self) -> u64 {
        self.offset as u64 + self.size as u64
    }

    /// Whether the two regions share a byte. An absent region shares none.
    pub const fn overlaps(self, other: Region) -> bool {
        self.size != 0
            && other.size != 0
            && (self.offset as u64) < other.end()
            && (other.offset as u64) < self.end()
    }
}

layout! {
    [Clone, Copy, Debug, Default, PartialEq, Eq, Hash]
    /// What a kernel is called with: five regions, 10 x u32, 40 bytes.
    Descriptor {
        /// First input.
        input_a: Region,
        /// Second input.
        input_b: Region,
        /// Output; read as well by kernels that update in place.
        output: Region,
        /// Working memory; its content after the call means nothing, except where a kernel says so.
        scratch: Region,
        /// The parameter struct.
        params: Region,
    }
}

impl Descriptor {
    /// Bytes of a descriptor in linear memory.
    pub const SIZE: usize = 40;

    /// The five regions in the order of the fields.
    pub const fn regions(&self) -> [Region; 5] {
        [
            self.input_a,
            self.input_b,
            self.output,
            self.scratch,
            self.params,
        ]
    }

    /// The 40 bytes a kernel reads.
    pub fn to_le_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (into, region) in bytes.chunks_exact_mut(8).zip(self.regions()) {
            into[..4].copy_from_slice(&region.offset.to_le_bytes());
            into[4..].copy_from_slice(&region.size.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`to_le_bytes`](Self::to_le_bytes) wrote; every pattern is a descriptor.
    pub fn from_le_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let region = |index: usize| {
            let word = |at: usize| {
                u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            };
            Region::new(word(index * 8), word(index * 8 + 4))
        };
        Self {
            input_a: region(0),
            input_b: region(1),
            output: region(2),
            scratch: region(3),
            params: region(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_ten_little_endian_words_in_field_order() {
        let descriptor = Descriptor {
            input_a: Region::new(1, 2),
            input_b: Region::new(3, 4),
            output: Region::new(5, 6),
            scratch: Region::new(7, 8),
            params: Region::new(9, 0x0a0b_0c0d),
        };
        let bytes = descriptor.to_le_bytes();
        for word in 0..9 {
            assert_eq!(bytes[word * 4..word * 4 + 4], [word as u8 + 1, 0, 0, 0]);
        }
        assert_eq!(bytes[36..], [0x0d, 0x0c, 0x0b, 0x0a]);
        assert_eq!(Descriptor::from_le_bytes(&bytes), descriptor);
    }

    #[test]
    fn touching_regions_do_not_overlap_and_absent_ones_never_do() {
        let region = Region::new(16, 16);
        assert!(!region.overlaps(Region::new(32, 4)));
        assert!(!region.overlaps(Region::new(0, 16)));
        assert!(region.overlaps(Region::new(31, 1)));
        assert!(!region.overlaps(Region::new(20, 0)));
        assert_eq!(Region::new(u32::MAX, u32::MAX).end(), 0x1_ffff_fffe);
    }
}
