//! Where the parts of a call lie in memory: what the contract leaves open, for a host to choose and a harness to vary.

use crate::{Fill, Tensors, frame::GUARD_BYTES};
use kernel_abi::REGION_ALIGNMENT;

/// A part of a call in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The descriptor.
    Descriptor,
    /// The parameter struct.
    Params,
    /// First input.
    A,
    /// Second input.
    B,
    /// The output.
    Output,
    /// Scratch.
    Scratch,
}

impl Part {
    /// All parts, in the order of ordinary calls.
    pub const ALL: [Part; 6] = [
        Part::Descriptor,
        Part::Params,
        Part::A,
        Part::B,
        Part::Output,
        Part::Scratch,
    ];
}

/// What a region holds that nobody put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The same byte everywhere.
    Byte(u8),
    /// Bytes that follow from a seed, finite and large as f32, f16 and i8.
    Pattern(u64),
    /// Bytes that follow from a seed, as f32 numbers below 1/2 with either sign, as f16 below 2: what an ordinary answer looks like.
    Numbers(u64),
    /// The bytes of the first input, again and again: what a host leaves that computed in place before.
    Input,
}

impl Content {
    pub(crate) fn fill(self, bytes: &mut [u8], input: &[u8]) {
        match self {
            Content::Byte(byte) => bytes.fill(byte),
            Content::Input => {
                let again = input.iter().cycle();
                for (byte, of_input) in bytes.iter_mut().zip(again) {
                    *byte = *of_input;
                }
            }
            Content::Numbers(seed) => {
                for (index, bytes) in (0u64..).zip(bytes.chunks_mut(8)) {
                    let random = mixed(seed, index).to_le_bytes();
                    for (place, (byte, random)) in bytes.iter_mut().zip(random).enumerate() {
                        // The upper byte of a number of 16 bits is 0x3a to 0x3e, with either sign.
                        *byte = match place % 2 {
                            0 => random,
                            _ => 0x3a + (random & 0x7f) % 5 + (random & 0x80),
                        };
                    }
                }
            }
            Content::Pattern(seed) => {
                for (index, bytes) in (0u64..).zip(bytes.chunks_mut(8)) {
                    for (byte, random) in bytes.iter_mut().zip(mixed(seed, index).to_le_bytes()) {
                        // 0x41 to 0x4f, with either sign.
                        *byte = 0x41 + (random & 0x7f) % 15 + (random & 0x80);
                    }
                }
            }
        }
    }
}

/// Where the parts of a call lie, and what is around and in them that the contract says nothing about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrangement {
    /// First address of the frame, at or above the heap base.
    pub start: u32,
    /// Each part once, in the order of addresses.
    pub order: [Part; 6],
    /// Bytes of guard band before each part in that order, and after the last one; what aligns the next part comes on top. 0: they touch.
    pub gaps: [u32; 7],
    /// Bytes before each part, behind its guard band, that are no part of the frame, as far as it lies behind another part: nobody writes
    /// or reads them.
    pub holes: [u32; 6],
    /// What the offsets of absent parts follow from, which mean nothing; 0: they are 0.
    pub absent: u64,
    /// Which guard bytes; 0 are those of ordinary calls.
    pub guard: u64,
    /// What an output holds that is written only.
    pub output: Content,
    /// What scratch holds.
    pub scratch: Content,
    /// Every byte of memory around the frame.
    pub around: u8,
}

impl Arrangement {
    /// That of ordinary calls: parts in a fixed order from the heap base on, guard bands of 64 bytes.
    pub fn ordinary(heap_base: u32, fill: Fill) -> Self {
        Self {
            start: heap_base,
            order: Part::ALL,
            gaps: [GUARD_BYTES as u32; 7],
            holes: [0; 6],
            absent: 0,
            guard: 0,
            output: Content::Byte(fill.output),
            scratch: Content::Byte(fill.scratch),
            around: fill.tail,
        }
    }

    /// First address after a frame of these tensors: at most 2^32 where it fits memory.
    pub fn end(&self, tensors: &Tensors<'_>) -> u64 {
        let (_, end) = self.offsets(tensors.lengths());
        end
    }

    /// The address of each part, in the order of [`Part::ALL`], and the first one after the frame.
    pub(crate) fn offsets(&self, lengths: [u64; 6]) -> ([u64; 6], u64) {
        let mut end = u64::from(self.start);
        let mut offsets = [0; 6];
        for (place, part) in self.order.into_iter().enumerate() {
            let offset = aligned(end + u64::from(self.gaps[place]) + self.hole(place));
            offsets[part as usize] = offset;
            end = offset + lengths[part as usize];
        }
        (offsets, end + u64::from(self.gaps[Part::ALL.len()]))
    }

    /// Bytes left out before the part at this place; a frame begins with its first part or the guard band before it.
    pub(crate) fn hole(&self, place: usize) -> u64 {
        match place {
            0 => 0,
            _ => self.holes[place].into(),
        }
    }

    /// What stands as the offset of an absent part, which has no bytes: anything. `offsets` are where the parts would lie, `end` is the frame's.
    pub(crate) fn absent_offset(&self, part: Part, offsets: [u64; 6], end: u64) -> u32 {
        if self.absent == 0 {
            return 0;
        }
        let random = mixed(self.absent, part as u64);
        let other = offsets[(random >> 8) as usize % offsets.len()] as u32;
        match random % 8 {
            0 => 0,
            // Where another part begins, and inside of it.
            1 | 2 => other,
            3 => other.wrapping_add(1),
            // Where it would lie if it were there.
            4 => offsets[part as usize] as u32,
            5 => end as u32,
            // Below the heap base.
            6 => self.start / 2,
            _ => (random >> 32) as u32,
        }
    }
}

pub(crate) fn aligned(address: u64) -> u64 {
    address.next_multiple_of(u64::from(REGION_ALIGNMENT))
}

/// Random bits for a position: SplitMix64.
pub(crate) fn mixed(seed: u64, index: u64) -> u64 {
    let mut bits = seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_finite_and_differ_from_seed_to_seed() {
        let [mut one, mut two] = [[0; 64]; 2];
        Content::Pattern(1).fill(&mut one, &[]);
        Content::Pattern(2).fill(&mut two, &[]);
        assert_ne!(one, two);
        for bytes in one.chunks(4).map(|chunk| chunk.try_into().unwrap()) {
            let value = f32::from_le_bytes(bytes).abs();
            assert!((8.0..1e10).contains(&value), "{value}");
        }
    }

    #[test]
    fn a_content_is_of_ordinary_numbers_or_a_copy_of_the_input() {
        let mut bytes = [0; 64];
        Content::Numbers(1).fill(&mut bytes, &[]);
        for bytes in bytes.chunks(4).map(|chunk| chunk.try_into().unwrap()) {
            let value = f32::from_le_bytes(bytes).abs();
            assert!((1e-4..0.5).contains(&value), "{value}");
        }
        Content::Input.fill(&mut bytes, &[1, 2, 3]);
        assert_eq!(bytes[..5], [1, 2, 3, 1, 2]);
        let before = bytes;
        Content::Input.fill(&mut bytes, &[]);
        assert_eq!(bytes, before);
    }
}
