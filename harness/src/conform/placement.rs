//! Where a case lies in memory. Its first run has the place of ordinary calls; all others have places that are drawn from the run's own
//! seed, because a kernel may depend on none of it: the order of the regions, what is between and around them, and the size of memory.

use super::subject::Subject;
use fastrand::Rng;
use kernel_abi::{PAGE_BYTES, REGION_ALIGNMENT};
use kernel_cases::case::{Case, Tweak, Word};
use runtime_call::{Arrangement, Content, Digest, Fill, Form, Frame, Part};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

/// A size that a change to the descriptor raises by so much reaches over the guard band into the next region of an ordinary call.
const OVER_GUARD_BAND: i32 = 64;
/// Guard bytes around the regions of a call whose descriptor is changed, at least.
const GUARD: u32 = 64;
/// Largest distance of a drawn frame from the heap base, but for those beyond 64 KiB.
const NEAR: u32 = 4096;
/// By how much more one distance between regions that are scattered may be larger than another.
const SCATTER: u32 = 16;
/// Orders in which each part is first once, last once, and directly before each other part once: a balanced Latin square.
const ORDERS: [[Part; 6]; 6] = {
    let steps = [0, 1, 5, 2, 4, 3];
    let mut orders = [Part::ALL; 6];
    let mut row = 0;
    while row < 6 {
        let mut column = 0;
        while column < 6 {
            orders[row][column] = Part::ALL[(row + steps[column]) % 6];
            column += 1;
        }
        row += 1;
    }
    orders
};

/// Which part of each order lies apart from those before it: between them any two of the inputs and the output are, either way round.
const APART: [usize; 6] = [4, 2, 3, 2, 1, 3];

/// Where a call lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The regions, and what is around them.
    pub arrangement: Arrangement,
    /// Memory has at least so many pages.
    pub pages: u32,
}

/// Where a frame begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its first region begins at the heap base, or at the first multiple of 16 above it.
    HeapBase,
    /// Its last region ends with memory.
    MemoryEnd,
    /// It begins so many bytes above the heap base.
    Above(u32),
    /// The same, and the part at this place, from 1, lies so many bytes farther away from the one before it.
    Apart {
        /// Bytes above the heap base.
        above: u32,
        /// Which part in the order.
        place: usize,
        /// Bytes between it and the one before it.
        by: u32,
    },
    /// Its last region ends with memory, its first one begins near the heap base, and none lies near another.
    Scattered,
    /// A page of memory ends inside of this part, which has more than 16 bytes.
    AcrossPages(Part),
    /// Each region begins at a multiple of this, as in arenas that align by pages.
    Aligned(u32),
}

impl Place {
    /// That of ordinary calls.
    pub fn ordinary(case: &Case, subject: &Subject) -> Self {
        let ordinary = Arrangement::ordinary(subject.heap_base, Fill::FIRST);
        let roomy = Arrangement {
            gaps: [room(case); 7],
            ..ordinary.clone()
        };
        let arrangement = if fits(case, subject, &roomy) {
            roomy
        } else {
            ordinary
        };
        Self {
            arrangement,
            pages: 0,
        }
    }

    /// Whether there is one, within the memory that the manifest allows.
    pub fn exists(case: &Case, subject: &Subject) -> bool {
        fits(
            case,
            subject,
            &Arrangement::ordinary(subject.heap_base, Fill::FIRST),
        )
    }

