use crate::arrangement::{Arrangement, Part, mixed};
use kernel_abi::{Descriptor, PAGE_BYTES, Region};
use std::fmt;

/// Bytes of guard band before, between and after the regions.
pub(crate) const GUARD_BYTES: u64 = 64;

/// What a kernel is called on. All tensors are little-endian bytes, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'a> {
    /// The parameter struct.
    pub params: &'a [u8],
    /// First input.
    pub a: &'a [u8],
    /// Second input; empty means absent.
    pub b: &'a [u8],
    /// The output region.
    pub output: Output<'a>,
    /// Bytes of scratch; 0 means absent.
    pub scratch_size: u32,
}

impl Tensors<'_> {
    /// Bytes of each part, in the order of [`Part::ALL`].
    pub(crate) fn lengths(&self) -> [u64; 6] {
        let output = match self.output {
            Output::Written(size) => u64::from(size),
            Output::Updated(bytes) => bytes.len() as u64,
        };
        [
            Descriptor::SIZE as u64,
            self.params.len() as u64,
            self.a.len() as u64,
            self.b.len() as u64,
            output,
            u64::from(self.scratch_size),
        ]
    }
}

/// The output region on entry.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// This many bytes that the kernel writes without reading.
    Written(u32),
    /// Bytes that the kernel updates in place.
    Updated(&'a [u8]),
}

/// What regions hold that the contract says nothing about. Two runs that differ only in their fill must give
/// the same output; the values are finite and large as f32, f16 and i8, so that reading one shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Every byte of an output that is written only.
    pub output: u8,
    /// Every byte of scratch.
    pub scratch: u8,
    /// Every byte of memory behind the frame.
    pub tail: u8,
}

impl Fill {
    /// The fill of ordinary calls.
    pub const FIRST: Fill = Fill {
        output: 0xC7,
        scratch: 0x4B,
        tail: 0xD5,
    };
    /// Another fill, to find outputs that depend on it.
    pub const SECOND: Fill = Fill {
        output: 0x4D,
        scratch: 0xC9,
        tail: 0xD5,
    };
}

/// Why tensors could not be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The frame would need more memory than the kernel may have.
    #[error("place the tensors: they need {needed} pages of memory, the limit is {limit}")]
    TooLarge {
        /// Pages the frame needs.
        needed: u64,
        /// Pages the kernel may have.
        limit: u32,
    },
}

/// A byte that must not have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which part of memory: `guard band after output`, `input a`, ...
    pub zone: String,
    /// Its address.
    pub address: u32,
    /// What it was.
    pub before: u8,
    /// What it is.
    pub after: u8,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} changed at address {}: {:#04x} became {:#04x}",
            self.zone, self.address, self.before, self.after
        )
    }
}

/// Regions of one call with the guard bands around them, as an image of linear memory from [`start`](Self::start).
#[derive(Clone, Debug)]
pub struct Frame {
    /// In the order of addresses; more than one where the arrangement has holes.
    pieces: Vec<Piece>,
    image: Vec<u8>,
    descriptor_address: u32,
    placed: Descriptor,
}

/// A piece of memory without a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    at: u32,
    /// Where it begins in the image.
    from: usize,
    length: usize,
}

/// Where the regions of a call go.
pub(crate) struct Layout {
    pub(crate) descriptor_address: u32,
    pub(crate) placed: Descriptor,
    /// First address after the last guard band; at most 2^32.
    pub(crate) end: u64,
}

impl Layout {
    /// Regions of so many bytes (parameters, input a, input b, output, scratch) behind the descriptor at and above `heap_base`, each
    /// 16-byte aligned, with guard bands before, between and after them.
    pub(crate) fn of(sizes: [u64; 5], heap_base: u32, max_pages: u32) -> Result<Self, PlaceError> {
        let [params, a, b, output, scratch] = sizes;
        let lengths = [Descriptor::SIZE as u64, params, a, b, output, scratch];
        let ordinary = Arrangement::ordinary(heap_base, Fill::FIRST);
        Self::arranged(lengths, &ordinary, max_pages)
    }

    /// Parts of so many bytes, in the order of [`Part::ALL`], arranged.
    fn arranged(
        lengths: [u64; 6],
        arrangement: &Arrangement,
        max_pages: u32,
    ) -> Result<Self, PlaceError> {
        let (offsets, end) = arrangement.offsets(lengths);
        let needed = end.div_ceil(PAGE_BYTES);
        if needed > u64::from(max_pages) {
            return Err(PlaceError::TooLarge {
                needed,
                limit: max_pages,
            });
        }
        // Everything lies below max_pages * 64 KiB <= 2^32 now, so offsets and sizes fit u32.
        let region = |part: Part| {
            let index = part as usize;
            let offset = match lengths[index] {
                0 => arrangement.absent_offset(part, offsets, end),
                _ => offsets[index] as u32,
            };
            Region::new(offset, lengths[index] as u32)
        };
        Ok(Self {
            descriptor_address: offsets[Part::Descriptor as usize] as u32,
            placed: Descriptor {
                params: region(Part::Params),
                input_a: region(Part::A),
                input_b: region(Part::B),
                output: region(Part::Output),
                scratch: region(Part::Scratch),
            },
            end,
        })
    }
}

