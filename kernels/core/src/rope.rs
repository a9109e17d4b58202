use kernel_abi::{
    Descriptor,
    block::{ELEMENTS, Q8_BYTES},
    params::Rope,
};

use crate::{
    block,
    check::{Definition, Sizes, bytes, sum},
    element::{Element, F16, F32},
    memory::Regions,
    slice::{rows, rows_mut, span, span_mut, split, split_mut},
};

/// rope_f32: rotary position embedding.
#[derive(Debug)]
pub struct RopeF32;

/// rope_f16: rotary position embedding, rotated in f32 and rounded once.
#[derive(Debug)]
pub struct RopeF16;

/// rope_q8: rotary position embedding of Q8_0 blocks: dequantised, rotated in f32 and quantised again.
#[derive(Debug)]
pub struct RopeQ8;

/// Pairs that are rotated together: their sines and cosines are computed once for all batches and heads of a position.
const PAIRS: usize = 64;

/// Interleaved pairs (2i, 2i + 1).
const LAYOUT_INTERLEAVED: u32 = 0;
/// Pairs (i, i + head_dim / 2).
const LAYOUT_HALVES: u32 = 1;

/// Input b holds angles, or is absent.
const TABLE_NONE: u32 = 0;
/// Input b holds cosines, then sines, in f32.
const TABLE_F32: u32 = 1;
/// Input b holds cosines, then sines, in f16.
const TABLE_F16: u32 = 2;

/// Sizes in bytes of the parameter struct, with none, one and both of the optional fields.
const PARAMS_SIZES: &[u32] = &[20, 24, Rope::SIZE as u32];

impl Definition for RopeF32 {
    type Params = Rope;
    const ID: &'static str = "rope_f32";
    const PARAMS_SIZES: &'static [u32] = PARAMS_SIZES;

    fn decode(bytes: &[u8]) -> Option<Rope> {
        Rope::from_le_bytes(bytes)
    }

    fn accepts(params: &Rope) -> bool {
        accepts(params) && params.table <= TABLE_F32
    }

    fn accepts_call(params: &Rope, descriptor: &Descriptor) -> bool {
        accepts_theta(params, descriptor)
    }

    fn sizes(params: &Rope, descriptor: &Descriptor) -> Sizes {
        rope_sizes(params, descriptor, rope_bytes::<F32>(params))
    }

    fn run(params: &Rope, regions: Regions<'_>) {
        rotate::<F32>(params, regions, sine_and_cosine);
    }
}

impl Definition for RopeF16 {
    type Params = Rope;
    const ID: &'static str = "rope_f16";
    const PARAMS_SIZES: &'static [u32] = PARAMS_SIZES;

    fn decode(bytes: &[u8]) -> Option<Rope> {
        Rope::from_le_bytes(bytes)
    }

    fn accepts(params: &Rope) -> bool {
        accepts(params) && params.table <= TABLE_F16
    }

    fn accepts_call(params: &Rope, descriptor: &Descriptor) -> bool {
        accepts_theta(params, descriptor)
    }

    fn sizes(params: &Rope, descriptor: &Descriptor) -> Sizes {
        rope_sizes(params, descriptor, rope_bytes::<F16>(params))
    }

    fn run(params: &Rope, regions: Regions<'_>) {
        rotate::<F16>(params, regions, sine_and_cosine);
    }
}

impl Definition for RopeQ8 {
    type Params = Rope;
    const ID: &'static str = "rope_q8";
    const PARAMS_SIZES: &'static [u32] = PARAMS_SIZES;

    fn decode(bytes: &[u8]) -> Option<Rope> {
        Rope::from_le_bytes(bytes)
    }

    fn accepts(params: &Rope) -> bool {
        accepts(params)
            && params.table <= TABLE_F32
            && params.head_dim.is_multiple_of(ELEMENTS as u32)
    }

    fn accepts_call(params: &Rope, descriptor: &Descriptor) -> bool {
        accepts_theta(params, descriptor)
    }

