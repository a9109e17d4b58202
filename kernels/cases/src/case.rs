//! A case: everything that is needed to run one kernel call and to judge what came back.

use crate::open;
use runtime_call::{Output, Tensors};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which entry of the kernel a case calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    /// The manifest's `entry_point`.
    Forward,
    /// `kernel_backward`.
    Backward,
}

/// Where a case comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A vector file: of the pack or of `--vectors DIR`.
    Vector,
    /// The edge-case table.
    Edge,
    /// Generated from the fixed seed.
    Generated,
    /// Generated from the run's own seed.
    Drawn,
    /// Many calls of one instance, drawn from the run's own seed.
    Sequence,
}

impl Source {
    /// The source in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Source::Vector => "vector",
            Source::Edge => "edge",
            Source::Generated => "generated",
            Source::Drawn => "drawn",
            Source::Sequence => "sequence",
        }
    }
}

/// A word of the descriptor, by its position in the struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are those of the ABI
pub enum Word {
    InputAOffset,
    InputASize,
    InputBOffset,
    InputBSize,
    OutputOffset,
    OutputSize,
    ScratchOffset,
    ScratchSize,
    ParamsOffset,
    ParamsSize,
}

/// A change to the descriptor after the host has placed every region: how edge cases present wrong sizes,
/// misaligned, overlapping and wrapping regions. The data stay where they were placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tweak {
    /// Sets a word to a value.
    Set(Word, u32),
    /// Adds to a word, wrapping.
    Add(Word, i32),
    /// Sets a word to the placed value of another word plus an offset, wrapping.
    Copy(Word, Word, i32),
    /// Sets a word to the address `n` bytes before the end of linear memory (0: the end itself), wrapping.
    FromMemoryEnd(Word, u32),
    /// Sets a word to the address of the descriptor plus an offset, wrapping.
    Descriptor(Word, i32),
    /// Sets a word to `__heap_base - n`.
    BelowHeap(Word, u32),
    /// Sets a word to the last multiple of 16 below `__heap_base`.
    LastBelowHeap(Word),
}

/// What an outside oracle says about a case: bytes and how closely they bind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct External {
    /// Oracle name as in the vector file: `cr`, `onnx_ref`, `ort`, `gguf`, ...
    pub oracle: String,
    /// Expected output bytes.
    pub bytes: Vec<u8>,
    /// How closely they bind.
    pub binding: Binding,
    /// Per output element: the magnitude that absolute tolerances scale with, where the file gives one (`mag`).
    pub magnitude: Option<Vec<f64>>,
}

/// How closely an external expectation binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// Bit for bit, NaN as a class.
    Bits,
    /// Within the kernel's L5 tolerance.
    Tolerance,
    /// Informs only: a difference is recorded, never failed.
    Informs,
}

/// One call of one kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Kernel id, as in `kernel_core::KERNELS`.
    pub kernel: String,
    /// Entry to call.
    pub entry: Entry,
    /// Where the case comes from.
    pub source: Source,
    /// Unique among the cases of this kernel and source: `edge:odd-head-dim`, `generated:17`, `vector:3x96`.
    pub name: String,
    /// The parameter struct's bytes; also of a wrong length or with wrong values.
    pub params: Vec<u8>,
    /// Input a.
    pub a: Vec<u8>,
    /// Input b; empty means absent.
    pub b: Vec<u8>,
    /// Bytes of output.
    pub output_size: u32,
    /// What the output holds on entry (lora_apply: base); `None` for outputs that are written only, which are poisoned.
    pub base: Option<Vec<u8>>,
    /// Bytes of scratch; 0 means absent.
    pub scratch_size: u32,
    /// Changes to the descriptor.
    pub tweaks: Vec<Tweak>,
    /// The status that the contract asks for (`kernel_abi::Status`).
    pub expect: i32,
    /// What outside oracles say. Empty for edge and generated cases.
    pub external: Vec<External>,
    /// Whether the case is only about ending in time and staying finite where the contract says so (vector class
    /// `stress`), or only informs (`impl_defined`): L4 does not apply then.
    pub stress: bool,
    /// What the contract of a kernel that is none of this project's says of the call.
    #[serde(skip)]
    pub open: Option<Arc<open::Call>>,
}

impl Case {
    /// The tensors of the call, without the changes to its descriptor.
    pub fn tensors(&self) -> Tensors<'_> {
        Tensors {
            params: &self.params,
            a: &self.a,
            b: &self.b,
            output: match &self.base {
                Some(base) => Output::Updated(base),
                None => Output::Written(self.output_size),
            },
            scratch_size: self.scratch_size,
        }
    }

    /// Whether the contract asks the kernel to do its work, so that there is an output to judge.
    pub fn expects_output(&self) -> bool {
        self.expect == 0
    }
}
