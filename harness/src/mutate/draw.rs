//! Calls that nobody wrote down: shapes, values, parameters, descriptors and placements, drawn.

use crate::conform::subject::Subject;
use fastrand::Rng;
use kernel_abi::{Descriptor, PAGE_BYTES, REGION_ALIGNMENT, Region, export};
use kernel_cases::{
    case::{Case, Tweak, Word},
    generate, open,
};
use runtime_api::Budget;
use runtime_call::{Call, Form, Invocation, Read, Write};

/// A call of a kernel, placed.
pub(super) struct Drawn {
    pub(super) case: Case,
    pub(super) descriptor: Descriptor,
    /// Where the regions are, whatever the descriptor says.
    pub(super) placed: Descriptor,
    pub(super) address: u32,
    pub(super) fill: u8,
    pub(super) invocation: Invocation,
    /// Which of the reads is the output.
    pub(super) output: Option<usize>,
    /// Which of the calls is the entry.
    pub(super) entry: usize,
}

/// Values where arithmetic goes wrong first, as bits of f32.
const SPECIAL_F32: [u32; 16] = [
    0x0000_0000,
    0x8000_0000,
    0x3f80_0000,
    0xbf80_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc0_0001,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x0000_0001,
    0x8000_0001,
    0x0080_0000,
    0x42b1_7218,
    0xc2ce_8ed0,
    0x4b00_0001,
];
/// The same as bits of f16, with values around 1 and the limits.
const SPECIAL_F16: [u16; 16] = [
    0x0000, 0x8000, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00, 0xfe01, 0x7bff, 0xfbff, 0x0001, 0x8001,
    0x0400, 0x03ff, 0x3bff, 0x6400,
];
const WORDS: [Word; 10] = [
    Word::InputAOffset,
    Word::InputASize,
    Word::InputBOffset,
    Word::InputBSize,
    Word::OutputOffset,
    Word::OutputSize,
    Word::ScratchOffset,
    Word::ScratchSize,
    Word::ParamsOffset,
    Word::ParamsSize,
];

/// A case: a generated one that no run by default has, or one of `known`, and then perhaps changed.
pub(super) fn case(subject: &Subject, known: &[&Case], rng: &mut Rng) -> Option<Case> {
    let mut case = if rng.u8(..4) == 0 && !known.is_empty() {
        known[rng.usize(..known.len())].clone()
    } else {
        let (seed, number) = (rng.u64(..), rng.u32(..));
        match subject.standard.open() {
            Some(contract) => open::generated(contract, seed, number).into_iter().next()?,
            None => generate::case(&subject.kernel, seed, number)?,
        }
    };
    if rng.bool() {
        change_values(&mut case, rng);
    }
    if rng.u8(..4) == 0 && case.params.len() >= 4 {
        change_parameter(&mut case.params, rng);
    }
    if rng.u8(..4) == 0 {
        case.tweaks.push(tweak(rng));
    }
    Some(case)
}

fn change_values(case: &mut Case, rng: &mut Rng) {
    let tensors = [Some(&mut case.a), Some(&mut case.b), case.base.as_mut()];
    for tensor in tensors.into_iter().flatten() {
        for _ in 0..rng.u8(..6) {
            if rng.bool() && tensor.len() >= 4 {
                let at = rng.usize(..tensor.len() / 4) * 4;
                let bits = match rng.u8(..4) {
                    0 => rng.u32(..),
                    _ => SPECIAL_F32[rng.usize(..SPECIAL_F32.len())],
                };
                tensor[at..at + 4].copy_from_slice(&bits.to_le_bytes());
            } else if tensor.len() >= 2 {
                let at = rng.usize(..tensor.len() / 2) * 2;
                let bits = match rng.u8(..4) {
                    0 => rng.u16(..),
                    _ => SPECIAL_F16[rng.usize(..SPECIAL_F16.len())],
                };
                tensor[at..at + 2].copy_from_slice(&bits.to_le_bytes());
            }
        }
    }
}