    fn sizes(params: &Rope, descriptor: &Descriptor) -> Sizes {
        let blocks = params.head_dim / ELEMENTS as u32;
        let tensor = bytes(
            &[blocks, params.heads, params.seq, params.batch],
            Q8_BYTES as u32,
        );
        rope_sizes(params, descriptor, tensor)
    }

    fn run(params: &Rope, regions: Regions<'_>) {
        rotate_q8(params, regions);
    }
}

/// Bytes of x\[batch, seq, heads, head_dim\].
fn rope_bytes<E: Element>(params: &Rope) -> Option<u32> {
    bytes(
        &[params.head_dim, params.heads, params.seq, params.batch],
        E::BYTES,
    )
}

/// The sizes of a call whose x has `tensor` bytes.
fn rope_sizes(params: &Rope, descriptor: &Descriptor, tensor: Option<u32>) -> Sizes {
    let table = |element_bytes| bytes(&[params.head_dim / 2, params.seq], element_bytes);
    let input_b = match params.table {
        TABLE_NONE if descriptor.input_b.size == 0 => Some(0),
        TABLE_NONE => table(F32::BYTES),
        TABLE_F32 => sum(&[table(F32::BYTES), table(F32::BYTES)]),
        _ => sum(&[table(F16::BYTES), table(F16::BYTES)]),
    };
    Sizes {
        input_a: tensor,
        input_b,
        output: tensor,
        scratch: Some(0),
    }
}

/// Rotates all pairs. `sine_and_cosine` gives both for an angle in radians.
pub fn rotate<E: Element>(
    params: &Rope,
    regions: Regions<'_>,
    sine_and_cosine: impl Fn(f64) -> (f32, f32),
) {
    let angles = Angles::new(params, regions.input_b);
    let [head_dim, heads, seq] = [params.head_dim, params.heads, params.seq].map(|n| n as usize);
    let half = head_dim / 2;
    let input = E::view(regions.input_a);
    let output = E::view_mut(regions.output);

    let mut turns = Turns::<PAIRS>::new();
    for first in (0..half).step_by(PAIRS) {
        let count = PAIRS.min(half - first);
        turns.start(&angles, first as u32..(first + count) as u32);
        for position in 0..seq {
            turns.turn_to(&angles, position as u32, &sine_and_cosine);
            let (cosines, sines) = turns.values();
            let batches = rows(input, heads * head_dim).zip(rows_mut(output, heads * head_dim));
            for (x, y) in batches.skip(position).step_by(seq.max(1)) {
                for (x, y) in rows(x, head_dim).zip(rows_mut(y, head_dim)) {
                    if params.layout == LAYOUT_INTERLEAVED {
                        rotate_interleaved(
                            span(x, 2 * first, 2 * count),
                            span_mut(y, 2 * first, 2 * count),
                            cosines,
                            sines,
                        );
                    } else {
                        let (low, high) = split(x, half);
                        let (low_output, high_output) = split_mut(y, half);
                        rotate_halves(
                            (span(low, first, count), span(high, first, count)),
                            (
                                span_mut(low_output, first, count),
                                span_mut(high_output, first, count),
                            ),
                            cosines,
                            sines,
                        );
                    }
                }
            }
        }
    }
}

fn rotate_interleaved<E: Element>(x: &[E], y: &mut [E], cosines: &[f32], sines: &[f32]) {
    let (pairs, _) = x.as_chunks::<2>();
    let (rotated, _) = y.as_chunks_mut::<2>();
    for (((pair, rotated), &cosine), &sine) in pairs.iter().zip(rotated).zip(cosines).zip(sines) {
        let [x0, x1] = pair.map(Element::load);
        *rotated = [x0 * cosine - x1 * sine, x0 * sine + x1 * cosine].map(Element::store);
    }
}

