//! What is judged: one module of one kernel, and its cases placed in memory, with the native result beside each.

use super::{
    placement::{self, Place},
    standard::Standard,
};
use crate::coverage::Flags;
use kernel_abi::{Descriptor, PAGE_BYTES, export};
use kernel_cases::{
    case::{Case, Entry, Tweak, Word},
    truth,
};
use kernel_core::Kernel;
use kernel_pack::State;
use runtime_call::{Form, Frame, PlaceError};
use std::{collections::BTreeSet, sync::Arc};

/// One module of one kernel: the base module or a variant.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Kernel id.
    pub kernel: String,
    /// The id that the module states: another one where it stands in for the kernel.
    pub named: String,
    /// `base`, the variant's features joined with `+`, or `fallback:` and the kernel that stands in.
    pub variant: String,
    /// Features that an engine must have to run it; empty for the base module.
    pub features: Vec<String>,
    /// The verified module.
    pub wasm: Vec<u8>,
    /// The manifest's entry point.
    pub entry_point: String,
    /// The module's `__heap_base`.
    pub heap_base: u32,
    /// Pages the module starts with.
    pub minimum_pages: u32,
    /// The manifest's limit.
    pub max_pages: u32,
    /// The manifest's table limit.
    pub max_table_elements: u32,
    /// Bytes of call stack.
    pub max_stack_bytes: u32,
    /// The manifest's budget of a call, in ticks.
    pub ticks: u64,
    /// The manifest's budget of a call in fuel, if it states one.
    pub fuel: Option<u64>,
    /// Whether the module exports `kernel_backward`.
    pub has_backward: bool,
    /// Native code to be loaded in the place of compiling the module.
    pub code: Option<Arc<[u8]>>,
    /// What it is judged by.
    pub standard: Arc<Standard>,
    /// State outside of memory that the module may have.
    pub state: BTreeSet<State>,
    /// How the module tells which blocks ran, where it was rewritten to keep that.
    pub flags: Option<Flags>,
}

impl Subject {
    /// Which module it is, for people.
    pub fn name(&self) -> String {
        match self.variant.as_str() {
            "base" => self.kernel.clone(),
            variant => format!("{} ({variant})", self.kernel),
        }
    }

    /// The export that a case calls.
    pub fn export(&self, entry: Entry) -> &str {
        match entry {
            Entry::Forward => &self.entry_point,
            Entry::Backward => export::BACKWARD,
        }
    }

    /// A descriptor at an address with the changes of a case, in a memory of so many bytes.
    pub fn tweaked(
        &self,
        (placed, address): (&Descriptor, u32),
        tweaks: &[Tweak],
        memory_bytes: u64,
    ) -> Descriptor {
        tweaked((placed, address), tweaks, self.heap_base, memory_bytes)
    }
}

/// A case placed for a subject.
#[derive(Debug)]
pub struct Prepared {
    /// The case.
    pub case: Case,
    /// Its frame, where ordinary calls have it.
    pub first: Placed,
    /// Where its second run has it: nothing may depend on that.
    pub second: Place,
    /// The same source compiled natively, on the first frame; `None` for a module of another source.
    pub native: Option<Native>,
    /// Layer L4 of the native output.
    pub native_truth: Option<truth::Verdict>,
}

impl Prepared {
    /// The native build's output; none where there is no native build.
    pub fn native_output(&self) -> &[u8] {
        let native = self.native.as_ref();
        native.map_or(&[], |native| &native.output)
    }
}

/// A frame, and what is known of the memory around it.
#[derive(Debug)]
pub struct Placed {
    /// Regions and guard bands.
    pub frame: Frame,
    /// Pages of memory for the call.
    pub pages: u32,
    /// Between the heap base and the frame.
    pub head: Around,
    /// Between the frame's end and the memory's end.
    pub tail: Around,
}

/// Memory beside a frame, all of one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// First address; means nothing where there are no bytes.
    pub at: u32,
    /// Bytes.
    pub length: u32,
    /// Each of them before the call.
    pub byte: u8,
}

impl Around {
    fn new(from: u64, to: u64, byte: u8) -> Self {
        // Memory has at most 2^32 bytes, and a frame takes some of them.
        let length = to.saturating_sub(from) as u32;
        Self {
            at: from as u32,
            length,
            byte,
        }
    }

    /// A digest of them before the call.
    pub fn digest(&self, form: Form) -> Vec<u8> {
        placement::digest_of(form, self.byte, self.length)
    }
}

/// What the native build of the kernel did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// Its status.
    pub status: i32,
    /// The output region after the call.
    pub output: Vec<u8>,
}

