//! From a draft to a case.

use super::{
    super::case::{Case, Entry, Source, Tweak, Word},
    draft::{Angles, Draft, Family, Format, Mistake, RopeTensor},
    values::Float,
};
use kernel_abi::{
    Status,
    block::{ELEMENTS, Q8_BYTES},
    params::{Kv, Lora, RmsNorm, Rope, Swiglu},
};

/// A call that the kernel takes.
struct Call {
    entry: Entry,
    params: Vec<u8>,
    /// Where in params a dimension stands that may not be 0.
    dimension_at: usize,
    a: Vec<u8>,
    b: Vec<u8>,
    output_size: usize,
    base: Option<Vec<u8>>,
    /// Bytes of scratch that the kernel needs.
    scratch: u32,
    /// Bytes of scratch that it has.
    scratch_size: u32,
    /// Bytes of an element of a and of the output.
    element: i32,
}

/// The case of a draft.
pub(super) fn case(kernel: &str, family: Family, index: u32, draft: &Draft) -> Case {
    let mut call = match family {
        Family::Rope(tensor) => rope(draft, tensor),
        Family::RmsNorm(float) => rmsnorm(draft, float),
        Family::Swiglu(float) => swiglu(draft, float),
        Family::Pack(format) => pack(draft, format),
        Family::Unpack(format) => unpack(draft, format),
        Family::Lora(float) => lora(draft, float),
    };
    let (tweak, status) = mistake(draft.mistake, &mut call);
    Case {
        kernel: kernel.to_owned(),
        entry: call.entry,
        source: Source::Generated,
        name: format!("generated:{index}"),
        params: call.params,
        a: call.a,
        b: call.b,
        output_size: call.output_size as u32,
        base: call.base,
        scratch_size: call.scratch_size,
        tweaks: tweak.into_iter().collect(),
        expect: status.0,
        external: Vec::new(),
        stress: false,
        open: None,
    }
}

/// Makes the mistake, or says by which change to the descriptor it is made, and with the status that it must give.
fn mistake(mistake: Mistake, call: &mut Call) -> (Option<Tweak>, Status) {
    let element = call.element;
    let (tweak, status) = match mistake {
        Mistake::None => return (None, Status::OK),
        Mistake::ShortA => (
            Tweak::Add(Word::InputASize, -element),
            Status::INVALID_INPUT,
        ),
        Mistake::LongA => (Tweak::Add(Word::InputASize, element), Status::INVALID_INPUT),
        // Longer and never shorter: without any angles rope would compute them. An absent b becomes one below the heap.
        Mistake::LongB => (Tweak::Add(Word::InputBSize, 4), Status::INVALID_INPUT),
        Mistake::ShortOutput => (
            Tweak::Add(Word::OutputSize, -element),
            Status::INVALID_OUTPUT,
        ),
        Mistake::SmallScratch if call.scratch > 0 => {
            call.scratch_size = call.scratch - 1;
            return (None, Status::OUT_OF_MEMORY);
        }
        Mistake::LongOutput | Mistake::SmallScratch => (
            Tweak::Add(Word::OutputSize, element),
            Status::INVALID_OUTPUT,
        ),
        Mistake::ShortParams => (Tweak::Add(Word::ParamsSize, -1), Status::INVALID_PARAMS),
        Mistake::LongParams => (Tweak::Add(Word::ParamsSize, 1), Status::INVALID_PARAMS),
        Mistake::ZeroDimension => {
            call.params[call.dimension_at..][..4].fill(0);
            return (None, Status::INVALID_PARAMS);
        }
        Mistake::MisalignedA => (Tweak::Add(Word::InputAOffset, 8), Status::INVALID_INPUT),
        Mistake::MisalignedOutput => (Tweak::Add(Word::OutputOffset, 4), Status::INVALID_INPUT),
        Mistake::MisalignedParams => (Tweak::Add(Word::ParamsOffset, 8), Status::INVALID_INPUT),
        Mistake::OutputOverA => (
            Tweak::Copy(Word::OutputOffset, Word::InputAOffset, 0),
            Status::INVALID_INPUT,
        ),
        Mistake::OutputBehindMemory => (
            Tweak::FromMemoryEnd(Word::OutputOffset, 0),
            Status::INVALID_INPUT,
        ),
    };
    (Some(tweak), status)
}

fn rope(draft: &Draft, tensor: RopeTensor) -> Call {
    let [batch, seq, heads, units] = draft.dimensions;
    let head_dim = match tensor {
        RopeTensor::Float(_) => units * 2,
        RopeTensor::Q8 => units * ELEMENTS as u32,
    };
    let seq = draft.at_most(seq, batch * heads * head_dim);
    let values = (batch * seq * heads * head_dim) as usize;
    let pairs = (head_dim / 2) as usize;
    let [x, angles, ..] = draft.tensors;
    let (a, element) = match tensor {
        RopeTensor::Float(float) => (x.bytes(float, values), float.size()),
        RopeTensor::Q8 => (x.blocks(values / ELEMENTS, ELEMENTS), Q8_BYTES),
    };
    let takes_half_tables = tensor == RopeTensor::Float(Float::F16);
    let table_entries = seq as usize * pairs;
    let (table, b) = match draft.angles {
        Angles::Computed => (0, Vec::new()),
        Angles::Given => (0, angles.angles(seq as usize, pairs)),
        Angles::HalfTables if takes_half_tables => (2, angles.tables(Float::F16, table_entries)),
        Angles::Tables | Angles::HalfTables => (1, angles.tables(Float::F32, table_entries)),
    };
    let mut params = Rope {
        theta: draft.scalar,
        seq,
        head_dim,
        heads,
        batch,
        layout: draft.layout,
        table,
    }
    .to_le_bytes()
    .to_vec();
    // The optional fields may be left out where they are 0.
    match (draft.layout, table) {
        (0, 0) => params.truncate(20),
        (1, 0) => params.truncate(24),
        _ => {}
    }
    Call {
        params,
        dimension_at: 4,
        b,
        ..elementwise(draft, a, element)
    }
}