/// What lies between the holes of an arrangement that ends at `end`.
fn pieces(lengths: [u64; 6], arrangement: &Arrangement, end: u64) -> Vec<Piece> {
    let (offsets, _) = arrangement.offsets(lengths);
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut add = |at: u64, end: u64| {
        let length = (end - at) as usize;
        pieces.push(Piece {
            at: at as u32,
            from,
            length,
        });
        from += length;
    };
    let mut at = u64::from(arrangement.start);
    for place in 1..Part::ALL.len() {
        if arrangement.hole(place) == 0 {
            continue;
        }
        let before = arrangement.order[place - 1] as usize;
        let part = arrangement.order[place] as usize;
        let end = offsets[before] + lengths[before] + u64::from(arrangement.gaps[place]);
        if end > at {
            add(at, end);
        }
        at = offsets[part];
    }
    if end > at {
        add(at, end);
    }
    pieces
}

/// A guard byte depends on its address, so that a shifted copy of a guard band does not look intact.
pub(crate) fn guard_byte(address: u32) -> u8 {
    (address as u8).wrapping_mul(29) ^ 0xA6
}

/// The guard byte of a pattern; 0 is that of ordinary calls.
fn guard_byte_of(pattern: u64, address: u32) -> u8 {
    match pattern {
        0 => guard_byte(address),
        seed => mixed(seed, address.into()) as u8,
    }
}

impl Frame {
    /// Lays the tensors out at and above `heap_base`: every region 16-byte aligned, guard bands of a known
    /// pattern before, between and after them.
    ///
    /// # Errors
    /// [`PlaceError::TooLarge`] if the frame would reach beyond `max_pages`.
    pub fn place(
        tensors: &Tensors<'_>,
        heap_base: u32,
        max_pages: u32,
        fill: Fill,
    ) -> Result<Frame, PlaceError> {
        Self::arranged(tensors, max_pages, &Arrangement::ordinary(heap_base, fill))
    }

    /// Lays the tensors out as they are arranged, every region 16-byte aligned.
    ///
    /// # Errors
    /// [`PlaceError::TooLarge`] if the frame would reach beyond `max_pages`.
    pub fn arranged(
        tensors: &Tensors<'_>,
        max_pages: u32,
        arrangement: &Arrangement,
    ) -> Result<Frame, PlaceError> {
        let Layout {
            descriptor_address,
            placed,
            end,
        } = Layout::arranged(tensors.lengths(), arrangement, max_pages)?;
        let pieces = pieces(tensors.lengths(), arrangement, end);
        let length = pieces.iter().map(|piece| piece.length).sum();
        let mut frame = Frame {
            image: vec![0; length],
            pieces,
            descriptor_address,
            placed,
        };
        frame.fill_bands(arrangement.guard);
        frame.set_descriptor(&placed);
        frame
            .region_mut(placed.params)
            .copy_from_slice(tensors.params);
        frame.region_mut(placed.input_a).copy_from_slice(tensors.a);
        frame.region_mut(placed.input_b).copy_from_slice(tensors.b);
        let (a, output, scratch) = (tensors.a, placed.output, placed.scratch);
        match tensors.output {
            Output::Written(_) => arrangement.output.fill(frame.region_mut(output), a),
            Output::Updated(bytes) => frame.region_mut(output).copy_from_slice(bytes),
        }
        arrangement.scratch.fill(frame.region_mut(scratch), a);
        Ok(frame)
    }

    /// Address of the descriptor: the argument of the call.
    pub fn descriptor_address(&self) -> u32 {
        self.descriptor_address
    }

    /// Where the regions were placed.
    pub fn placed(&self) -> &Descriptor {
        &self.placed
    }

    /// Where a part was placed; an absent one has no bytes.
    pub fn region(&self, part: Part) -> Region {
        match part {
            Part::Descriptor => Region::new(self.descriptor_address, Descriptor::SIZE as u32),
            Part::Params => self.placed.params,
            Part::A => self.placed.input_a,
            Part::B => self.placed.input_b,
            Part::Output => self.placed.output,
            Part::Scratch => self.placed.scratch,
        }
    }

    /// Replaces the descriptor that the kernel will read, without moving any region: how wrong descriptors are presented.
    pub fn set_descriptor(&mut self, descriptor: &Descriptor) {
        let at = Region::new(self.descriptor_address, Descriptor::SIZE as u32);
        self.region_mut(at)
            .copy_from_slice(&descriptor.to_le_bytes());
    }

    /// First address of the frame.
    pub fn start(&self) -> u32 {
        self.pieces[0].at
    }

    /// First address after the frame; at most 2^32.
    pub fn end(&self) -> u64 {
        let last = self.pieces[self.pieces.len() - 1];
        u64::from(last.at) + last.length as u64
    }