    /// One that follows from the seed and the case's name.
    pub fn drawn(case: &Case, subject: &Subject, seed: u64) -> Self {
        let mut random = random(seed, &[&case.kernel, &case.name]);
        let mut arrangement = contents(&mut random, Self::ordinary(case, subject).arrangement);
        arrangement.absent = absent(&mut random, case);
        let same_distances = case.tweaks.iter().any(reaches_next);
        let ordinary = Self {
            arrangement: arrangement.clone(),
            pages: 0,
        };
        if !same_distances {
            shuffle(&mut random, &mut arrangement.order);
        }
        let touching = random.u8(..4) == 0;
        for gap in &mut arrangement.gaps {
            *gap = match random.u8(..4) {
                _ if same_distances => GUARD,
                _ if !case.tweaks.is_empty() => room(case) + random.u32(..64),
                _ if touching => 0,
                0 => 0,
                1 => 16,
                2 => 64,
                _ => random.u32(..300),
            };
        }
        let anchor = match random.u8(..8) {
            0..3 => Anchor::HeapBase,
            3 => Anchor::Above(0x1_0000 + random.u32(..0x1_0000)),
            4..6 if case.tweaks.is_empty() => Anchor::MemoryEnd,
            _ => Anchor::Above(random.u32(..NEAR)),
        };
        let needed = arrangement.end(&case.tensors()).div_ceil(PAGE_BYTES) as u32;
        let pages = needed
            .saturating_add(random.u32(..2))
            .max(subject.minimum_pages)
            .min(subject.max_pages);
        anchored(case, subject, arrangement, anchor, pages).unwrap_or(ordinary)
    }

    /// One of those that every run has, of each part first at the heap base and last in memory and right before each other part; in a
    /// memory of so many pages. `None` if it does not fit.
    pub fn listed(case: &Case, subject: &Subject, listed: Listed, pages: u32) -> Option<Self> {
        let mut random = random(listed.seed, &[&case.kernel, &case.name]);
        let ordinary = Arrangement::ordinary(subject.heap_base, Fill::SECOND);
        let arrangement = Arrangement {
            order: ORDERS[listed.order % ORDERS.len()],
            gaps: [0; 7],
            absent: absent(&mut random, case),
            ..contents(&mut random, ordinary)
        };
        let arrangement = match listed.anchor {
            Anchor::Scattered => scattered(case, subject, arrangement, pages, &mut random)?,
            Anchor::Aligned(to) => aligned(case, subject, arrangement, to)?,
            _ => arrangement,
        };
        let needed = arrangement.end(&case.tensors()).div_ceil(PAGE_BYTES) as u32;
        let pages = pages.max(needed).max(subject.minimum_pages);
        let at = |anchor| anchored(case, subject, arrangement.clone(), anchor, pages);
        match listed.anchor {
            // A device may have no room for the distance.
            Anchor::Apart { above, .. } => at(listed.anchor).or_else(|| at(Anchor::Above(above))),
            anchor => at(anchor),
        }
    }

    /// The same place and scratch with everything else around and in the regions another, for the same call once more. Offsets of absent regions
    /// stay, because a kernel may leave addresses in scratch.
    pub fn again(&self, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        Self {
            arrangement: Arrangement {
                scratch: self.arrangement.scratch,
                ..contents(&mut random, self.arrangement.clone())
            },
            pages: self.pages,
        }
    }
}

/// A place that every run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which order of the parts.
    pub order: usize,
    /// Where it begins or ends.
    pub anchor: Anchor,
    /// What the contents follow from.
    pub seed: u64,
}

impl Listed {
    /// How many orders there are.
    pub const ORDERS: usize = ORDERS.len();

    /// The order in which a part is the last one.
    pub fn last(part: Part) -> usize {
        let orders = ORDERS.iter();
        let mut lasts = orders.map(|order| order[order.len() - 1]);
        lasts.position(|last| last == part).unwrap_or_default()
    }

    /// Distances by so many bytes within an order, so many bytes above the heap base.
    pub fn apart(order: usize, above: u32, by: u32) -> Anchor {
        Anchor::Apart {
            above,
            place: APART[order % ORDERS.len()],
            by,
        }
    }
}

/// A generator whose numbers follow from a seed and names, the same everywhere.
pub(super) fn random(seed: u64, names: &[&str]) -> Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    for name in names {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
    }
    let digest = hasher.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    Rng::with_seed(u64::from_le_bytes(first))
}