fn rmsnorm(draft: &Draft, float: Float) -> Call {
    let [rows, hidden, ..] = draft.dimensions;
    let rows = draft.at_most(rows, hidden);
    let count = (rows * hidden) as usize;
    let eps = draft.scalar;
    let params = RmsNorm { eps, hidden, rows }.to_le_bytes().to_vec();
    let [x, weight, dy, _] = draft.tensors;
    let x = x.bytes(float, count);
    let weight = weight.bytes(float, hidden as usize);
    let call = if draft.backward {
        let output_size = x.len() + weight.len();
        Call {
            entry: Entry::Backward,
            output_size,
            scratch: hidden * 4,
            ..elementwise(draft, [dy.bytes(float, count), x].concat(), float.size())
        }
    } else {
        let call = elementwise(draft, x, float.size());
        // Scratch is optional: none, too little for all rows, or enough.
        let scratch_size = match call.scratch_size {
            0 => 0,
            1 => rows * 4 - 1,
            more => rows * 4 + more,
        };
        Call {
            scratch_size,
            ..call
        }
    };
    Call {
        params,
        dimension_at: 4,
        b: weight,
        scratch_size: call.scratch_size + call.scratch,
        ..call
    }
}

fn swiglu(draft: &Draft, float: Float) -> Call {
    let [rows, hidden, ..] = draft.dimensions;
    let rows = draft.at_most(rows, hidden);
    let count = (rows * hidden) as usize;
    let beta = draft.scalar;
    let [x, gate, dy, _] = draft.tensors;
    let x = x.bytes(float, count);
    let (entry, a) = if draft.backward {
        (Entry::Backward, [dy.bytes(float, count), x].concat())
    } else {
        (Entry::Forward, x)
    };
    Call {
        entry,
        params: Swiglu { rows, hidden, beta }.to_le_bytes().to_vec(),
        b: gate.bytes(float, count),
        ..elementwise(draft, a, float.size())
    }
}

fn pack(draft: &Draft, format: Format) -> Call {
    let (rows, blocks) = kv(draft);
    let count = (rows * blocks) as usize;
    let [x, ..] = draft.tensors;
    Call {
        output_size: count * (2 + format.code_bytes),
        ..packed(
            draft,
            (rows, blocks),
            x.quantised(count * ELEMENTS, format.largest),
        )
    }
}

fn unpack(draft: &Draft, format: Format) -> Call {
    let (rows, blocks) = kv(draft);
    let count = (rows * blocks) as usize;
    let [scales, ..] = draft.tensors;
    Call {
        output_size: count * ELEMENTS * 4,
        ..packed(
            draft,
            (rows, blocks),
            scales.blocks(count, format.code_bytes),
        )
    }
}

/// Rows, and blocks of a row.
fn kv(draft: &Draft) -> (u32, u32) {
    let [rows, blocks, ..] = draft.dimensions;
    (draft.at_most(rows, blocks * ELEMENTS as u32), blocks)
}

fn packed(draft: &Draft, (rows, blocks): (u32, u32), a: Vec<u8>) -> Call {
    let dim = blocks * ELEMENTS as u32;
    Call {
        params: Kv { rows, dim }.to_le_bytes().to_vec(),
        dimension_at: 4,
        ..elementwise(draft, a, 4)
    }
}

fn lora(draft: &Draft, float: Float) -> Call {
    let [rows, input, rank, output] = draft.dimensions;
    let widest = input.max(output);
    let rows = draft.at_most(rows, widest);
    let rank = draft.at_most(rank, widest);
    let params = Lora {
        rows,
        in_features: input,
        rank,
        out_features: output,
        scale: draft.scalar,
    };
    let [rows, input, rank, output] = [rows, input, rank, output].map(|size| size as usize);
    let [x, a, b, y] = draft.tensors;
    let x = x.bytes(float, rows * input);
    // The base, or dy.
    let y = y.bytes(float, rows * output);
    let adapter = [a.bytes(float, input * rank), b.bytes(float, rank * output)].concat();
    let intermediate = (rows * rank * 4) as u32;
    let call = if draft.backward {
        Call {
            entry: Entry::Backward,
            output_size: x.len() + adapter.len(),
            scratch: 2 * intermediate,
            ..elementwise(draft, [y, x].concat(), float.size())
        }
    } else {
        Call {
            output_size: y.len(),
            base: Some(y),
            scratch: intermediate,
            ..elementwise(draft, x, float.size())
        }
    };
    Call {
        params: params.to_le_bytes().to_vec(),
        dimension_at: 8,
        b: adapter,
        scratch_size: call.scratch_size + call.scratch,
        ..call
    }
}

/// A forward call without parameters and input b, whose output is as large as a, and with the scratch that nobody needs.
fn elementwise(draft: &Draft, a: Vec<u8>, element: usize) -> Call {
    Call {
        entry: Entry::Forward,
        params: Vec::new(),
        dimension_at: 0,
        output_size: a.len(),
        a,
        b: Vec::new(),
        base: None,
        scratch: 0,
        scratch_size: draft.more_scratch,
        element: element as i32,
    }
}
