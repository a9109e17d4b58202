//! What is judged: one module of one kernel, and its cases placed in memory, with the native result beside each.

use crate::coverage::Flags;
use kernel_abi::{Descriptor, PAGE_BYTES, export};
use kernel_cases::{
    case::{Case, Entry, Tweak, Word},
    truth,
};
use kernel_core::Kernel;
use kernel_pack::State;
use runtime_host::{Fill, Frame, Output, PlaceError, Tensors};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, sync::Arc};

/// One module of one kernel: the base module or a variant.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Kernel id.
    pub kernel: String,
    /// `base`, or the variant's features joined with `+`.
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
    /// State outside of memory that the module may have.
    pub state: BTreeSet<State>,
    /// How the module tells which blocks ran, where it was rewritten to keep that.
    pub flags: Option<Flags>,
}

impl Subject {
    /// The export that a case calls.
    pub fn export(&self, entry: Entry) -> &str {
        match entry {
            Entry::Forward => &self.entry_point,
            Entry::Backward => export::BACKWARD,
        }
    }

    /// A descriptor with the changes of a case, in a memory of so many bytes.
    pub fn tweaked(&self, placed: &Descriptor, tweaks: &[Tweak], memory_bytes: u64) -> Descriptor {
        tweaked(placed, tweaks, self.heap_base, memory_bytes)
    }
}

/// A case placed for a subject.
#[derive(Debug)]
pub struct Prepared {
    /// The case.
    pub case: Case,
    /// Its frame.
    pub first: Placed,
    /// The same with another fill: the output must not depend on it.
    pub second: Placed,
    /// The same with every NaN of the inputs in another encoding, if there is one: the output must not depend on it.
    pub other_nans: Option<Placed>,
    /// The same source compiled natively, on the first frame.
    pub native: Native,
    /// Layer L4 of the native output.
    pub native_truth: Option<truth::Verdict>,
}

/// A frame, and what is known of the memory around it.
#[derive(Debug)]
pub struct Placed {
    /// Regions and guard bands.
    pub frame: Frame,
    /// Pages of memory for the call.
    pub pages: u32,
    /// Bytes between the frame's end and the memory's end.
    pub tail: u32,
    /// SHA-256 of the tail before the call.
    pub tail_digest: [u8; 32],
}

/// What the native build of the kernel did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// Its status.
    pub status: i32,
    /// The output region after the call.
    pub output: Vec<u8>,
}

/// Places a case for a subject and runs it natively.
///
/// # Errors
/// If the case does not fit the memory that the manifest allows.
pub fn prepare(case: Case, subject: &Subject, kernel: &Kernel) -> Result<Prepared, PlaceError> {
    let first = place(&case, subject, Fill::FIRST)?;
    let second = place(&case, subject, Fill::SECOND)?;
    let other_nans = truth::flip_nans(&case)
        .map(|case| place(&case, subject, Fill::FIRST))
        .transpose()?;
    let native = run_natively(&case, &first, subject, kernel);
    let native_truth =
        (case.expects_output() && native.status == 0).then(|| truth::judge(&case, &native.output));
    Ok(Prepared {
        case,
        first,
        second,
        other_nans,
        native,
        native_truth,
    })
}

fn place(case: &Case, subject: &Subject, fill: Fill) -> Result<Placed, PlaceError> {
    let tensors = Tensors {
        params: &case.params,
        a: &case.a,
        b: &case.b,
        output: match &case.base {
            Some(base) => Output::Updated(base),
            None => Output::Written(case.output_size),
        },
        scratch_size: case.scratch_size,
    };
    let mut frame = Frame::place(&tensors, subject.heap_base, subject.max_pages, fill)?;
    let pages = frame.pages().max(subject.minimum_pages);
    let memory_bytes = u64::from(pages) * PAGE_BYTES;
    let descriptor = subject.tweaked(frame.placed(), &case.tweaks, memory_bytes);
    frame.set_descriptor(&descriptor);
    // Below 2^32: the frame has at least 64 bytes.
    let tail = (memory_bytes - frame.end()) as u32;
    let mut hasher = Sha256::new();
    hasher.update(vec![fill.tail; tail as usize]);
    Ok(Placed {
        frame,
        pages,
        tail,
        tail_digest: hasher.finalize().into(),
    })
}

fn tweaked(placed: &Descriptor, tweaks: &[Tweak], heap_base: u32, memory_bytes: u64) -> Descriptor {
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
            Tweak::BelowHeap(word, below) => (word, heap_base.wrapping_sub(below)),
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

fn run_natively(case: &Case, placed: &Placed, subject: &Subject, kernel: &Kernel) -> Native {
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