/// An index below `length`, which is not 0. As fastrand's own, but the same on machines of 32 bits and of 64.
pub(super) fn index(random: &mut Rng, length: usize) -> usize {
    random.u32(..length as u32) as usize
}

/// Another order, the same on machines of 32 bits and of 64.
pub(super) fn shuffle<T>(random: &mut Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let other = index(random, last + 1);
        items.swap(last, other);
    }
}

/// A digest of so many times a byte. Every engine and every module of a kernel has the same cases at the same places, so what was hashed once is
/// kept: 40 bytes for each piece of memory beside a frame.
pub(super) fn digest_of(form: Form, byte: u8, length: u32) -> Vec<u8> {
    type Kept = BTreeMap<(bool, u8, u32), Vec<u8>>;
    static KEPT: RwLock<Kept> = RwLock::new(BTreeMap::new());
    // A process has one seed.
    let key = (form == Form::Sha256, byte, length);
    // A map of values that are right is right after a panic too.
    let kept = KEPT.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(digest) = kept.get(&key) {
        return digest.clone();
    }
    drop(kept);
    let mut digest = Digest::new(form);
    digest.repeat(byte, length.into());
    let digest = digest.finish();
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    kept.insert(key, digest.clone());
    digest
}

/// What a place holds. One in four is as a reset leaves memory, all zeros but for the guard bands; of the others each region may hold numbers as answers
/// are, or a copy of the first input.
fn contents(random: &mut Rng, arrangement: Arrangement) -> Arrangement {
    let cleared = random.u8(..4) == 0;
    let mut content = || {
        let (kind, seed) = (random.u8(..4), random.u64(..));
        match kind {
            _ if cleared => Content::Byte(0),
            0 => Content::Numbers(seed),
            1 => Content::Input,
            _ => Content::Pattern(seed),
        }
    };
    let (output, scratch) = (content(), content());
    let around = random.u8(..);
    Arrangement {
        guard: random.u64(1..),
        output,
        scratch,
        around: if cleared { 0 } else { around },
        ..arrangement
    }
}

/// What the offsets of absent regions follow from. What a changed descriptor is due follows from offsets that are 0.
fn absent(random: &mut Rng, case: &Case) -> u64 {
    match case.tweaks.is_empty() {
        true => random.u64(1..),
        false => 0,
    }
}

/// Drawn distances between all parts, so that those from the heap base on take all of a memory of so many pages.
fn scattered(
    case: &Case,
    subject: &Subject,
    mut arrangement: Arrangement,
    pages: u32,
    random: &mut Rng,
) -> Option<Arrangement> {
    let first = u64::from(subject.heap_base).next_multiple_of(REGION_ALIGNMENT.into());
    arrangement.start = u32::try_from(first).ok()?;
    for gap in &mut arrangement.gaps[1..6] {
        *gap = GUARD;
    }
    let end = arrangement
        .end(&case.tensors())
        .next_multiple_of(REGION_ALIGNMENT.into());
    let free = (u64::from(pages) * PAGE_BYTES).checked_sub(end)?;
    let shares = [(); 5].map(|()| random.u64(1..=u64::from(SCATTER)));
    let all: u64 = shares.iter().sum();
    for (hole, share) in arrangement.holes[1..].iter_mut().zip(shares) {
        // What aligns a part is part of its hole.
        *hole = u32::try_from(free * share / all).ok()? / REGION_ALIGNMENT * REGION_ALIGNMENT;
    }
    Some(arrangement)
}

/// Distances between parts so that each begins at a multiple of `to`.
fn aligned(
    case: &Case,
    subject: &Subject,
    mut arrangement: Arrangement,
    to: u32,
) -> Option<Arrangement> {
    arrangement.start = subject.heap_base.checked_next_multiple_of(to)?;
    for place in 1..arrangement.order.len() {
        let frame = Frame::arranged(&case.tensors(), subject.max_pages, &arrangement).ok()?;
        let region = frame.region(arrangement.order[place]);
        if region.size > 0 {
            arrangement.gaps[place] = GUARD;
            // The guard band is a part of the distance.
            arrangement.holes[place] =
                (region.offset + GUARD).next_multiple_of(to) - region.offset - GUARD;
        }
    }
    Some(arrangement)
}

