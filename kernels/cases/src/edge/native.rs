//! Runs a case on the native kernels, for the tests of what makes cases. The changes to the descriptor are made here
//! from their description in `case.rs`, without the code that conformance runs use.

use super::super::case::{Case, Entry, Source, Tweak, Word};
use kernel_abi::{Descriptor, PAGE_BYTES, Region};
use runtime_call::{Arrangement, Fill, Frame};

/// Where the frame starts: like a module's, above its stack and aligned, so that what lies below it may be aligned as well.
const HEAP_BASE: u32 = 70_000;
const MAX_PAGES: u32 = 1024;
/// Bytes that no tensor has, but for those whose sizes wrap around.
const ROOM: u32 = 16_384;

/// What came of a case.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) output: Vec<u8>,
    /// A byte that changed although it must not have.
    pub(crate) violation: Option<String>,
}

/// Runs it.
pub(crate) fn run(case: &Case) -> Ran {
    let mut arrangement = Arrangement::ordinary(HEAP_BASE, Fill::FIRST);
    if case.source == Source::Edge && case.tweaks.iter().any(moves) {
        // A region that is moved over another one touches no third one.
        arrangement.gaps = [ROOM; 7];
    }
    let mut frame = Frame::arranged(&case.tensors(), MAX_PAGES, &arrangement).unwrap();
    let memory_bytes = u64::from(frame.pages()) * PAGE_BYTES;
    let at = frame.descriptor_address();
    let descriptor = changed((frame.placed(), at), &case.tweaks, memory_bytes);
    frame.set_descriptor(&descriptor);
    let frame = &frame;
    let mut memory = vec![0xD5; memory_bytes as usize];
    let within = frame.start() as usize..frame.end() as usize;
    memory[within.clone()].copy_from_slice(frame.image());
    let before = memory.clone();

    let kernel = kernel_core::kernel(&case.kernel).unwrap();
    let entry = match case.entry {
        Entry::Forward => kernel_core::Kernel::forward,
        Entry::Backward => kernel_core::Kernel::backward,
    };
    let status = entry(kernel, &mut memory, HEAP_BASE, frame.descriptor_address());
    let violation = frame.check(&memory[within.clone()], status.is_ok()).err();
    let outside = memory[..within.start] != before[..within.start]
        || memory[within.end..] != before[within.end..];
    Ran {
        status: status.0,
        output: frame.output(&memory[within]).to_vec(),
        violation: violation
            .map(|violation| violation.to_string())
            .or(outside.then(|| "memory around the frame changed".to_owned())),
    }
}

fn moves(tweak: &Tweak) -> bool {
    matches!(tweak, Tweak::Copy(..) | Tweak::Descriptor(..))
}

fn changed((placed, at): (&Descriptor, u32), tweaks: &[Tweak], memory_bytes: u64) -> Descriptor {
    let mut words = words(placed);
    for tweak in tweaks {
        let (word, value) = match *tweak {
            Tweak::Set(word, value) => (word, i64::from(value)),
            Tweak::Add(word, by) => (word, i64::from(words[word as usize]) + i64::from(by)),
            Tweak::Copy(word, from, by) => {
                let placed = self::words(placed)[from as usize];
                (word, i64::from(placed) + i64::from(by))
            }
            Tweak::FromMemoryEnd(word, before) => (word, memory_bytes as i64 - i64::from(before)),
            Tweak::Descriptor(word, by) => (word, i64::from(at) + i64::from(by)),
            Tweak::LastBelowHeap(word) => (word, i64::from(HEAP_BASE) - 16),
            Tweak::BelowHeap(word, below) => (word, i64::from(HEAP_BASE) - i64::from(below)),
        };
        words[word as usize] = value as u32; // wraps
    }
    let region = |at: Word| Region::new(words[at as usize], words[at as usize + 1]);
    Descriptor {
        input_a: region(Word::InputAOffset),
        input_b: region(Word::InputBOffset),
        output: region(Word::OutputOffset),
        scratch: region(Word::ScratchOffset),
        params: region(Word::ParamsOffset),
    }
}

fn words(descriptor: &Descriptor) -> [u32; 10] {
    let mut words = [0; 10];
    for (pair, region) in words.chunks_exact_mut(2).zip(descriptor.regions()) {
        pair.copy_from_slice(&[region.offset, region.size]);
    }
    words
}