fn change_parameter(params: &mut [u8], rng: &mut Rng) {
    let at = rng.usize(..params.len() / 4) * 4;
    let word = &mut params[at..at + 4];
    let old = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
    let new = match rng.u8(..6) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => rng.u32(..70),
        3 => 1 << rng.u32(..32),
        4 => SPECIAL_F32[rng.usize(..SPECIAL_F32.len())],
        // Log-uniform from 1e-12 to 1e8.
        _ => 10_f32.powf(rng.f32() * 20.0 - 12.0).to_bits(),
    };
    word.copy_from_slice(&new.to_le_bytes());
}

fn tweak(rng: &mut Rng) -> Tweak {
    let word = WORDS[rng.usize(..WORDS.len())];
    let other = WORDS[rng.usize(..WORDS.len())];
    let near = [
        -64, -48, -32, -16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, 32, 48, 64, 112,
    ];
    let by = near[rng.usize(..near.len())];
    match rng.u8(..6) {
        0 => Tweak::Set(word, rng.u32(..)),
        1 => Tweak::Set(word, u32::MAX - rng.u32(..64)),
        2 => Tweak::Add(word, by),
        3 => Tweak::Copy(word, other, by),
        4 => Tweak::FromMemoryEnd(word, rng.u32(..130)),
        _ => Tweak::BelowHeap(word, by.unsigned_abs()),
    }
}

/// Places a case in a memory that has at least so many pages; `fresh` instances are initialised first. `None` where it does not fit.
pub(super) fn place(
    case: Case,
    subject: &Subject,
    (fresh, pages): (bool, u32),
    budget: Budget,
    rng: &mut Rng,
) -> Option<Drawn> {
    let output_size = case
        .base
        .as_ref()
        .map_or(case.output_size as usize, Vec::len);
    // The descriptor, then the regions in its order.
    let sizes = [
        Descriptor::SIZE,
        case.a.len(),
        case.b.len(),
        output_size,
        case.scratch_size as usize,
        case.params.len(),
    ];
    let mut order = [0, 1, 2, 3, 4, 5];
    rng.shuffle(&mut order);
    let mut offsets = [0_u64; 6];
    let gaps = [0, 0, 16, 64, 80, 4096];
    let mut end = u64::from(subject.heap_base);
    for index in order {
        let gap = if rng.u8(..100) == 0 {
            70_000
        } else {
            gaps[rng.usize(..gaps.len())]
        };
        offsets[index] = (end + gap).next_multiple_of(u64::from(REGION_ALIGNMENT));
        end = offsets[index] + sizes[index] as u64;
    }
    let needed = end.div_ceil(PAGE_BYTES);
    if needed > u64::from(subject.max_pages) {
        return None;
    }
    let pages = pages.max(needed as u32);
    let memory_bytes = u64::from(pages) * PAGE_BYTES;
    if rng.u8(..4) == 0 {
        // As far up as alignment lets the last region.
        let up = (memory_bytes - end) / u64::from(REGION_ALIGNMENT) * u64::from(REGION_ALIGNMENT);
        offsets.iter_mut().for_each(|offset| *offset += up);
        end += up;
    }
    let region = |index: usize| match sizes[index] {
        0 => Region::default(),
        size => Region::new(offsets[index] as u32, size as u32),
    };
    let placed = Descriptor {
        input_a: region(1),
        input_b: region(2),
        output: region(3),
        scratch: region(4),
        params: region(5),
    };
    let descriptor = subject.tweaked((&placed, offsets[0] as u32), &case.tweaks, memory_bytes);
    let fill = rng.u8(..);
    let start = subject.heap_base;
    let mut writes = vec![Write::Fill {
        at: start,
        length: (end - u64::from(start)) as u32,
        fill,
    }];
    let contents = [
        descriptor.to_le_bytes().to_vec(),
        case.a.clone(),
        case.b.clone(),
        case.base.clone().unwrap_or_default(),
        Vec::new(),
        case.params.clone(),
    ];
    for (offset, bytes) in offsets.iter().zip(contents) {
        let at = *offset as u32;
        writes.push(Write::Bytes { at, bytes });
    }
    let address = offsets[0] as u32;
    let scratch = scratch(&placed, &descriptor, address);
    let (reads, output) = reads((start, end), placed.output, scratch);
    let (calls, entry) = calls(subject, &case, &placed, (fresh, address), budget, rng);
    Some(Drawn {
        invocation: Invocation {
            pages,
            writes,
            calls,
            reads,
        },
        case,
        descriptor,
        placed,
        address,
        fill,
        output,
        entry,
    })
}