/// Puts an arrangement where it begins or ends, in a memory of at least so many pages; `None` if it does not fit.
fn anchored(
    case: &Case,
    subject: &Subject,
    mut arrangement: Arrangement,
    anchor: Anchor,
    pages: u32,
) -> Option<Place> {
    let alignment = u64::from(REGION_ALIGNMENT);
    let first = u32::try_from(u64::from(subject.heap_base).next_multiple_of(alignment)).ok()?;
    arrangement.start = match anchor {
        Anchor::HeapBase => first,
        Anchor::Above(by) => subject.heap_base.checked_add(by)?,
        Anchor::Aligned(to) => subject.heap_base.checked_next_multiple_of(to)?,
        Anchor::Apart { above, place, by } => {
            arrangement.gaps[place] = GUARD;
            arrangement.holes[place] = by;
            subject.heap_base.checked_add(above)?
        }
        Anchor::Scattered | Anchor::MemoryEnd => {
            arrangement.start = first;
            arrangement.gaps[6] = 0;
            let end = arrangement.end(&case.tensors());
            let memory_end = u64::from(pages) * PAGE_BYTES;
            let whole = end.next_multiple_of(alignment);
            // A region begins at a multiple of 16, so one of another size ends up to 15 bytes before memory does.
            arrangement.gaps[6] = (whole - end) as u32;
            u32::try_from(u64::from(first) + memory_end.checked_sub(whole)?).ok()?
        }
        Anchor::AcrossPages(part) => {
            arrangement.start = first;
            let frame = Frame::arranged(&case.tensors(), subject.max_pages, &arrangement).ok()?;
            let region = frame.region(part);
            if u64::from(region.size) <= alignment {
                return None;
            }
            // Half of the region, and at least its first bytes, lies before the page's end.
            let before = (region.size / 2).next_multiple_of(REGION_ALIGNMENT);
            let end = (u64::from(region.offset) + u64::from(before)).next_multiple_of(PAGE_BYTES);
            u32::try_from(u64::from(first) + end - u64::from(before) - u64::from(region.offset))
                .ok()?
        }
    };
    if matches!(anchor, Anchor::HeapBase | Anchor::Aligned(_)) {
        arrangement.gaps[0] = 0;
    }
    fits(case, subject, &arrangement).then_some(Place { arrangement, pages })
}

fn fits(case: &Case, subject: &Subject, arrangement: &Arrangement) -> bool {
    let limit = u64::from(subject.max_pages) * PAGE_BYTES;
    arrangement.end(&case.tensors()) <= limit
}

/// Guard bytes between the regions of a case whose descriptor is changed: a region that is moved over another one touches no third one.
fn room(case: &Case) -> u32 {
    let moves = |tweak: &Tweak| matches!(tweak, Tweak::Copy(..) | Tweak::Descriptor(..));
    if !case.tweaks.iter().any(moves) {
        return GUARD;
    }
    let lengths = [case.a.len(), case.b.len(), case.params.len()];
    let largest = lengths.into_iter().max().unwrap_or_default() as u32;
    let largest = largest.max(case.output_size).max(case.scratch_size);
    largest.next_multiple_of(REGION_ALIGNMENT) + GUARD
}

/// Whether a change makes a region reach the one that is behind it in an ordinary call.
fn reaches_next(tweak: &Tweak) -> bool {
    use Word::{InputASize, InputBSize, OutputSize, ParamsSize, ScratchSize};
    match tweak {
        Tweak::Add(InputASize | InputBSize | OutputSize | ScratchSize | ParamsSize, by) => {
            *by >= OVER_GUARD_BAND
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