fn rotate_halves<E: Element>(
    (low, high): (&[E], &[E]),
    (low_output, high_output): (&mut [E], &mut [E]),
    cosines: &[f32],
    sines: &[f32],
) {
    let turns = cosines.iter().zip(sines);
    let outputs = low_output.iter_mut().zip(high_output);
    for (((x0, x1), (y0, y1)), (&cosine, &sine)) in low.iter().zip(high).zip(outputs).zip(turns) {
        let (x0, x1) = (x0.load(), x1.load());
        *y0 = E::store(x0 * cosine - x1 * sine);
        *y1 = E::store(x0 * sine + x1 * cosine);
    }
}

/// Rotates blocks. With layout 1 the partner of an element is in another block, or in the same one if head_dim is 32 or
/// a block crosses the middle; so each output block gathers the two elements that each of its own comes from.
fn rotate_q8(params: &Rope, regions: Regions<'_>) {
    let angles = Angles::new(params, regions.input_b);
    let [head_dim, heads, seq] = [params.head_dim, params.heads, params.seq].map(|n| n as usize);
    let half = head_dim / 2;
    let blocks = head_dim / ELEMENTS;
    let (input, _) = regions.input_a.as_chunks::<Q8_BYTES>();
    let (output, _) = regions.output.as_chunks_mut::<Q8_BYTES>();

    let mut turns = Turns::<ELEMENTS>::new();
    for block in 0..blocks {
        let elements = block * ELEMENTS..(block + 1) * ELEMENTS;
        let pair = |element: usize| match params.layout {
            LAYOUT_INTERLEAVED => element / 2,
            _ if element < half => element,
            _ => element - half,
        };
        turns.start(&angles, elements.clone().map(|e| pair(e) as u32));
        for position in 0..seq {
            turns.turn_to(&angles, position as u32, sine_and_cosine);
            let (cosines, sines) = turns.values();
            let batches = rows(input, heads * blocks).zip(rows_mut(output, heads * blocks));
            for (x, y) in batches.skip(position).step_by(seq.max(1)) {
                for (x, y) in rows(x, blocks).zip(rows_mut(y, blocks)) {
                    let (Some(source), Some(target)) = (x.get(block), y.get_mut(block)) else {
                        continue;
                    };
                    let mut values = block::unpack_q8(source);
                    let turns = cosines.iter().zip(sines);
                    if params.layout == LAYOUT_INTERLEAVED {
                        let (pairs, _) = values.as_chunks_mut::<2>();
                        for ([x0, x1], (cosine, sine)) in pairs.iter_mut().zip(turns.step_by(2)) {
                            (*x0, *x1) = (*x0 * cosine - *x1 * sine, *x0 * sine + *x1 * cosine);
                        }
                    } else {
                        let values = values.iter_mut().zip(elements.clone());
                        for ((value, element), (cosine, sine)) in values.zip(turns) {
                            *value = if element < half {
                                *value * cosine - element_of(x, element + half) * sine
                            } else {
                                element_of(x, element - half) * sine + *value * cosine
                            };
                        }
                    }
                    block::pack_q8(&values, target);
                }
            }
        }
    }
}

/// One dequantised element of a row of Q8_0 blocks.
fn element_of(blocks: &[[u8; Q8_BYTES]], index: usize) -> f32 {
    blocks
        .get(index / ELEMENTS)
        .map_or(0.0, |[low, high, codes @ ..]| {
            f32::from(codes[index % ELEMENTS] as i8) * [*low, *high].load()
        })
}

/// Sine and cosine, taken in f64 and rounded once. Argument reduction has a fixed bound for every angle.
fn sine_and_cosine(angle: f64) -> (f32, f32) {
    let (sine, cosine) = libm::sincos(angle);
    (sine as f32, cosine as f32)
}

fn accepts(params: &Rope) -> bool {
    params.seq != 0
        && params.head_dim != 0
        && params.heads != 0
        && params.batch != 0
        && params.head_dim.is_multiple_of(2)
        && params.layout <= LAYOUT_HALVES
}

/// Theta counts only where the kernel computes the angles itself.
fn accepts_theta(params: &Rope, descriptor: &Descriptor) -> bool {
    params.table != TABLE_NONE
        || descriptor.input_b.size != 0
        || (params.theta.is_finite() && params.theta > 0.0)
}