/// Where a kernel may leave what it likes: the scratch that the descriptor says, unless that lies over what is passed, so that the call is refused.
fn scratch(placed: &Descriptor, told: &Descriptor, address: u32) -> Region {
    let descriptor = Region {
        offset: address,
        size: Descriptor::SIZE as u32,
    };
    let passed = [
        placed.input_a,
        placed.input_b,
        placed.output,
        placed.params,
        descriptor,
    ];
    let end = |region: Region| u64::from(region.offset) + u64::from(region.size);
    let over = |other: Region| {
        u64::from(told.scratch.offset) < end(other) && u64::from(other.offset) < end(told.scratch)
    };
    match passed.into_iter().any(over) {
        true => placed.scratch,
        false => told.scratch,
    }
}

/// All of the frame but scratch; the output by itself.
fn reads((start, end): (u32, u64), output: Region, scratch: Region) -> (Vec<Read>, Option<usize>) {
    let mut apart = [(output, true), (scratch, false)];
    apart.sort_by_key(|(region, _)| region.offset);
    let mut reads = Vec::new();
    let mut output = None;
    let mut at = u64::from(start);
    let rest = |reads: &mut Vec<Read>, until: u64, at: u64| {
        let until = until.min(end);
        if until > at {
            reads.push(Read {
                at: at as u32,
                length: (until - at) as u32,
                form: Form::Sha256,
            });
        }
    };
    for (region, is_output) in apart.into_iter().filter(|(region, _)| region.size > 0) {
        rest(&mut reads, u64::from(region.offset), at);
        if is_output {
            output = Some(reads.len());
            reads.push(Read {
                at: region.offset,
                length: region.size,
                form: Form::Bytes,
            });
        }
        at = at.max(u64::from(region.offset) + u64::from(region.size));
    }
    rest(&mut reads, end, at);
    (reads, output)
}

fn calls(
    subject: &Subject,
    case: &Case,
    placed: &Descriptor,
    (fresh, address): (bool, u32),
    budget: Budget,
    rng: &mut Rng,
) -> (Vec<Call>, usize) {
    let call = |export: &str, arguments: Vec<u32>| Call {
        export: export.to_owned(),
        arguments,
        budget,
    };
    let mut calls = Vec::new();
    if fresh {
        let Region { offset, size } = placed.params;
        let arguments = match rng.u8(..12) {
            0 => [0, 0],
            1 => [offset, size.wrapping_add(1)],
            2 => [offset.wrapping_add(8), size],
            3 => [u32::MAX - 15, size],
            4 => [0, size],
            5 => [rng.u32(..), rng.u32(..)],
            _ => [offset, size],
        };
        calls.push(call(export::INIT, arguments.to_vec()));
    }
    if rng.u8(..32) == 0 {
        let out = match rng.u8(..4) {
            0 => rng.u32(..),
            1 => u32::MAX - rng.u32(..32),
            _ => placed.output.offset + 16 * rng.u32(..2),
        };
        calls.push(call(export::INFO, vec![out]));
    }
    let at = match rng.u8(..32) {
        0 => address.wrapping_add(1 << rng.u32(..4)),
        1 => rng.u32(..),
        _ => address,
    };
    calls.push(call(subject.export(case.entry), vec![at]));
    let entry = calls.len() - 1;
    (calls, entry)
}