    /// Memory content from [`start`](Self::start) to [`end`](Self::end) before the call, without the holes of the arrangement.
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// The pieces of memory between the holes of the arrangement: addresses, and what each holds before the call. One after the other they
    /// are the image.
    pub fn pieces(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let pieces = self.pieces.iter();
        pieces.map(|piece| (piece.at, &self.image[piece.from..piece.from + piece.length]))
    }

    /// Pages of memory that the frame needs.
    pub fn pages(&self) -> u32 {
        self.end().div_ceil(PAGE_BYTES) as u32
    }

    /// The output's bytes within `after`, the memory content from start to end after the call.
    pub fn output<'a>(&self, after: &'a [u8]) -> &'a [u8] {
        &after[self.range(self.placed.output)]
    }

    /// Scratch's bytes within `after`, the memory content from start to end after the call.
    pub fn scratch<'a>(&self, after: &'a [u8]) -> &'a [u8] {
        &after[self.range(self.placed.scratch)]
    }

    /// Compares memory after the call with the image: outside output and scratch nothing may have changed, and
    /// with a status that is not OK nothing outside scratch. The descriptor, the inputs and the parameters count as inputs.
    ///
    /// # Errors
    /// The first byte that changed.
    pub fn check(&self, after: &[u8], status_ok: bool) -> Result<(), Violation> {
        if after.len() != self.image.len() {
            return Err(Violation {
                zone: format!(
                    "frame (read back {} bytes of {})",
                    after.len(),
                    self.image.len()
                ),
                address: self.start(),
                before: 0,
                after: 0,
            });
        }
        let free = [
            self.range(self.placed.scratch),
            if status_ok {
                self.range(self.placed.output)
            } else {
                0..0
            },
        ];
        let changed = |range: std::ops::Range<usize>| {
            range
                .clone()
                .zip(&self.image[range.clone()])
                .zip(&after[range])
                .find(|((_, before), after)| before != after)
                .map(|((index, before), after)| (index, *before, *after))
        };
        // The free ranges split the frame into at most three that are fixed; slices compare faster than bytes.
        let mut cuts = free;
        cuts.sort_by_key(|range| range.start);
        let mut from = 0;
        for fixed in [
            cuts[0].clone(),
            cuts[1].clone(),
            self.image.len()..self.image.len(),
        ] {
            let range = from..fixed.start.max(from);
            from = fixed.end.max(from);
            if self.image[range.clone()] == after[range.clone()] {
                continue;
            }
            if let Some((index, before, after)) = changed(range) {
                let address = self.address(index);
                return Err(Violation {
                    zone: self.zone(address, status_ok),
                    address,
                    before,
                    after,
                });
            }
        }
        Ok(())
    }

    fn zone(&self, address: u32, status_ok: bool) -> String {
        let mut named = [
            (
                "descriptor",
                Region::new(self.descriptor_address, Descriptor::SIZE as u32),
            ),
            ("parameters", self.placed.params),
            ("input a", self.placed.input_a),
            ("input b", self.placed.input_b),
            (
                if status_ok {
                    "output"
                } else {
                    "output (although the status is not OK)"
                },
                self.placed.output,
            ),
            ("scratch", self.placed.scratch),
        ];
        named.sort_by_key(|(_, region)| region.offset);
        let mut last = "the heap base";
        for (name, region) in named {
            if region.size == 0 {
                continue;
            }
            if address < region.offset {
                break;
            }
            if u64::from(address) < region.end() {
                return name.to_owned();
            }
            last = name;
        }
        format!("guard band after {last}")
    }

    /// Fills what is no part of the call. Parts hold most bytes and are written anyway, so only the bands between them are made.
    fn fill_bands(&mut self, pattern: u64) {
        let mut parts = Part::ALL.map(|part| self.range(self.region(part)));
        parts.sort_by_key(|range| range.start);
        for piece in self.pieces.clone() {
            let end = piece.from + piece.length;
            let mut from = piece.from;
            for part in parts.iter().chain([&(end..end)]) {
                if part.start < from || part.start > end {
                    continue;
                }
                let address = |index: usize| piece.at + (index - piece.from) as u32;
                for index in from..part.start {
                    self.image[index] = guard_byte_of(pattern, address(index));
                }
                from = part.end;
            }
        }
    }

    fn range(&self, region: Region) -> std::ops::Range<usize> {
        if region.size == 0 {
            return 0..0;
        }
        let piece = self.piece(|piece| piece.at <= region.offset);
        let from = piece.from + (region.offset - piece.at) as usize;
        from..from + region.size as usize
    }

    /// The address of a byte of the image.
    fn address(&self, index: usize) -> u32 {
        let piece = self.piece(|piece| piece.from <= index);
        piece.at + (index - piece.from) as u32
    }

    /// The last piece that begins early enough; the first one always does.
    fn piece(&self, begins: impl Fn(&Piece) -> bool) -> Piece {
        let found = self.pieces.iter().rev().find(|piece| begins(piece));
        *found.unwrap_or(&self.pieces[0])
    }

    fn region_mut(&mut self, region: Region) -> &mut [u8] {
        let range = self.range(region);
        &mut self.image[range]
    }
}

#[cfg(test)]
mod tests;