/// Where the angles come from; tables are \[seq, pairs\].
enum Angles<'a> {
    Computed {
        ln_theta: f64,
        head_dim: f64,
    },
    Given {
        angles: &'a [F32],
        pairs: usize,
    },
    TablesF32 {
        cosines: &'a [F32],
        sines: &'a [F32],
        pairs: usize,
    },
    TablesF16 {
        cosines: &'a [F16],
        sines: &'a [F16],
        pairs: usize,
    },
}

impl<'a> Angles<'a> {
    fn new(params: &Rope, input_b: &'a [u8]) -> Self {
        let pairs = (params.head_dim / 2) as usize;
        let (cosines, sines) = split(input_b, input_b.len() / 2);
        match params.table {
            TABLE_NONE if input_b.is_empty() => Self::Computed {
                ln_theta: libm::log(f64::from(params.theta)),
                head_dim: f64::from(params.head_dim),
            },
            TABLE_NONE => Self::Given {
                angles: F32::view(input_b),
                pairs,
            },
            TABLE_F32 => Self::TablesF32 {
                cosines: F32::view(cosines),
                sines: F32::view(sines),
                pairs,
            },
            _ => Self::TablesF16 {
                cosines: F16::view(cosines),
                sines: F16::view(sines),
                pairs,
            },
        }
    }
}

/// Sines and cosines of up to N pairs at one position.
struct Turns<const N: usize> {
    count: usize,
    pairs: [u32; N],
    /// Angle per position, in radians; used where the kernel computes the angles.
    frequencies: [f64; N],
    cosines: [f32; N],
    sines: [f32; N],
}

impl<const N: usize> Turns<N> {
    fn new() -> Self {
        Self {
            count: 0,
            pairs: [0; N],
            frequencies: [0.0; N],
            cosines: [0.0; N],
            sines: [0.0; N],
        }
    }

    /// Chooses the pairs.
    fn start(&mut self, angles: &Angles<'_>, pairs: impl Iterator<Item = u32>) {
        self.count = 0;
        let places = self.pairs.iter_mut().zip(&mut self.frequencies);
        for ((place, frequency), pair) in places.zip(pairs) {
            *place = pair;
            if let Angles::Computed { ln_theta, head_dim } = angles {
                // theta^(-2 pair / head_dim)
                *frequency = libm::exp(ln_theta * (-2.0 * f64::from(pair) / head_dim));
            }
            self.count += 1;
        }
    }

    /// Fills in the sines and cosines of a position.
    fn turn_to(
        &mut self,
        angles: &Angles<'_>,
        position: u32,
        sine_and_cosine: impl Fn(f64) -> (f32, f32),
    ) {
        let row = position as usize;
        let pairs_of = self.pairs.iter().zip(&self.frequencies);
        let places = self.sines.iter_mut().zip(&mut self.cosines);
        for ((sine, cosine), (&pair, frequency)) in places.zip(pairs_of).take(self.count) {
            let pair = pair as usize;
            (*sine, *cosine) = match *angles {
                Angles::Computed { .. } => sine_and_cosine(f64::from(position) * frequency),
                Angles::Given { angles, pairs } => {
                    sine_and_cosine(f64::from(entry(angles, row * pairs + pair)))
                }
                Angles::TablesF32 {
                    cosines,
                    sines,
                    pairs,
                } => (
                    entry(sines, row * pairs + pair),
                    entry(cosines, row * pairs + pair),
                ),
                Angles::TablesF16 {
                    cosines,
                    sines,
                    pairs,
                } => (
                    entry(sines, row * pairs + pair),
                    entry(cosines, row * pairs + pair),
                ),
            };
        }
    }

    /// The cosines and sines of the chosen pairs.
    fn values(&self) -> (&[f32], &[f32]) {
        (
            split(&self.cosines, self.count).0,
            split(&self.sines, self.count).0,
        )
    }
}

/// An entry of a table, which has one for every position and pair.
fn entry<E: Element>(table: &[E], index: usize) -> f32 {
    table.get(index).map_or(f32::NAN, |entry| entry.load())
}