/// Places a case for a subject, and runs it natively where it is of this project's source; what is drawn follows from `seed`.
///
/// # Errors
/// If the case does not fit the memory that the manifest allows.
pub fn prepare(case: Case, subject: &Subject, seed: u64) -> Result<Prepared, PlaceError> {
    let first = place(&case, subject, &Place::ordinary(&case, subject))?;
    let second = Place::drawn(&case, subject, seed);
    let native = subject.standard.native();
    let native = native.map(|kernel| run_natively(&case, &first, subject, kernel));
    let native_truth = native
        .as_ref()
        .filter(|native| case.expects_output() && native.status == 0)
        .map(|native| truth::judge(&case, &native.output));
    Ok(Prepared {
        case,
        first,
        second,
        native,
        native_truth,
    })
}

/// Places a case, with the changes to its descriptor.
///
/// # Errors
/// If the case does not fit the memory that the manifest allows.
pub fn place(case: &Case, subject: &Subject, place: &Place) -> Result<Placed, PlaceError> {
    let arrangement = &place.arrangement;
    let mut frame = Frame::arranged(&case.tensors(), subject.max_pages, arrangement)?;
    let pages = frame.pages().max(place.pages).max(subject.minimum_pages);
    let memory_bytes = u64::from(pages) * PAGE_BYTES;
    let descriptor = subject.tweaked(
        (frame.placed(), frame.descriptor_address()),
        &case.tweaks,
        memory_bytes,
    );
    frame.set_descriptor(&descriptor);
    let around = arrangement.around;
    Ok(Placed {
        head: Around::new(subject.heap_base.into(), frame.start().into(), around),
        tail: Around::new(frame.end(), memory_bytes, around),
        frame,
        pages,
    })
}

fn tweaked(
    (placed, address): (&Descriptor, u32),
    tweaks: &[Tweak],
    heap_base: u32,
    memory_bytes: u64,
) -> Descriptor {
    let mut descriptor = *placed;
    for tweak in tweaks {
        let (word, value) = match *tweak {
            Tweak::Set(word, value) => (word, value),
            Tweak::Add(word, by) => (word, word_of(&descriptor, word).wrapping_add_signed(by)),
            Tweak::Copy(word, from, by) => (word, word_of(placed, from).wrapping_add_signed(by)),
            // A memory of 4 GiB ends at address 0.
            Tweak::FromMemoryEnd(word, before) => {
                (word, (memory_bytes as u32).wrapping_sub(before))
            }
            Tweak::Descriptor(word, by) => (word, address.wrapping_add_signed(by)),
            Tweak::BelowHeap(word, below) => (word, heap_base.wrapping_sub(below)),
            Tweak::LastBelowHeap(word) => (word, heap_base.saturating_sub(1) / 16 * 16),
        };
        *word_mut(&mut descriptor, word) = value;
    }
    descriptor
}

fn word_of(descriptor: &Descriptor, word: Word) -> u32 {
    let mut copy = *descriptor;
    *word_mut(&mut copy, word)
}

fn word_mut(descriptor: &mut Descriptor, word: Word) -> &mut u32 {
    match word {
        Word::InputAOffset => &mut descriptor.input_a.offset,
        Word::InputASize => &mut descriptor.input_a.size,
        Word::InputBOffset => &mut descriptor.input_b.offset,
        Word::InputBSize => &mut descriptor.input_b.size,
        Word::OutputOffset => &mut descriptor.output.offset,
        Word::OutputSize => &mut descriptor.output.size,
        Word::ScratchOffset => &mut descriptor.scratch.offset,
        Word::ScratchSize => &mut descriptor.scratch.size,
        Word::ParamsOffset => &mut descriptor.params.offset,
        Word::ParamsSize => &mut descriptor.params.size,
    }
}

/// Runs a kernel of this project natively on a placed case.
pub fn run_natively(case: &Case, placed: &Placed, subject: &Subject, kernel: &Kernel) -> Native {
    let frame = &placed.frame;
    let mut memory = vec![0; (u64::from(placed.pages) * PAGE_BYTES) as usize];
    let within = frame.start() as usize..frame.end() as usize;
    memory[within.clone()].copy_from_slice(frame.image());
    let address = frame.descriptor_address();
    let status = match case.entry {
        Entry::Forward => kernel.forward(&mut memory, subject.heap_base, address),
        Entry::Backward => kernel.backward(&mut memory, subject.heap_base, address),
    };
    Native {
        status: status.0,
        output: frame.output(&memory[within]).to_vec(),
    }
}
