use core::{convert::Infallible, marker::PhantomData};

use kernel_abi::{
    Descriptor,
    block::{ELEMENTS, Q8_BYTES},
    params::Rope,
};

use crate::{
    angle, block,
    check::{Definition, Sizes, bytes},
    element::{Element, F16, F32},
    elementwise::{self, convert_pair, in_passes},
    lanes::Lanes,
    memory::Regions,
    slice::{rows, rows_mut, span, span_mut, split, split_mut},
    unroll::{in_order, unroll},
};

/// rope_f32: rotary position embedding.
#[derive(Debug)]
pub struct RopeF32<L = f32>(PhantomData<L>);

/// rope_f16: rotary position embedding, rotated in f32 and rounded once.
#[derive(Debug)]
pub struct RopeF16<L = f32>(PhantomData<L>);

/// rope_q8: rotary position embedding of Q8_0 blocks: dequantised, rotated in f32 and quantised again.
#[derive(Debug)]
pub struct RopeQ8<L = f32>(PhantomData<L>);

/// Pairs that are rotated together: their sines and cosines are computed once for all batches and heads of a position.
const PAIRS: usize = 64;

/// The pairs of heads of 64, as common as heads of 128 and their [`PAIRS`].
const HALF_THE_PAIRS: usize = PAIRS / 2;

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

impl<L: Lanes> Definition for RopeF32<L> {
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
        rope_sizes(params, descriptor, rope_bytes::<F32>(params), NO_HALF)
    }

    fn run(params: &Rope, regions: Regions<'_>) {
        rotate::<L, F32>(params, regions, sine_and_cosine);
    }
}

impl<L: Lanes> Definition for RopeF16<L> {
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
        rope_sizes(params, descriptor, rope_bytes::<F16>(params), Some(Half))
    }

    fn run(params: &Rope, regions: Regions<'_>) {
        let angles = Angles::new(params, regions.input_b, Some(Half));
        rotate_by::<L, F16, _>(params, regions, &angles, sine_and_cosine);
    }
}

impl<L: Lanes> Definition for RopeQ8<L> {
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
        rope_sizes(params, descriptor, tensor, NO_HALF)
    }

    fn run(params: &Rope, regions: Regions<'_>) {
        rotate_q8::<L>(params, regions);
    }
}

/// Bytes of x\[batch, seq, heads, head_dim\].
fn rope_bytes<E: Element>(params: &Rope) -> u64 {
    bytes(
        &[params.head_dim, params.heads, params.seq, params.batch],
        E::BYTES,
    )
}

/// That a kernel takes f16 tables. One that takes none has no code for them: nobody can call it.
#[derive(Clone, Copy)]
struct Half;
/// None of those.
const NO_HALF: Option<Infallible> = None;

/// The sizes of a call whose x has `tensor` bytes.
fn rope_sizes<H>(params: &Rope, descriptor: &Descriptor, tensor: u64, half: Option<H>) -> Sizes {
    let table = |element_bytes| bytes(&[params.head_dim / 2, params.seq], element_bytes);
    let input_b = match params.table {
        TABLE_NONE if descriptor.input_b.size == 0 => 0,
        TABLE_NONE => table(F32::BYTES),
        TABLE_F16 if half.is_some() => table(F16::BYTES) + table(F16::BYTES),
        _ => table(F32::BYTES) + table(F32::BYTES),
    };
    Sizes {
        input_a: tensor,
        input_b,
        output: tensor,
        scratch: 0,
    }
}

/// Rotates all pairs, without f16 tables. `sine_and_cosine` gives both for an angle in radians.
pub fn rotate<L: Lanes, E: Element>(
    params: &Rope,
    regions: Regions<'_>,
    sine_and_cosine: impl Fn(f64) -> (f32, f32),
) {
    let angles = Angles::new(params, regions.input_b, NO_HALF);
    rotate_by::<L, E, _>(params, regions, &angles, sine_and_cosine);
}

fn rotate_by<L: Lanes, E: Element, H>(
    params: &Rope,
    regions: Regions<'_>,
    angles: &Angles<'_, H>,
    sine_and_cosine: impl Fn(f64) -> (f32, f32),
) {
    let [head_dim, heads] = [params.head_dim, params.heads].map(|n| n as usize);
    let [seq, batches] = [params.seq, params.batch].map(|n| n as usize);
    let half = head_dim / 2;
    let input = E::view(regions.input_a);
    let output = E::view_mut(regions.output);

    let mut waiting = NOTHING_WAITS;
    let waiting = if const { in_passes::<L, E>() } {
        core::hint::black_box(&mut waiting)
    } else {
        &mut waiting
    };
    let mut turns = Turns::<PAIRS>::new();
    for first in (0..half).step_by(PAIRS) {
        let count = PAIRS.min(half - first);
        turns.start(angles, first, count);
        for position in 0..seq {
            let turns = turns.at(angles, position, &sine_and_cosine);
            for batch in 0..batches {
                let (x, y) = at_position((input, output), heads * head_dim, batch * seq + position);
                for (x, y) in rows(x, head_dim).zip(rows_mut(y, head_dim)) {
                    if params.layout == LAYOUT_INTERLEAVED {
                        let y = span_mut(y, 2 * first, 2 * count);
                        let x = span(x, 2 * first, 2 * count);
                        rotate_interleaved::<L, E>((x, y), turns, waiting);
                    } else {
                        let (low, high) = split(x, half);
                        let (low_output, high_output) = split_mut(y, half);
                        rotate_halves::<L, E>(
                            (span(low, first, count), span(high, first, count)),
                            (
                                span_mut(low_output, first, count),
                                span_mut(high_output, first, count),
                            ),
                            turns,
                            waiting,
                        );
                    }
                }
            }
        }
    }
}

/// All heads of a position of a batch, `elements` in all: the tensors' row of this number.
#[inline(always)]
fn at_position<'a, E>(
    (input, output): (&'a [E], &'a mut [E]),
    elements: usize,
    row: usize,
) -> (&'a [E], &'a mut [E]) {
    (
        span(input, row * elements, elements),
        span_mut(output, row * elements, elements),
    )
}

/// A pair turned by an angle: two roundings, then one.
#[inline(always)]
fn turn<L: Lanes>(x0: L, x1: L, cosine: L, sine: L) -> (L, L) {
    (x0 * cosine - x1 * sine, x0 * sine + x1 * cosine)
}

/// Results of a step's first pass.
type Waiting = [F32; 2 * PAIRS];
/// All there is of them before, and for f32, which has one pass, at all.
const NOTHING_WAITS: Waiting = [[0; 4]; 2 * PAIRS];

/// Pairs per loop back edge where there are less than [`PAIRS`], or where so many would be too much code.
const fn some_pairs<L: Lanes, E: Element>() -> usize {
    if in_passes::<L, E>() {
        return HALF_THE_PAIRS;
    }
    let pairs = L::COUNT * elementwise::groups(6 + 4 * E::OPERATIONS);
    if pairs < 16 { pairs } else { 16 }
}

#[inline(always)]
fn rotate_interleaved<L: Lanes, E: Element>(
    (x, y): (&[E], &mut [E]),
    (cosines, sines): (&[F32], &[F32]),
    waiting: &mut Waiting,
) {
    if E::OPERATIONS == 1 && cosines.len() == PAIRS {
        return interleaved_whole::<L, E, PAIRS>((x, y), (cosines, sines));
    }
    if E::OPERATIONS == 1 && cosines.len() == HALF_THE_PAIRS {
        return interleaved_whole::<L, E, HALF_THE_PAIRS>((x, y), (cosines, sines));
    }
    let step = const { some_pairs::<L, E>() };
    let turns = (cosines, sines);
    let first = interleaved::<L, E>(step, (x, y), turns, 0, waiting);
    let first = interleaved::<L, E>(L::COUNT, (x, y), turns, first, waiting);
    interleaved::<f32, E>(1, (x, y), turns, first, waiting);
}

/// Rotates `N` pairs, where there are so many, without a loop.
#[inline(always)]
fn interleaved_whole<L: Lanes, E: Element, const N: usize>(
    (x, y): (&[E], &mut [E]),
    (cosines, sines): (&[F32], &[F32]),
) {
    if let Some(cosines) = cosines.first_chunk::<N>()
        && let Some(sines) = sines.first_chunk::<N>()
        && let Some(x) = x.as_chunks::<2>().0.first_chunk::<N>()
        && let Some(y) = y.as_chunks_mut::<2>().0.first_chunk_mut::<N>()
    {
        let (x, y) = (x.as_flattened(), y.as_flattened_mut());
        interleaved_step::<L, E, E>(N, (x, y), (cosines, sines));
    }
}

/// Rotates whole runs of `step` pairs from the pair `first` on; answers the pair after the last.
#[inline(always)]
fn interleaved<L: Lanes, E: Element>(
    step: usize,
    (x, y): (&[E], &mut [E]),
    (cosines, sines): (&[F32], &[F32]),
    first: usize,
    waiting: &mut Waiting,
) -> usize {
    let (cosines, sines) = (split(cosines, first).1, split(sines, first).1);
    let turns = cosines.chunks_exact(step).zip(sines.chunks_exact(step));
    let x = split(x, 2 * first).1.chunks_exact(2 * step);
    let y = split_mut(y, 2 * first).1.chunks_exact_mut(2 * step);
    for ((x, y), (cosines, sines)) in x.zip(y).zip(turns) {
        let turns = (cosines, sines);
        if const { in_passes::<L, E>() } && step > L::COUNT {
            interleaved_step::<L, E, F32>(step, (x, waiting), turns);
            in_order();
            unroll!(16: step / L::COUNT, |i| convert_pair::<L, F32, E>(
                i, waiting, y
            ));
        } else {
            interleaved_step::<L, E, E>(step, (x, y), turns);
        }
    }
    first + cosines.len() / step * step
}

/// Rotates `step` pairs without a loop.
#[inline(always)]
fn interleaved_step<L: Lanes, E: Element, O: Element>(
    step: usize,
    (x, y): (&[E], &mut [O]),
    (cosines, sines): (&[F32], &[F32]),
) {
    unroll!(64: step / L::COUNT, |i| {
        let at = i * L::COUNT;
        let [first, next] = E::load_pair::<L>(span(x, 2 * at, 2 * L::COUNT));
        let (x0, x1) = first.deinterleave(next);
        let cosine = L::load(span(cosines, at, L::COUNT));
        let sine = L::load(span(sines, at, L::COUNT));
        let (y0, y1) = turn(x0, x1, cosine, sine);
        let (low, high) = y0.interleave(y1);
        O::store_pair([low, high], span_mut(y, 2 * at, 2 * L::COUNT));
    });
}

#[inline(always)]
fn rotate_halves<L: Lanes, E: Element>(
    (low, high): (&[E], &[E]),
    (y0, y1): (&mut [E], &mut [E]),
    (cosines, sines): (&[F32], &[F32]),
    waiting: &mut Waiting,
) {
    let turns = (cosines, sines);
    if E::OPERATIONS == 1 && cosines.len() == PAIRS {
        return halves_whole::<L, E, PAIRS>((low, high), (y0, y1), turns);
    }
    if E::OPERATIONS == 1 && cosines.len() == HALF_THE_PAIRS {
        return halves_whole::<L, E, HALF_THE_PAIRS>((low, high), (y0, y1), turns);
    }
    let step = const { some_pairs::<L, E>() };
    let first = halves::<L, E>(step, (low, high), (y0, y1), turns, 0, waiting);
    let first = halves::<L, E>(L::COUNT, (low, high), (y0, y1), turns, first, waiting);
    halves::<f32, E>(1, (low, high), (y0, y1), turns, first, waiting);
}

/// As [`interleaved_whole`].
#[inline(always)]
fn halves_whole<L: Lanes, E: Element, const N: usize>(
    (low, high): (&[E], &[E]),
    (y0, y1): (&mut [E], &mut [E]),
    (cosines, sines): (&[F32], &[F32]),
) {
    if let Some(cosines) = cosines.first_chunk::<N>()
        && let Some(sines) = sines.first_chunk::<N>()
        && let Some(low) = low.first_chunk::<N>()
        && let Some(high) = high.first_chunk::<N>()
        && let Some(y0) = y0.first_chunk_mut::<N>()
        && let Some(y1) = y1.first_chunk_mut::<N>()
    {
        halves_step::<L, E, E>(N, (low, high), (y0, y1), (cosines, sines));
    }
}

/// As [`interleaved`].
#[inline(always)]
fn halves<L: Lanes, E: Element>(
    step: usize,
    (low, high): (&[E], &[E]),
    (y0, y1): (&mut [E], &mut [E]),
    (cosines, sines): (&[F32], &[F32]),
    first: usize,
    waiting: &mut Waiting,
) -> usize {
    let (cosines, sines) = (split(cosines, first).1, split(sines, first).1);
    let turns = cosines.chunks_exact(step).zip(sines.chunks_exact(step));
    let low = split(low, first).1.chunks_exact(step);
    let high = split(high, first).1.chunks_exact(step);
    let y0 = split_mut(y0, first).1.chunks_exact_mut(step);
    let y1 = split_mut(y1, first).1.chunks_exact_mut(step);
    for (((low, high), (y0, y1)), (cosines, sines)) in low.zip(high).zip(y0.zip(y1)).zip(turns) {
        let turns = (cosines, sines);
        if const { in_passes::<L, E>() } && step > L::COUNT {
            let (wide0, wide1) = waiting.split_at_mut(PAIRS);
            halves_step::<L, E, F32>(step, (low, high), (wide0, wide1), turns);
            in_order();
            unroll!(8: step / L::COUNT / 2, |i| {
                convert_pair::<L, F32, E>(i, wide0, y0);
                convert_pair::<L, F32, E>(i, wide1, y1);
            });
        } else {
            halves_step::<L, E, E>(step, (low, high), (y0, y1), turns);
        }
    }
    first + cosines.len() / step * step
}

/// As [`interleaved_step`].
#[inline(always)]
fn halves_step<L: Lanes, E: Element, O: Element>(
    step: usize,
    (low, high): (&[E], &[E]),
    (y0, y1): (&mut [O], &mut [O]),
    (cosines, sines): (&[F32], &[F32]),
) {
    unroll!(32: step / L::COUNT / 2, |i| {
        let (at, lanes) = (2 * i * L::COUNT, 2 * L::COUNT);
        let low = E::load_pair::<L>(span(low, at, lanes));
        let high = E::load_pair::<L>(span(high, at, lanes));
        let cosine = F32::load_pair(span(cosines, at, lanes));
        let sine = F32::load_pair(span(sines, at, lanes));
        let (low, high) = (
            turn(low[0], high[0], cosine[0], sine[0]),
            turn(low[1], high[1], cosine[1], sine[1]),
        );
        O::store_pair([low.0, high.0], span_mut(y0, at, lanes));
        O::store_pair([low.1, high.1], span_mut(y1, at, lanes));
    });
    // A single one is left where a step has only one.
    if step == L::COUNT {
        let at = 0;
        let (low, high) = turn(
            E::load_lanes::<L>(span(low, at, L::COUNT)),
            E::load_lanes(span(high, at, L::COUNT)),
            L::load(span(cosines, at, L::COUNT)),
            L::load(span(sines, at, L::COUNT)),
        );
        O::store_lanes(low, span_mut(y0, at, L::COUNT));
        O::store_lanes(high, span_mut(y1, at, L::COUNT));
    }
}

/// Elements that lie in one block together with, in another or the same block, their partners: half of a block, because
/// head_dim / 2 is a multiple of 16.
const RUN: usize = ELEMENTS / 2;

/// Rotates blocks. With layout 1 the partner of an element is in another block, or in the same one if head_dim is 32 or
/// a block crosses the middle; so each output block gathers the two runs that each of its own comes from.
fn rotate_q8<L: Lanes>(params: &Rope, regions: Regions<'_>) {
    let angles = Angles::new(params, regions.input_b, NO_HALF);
    let [head_dim, heads] = [params.head_dim, params.heads].map(|n| n as usize);
    let [seq, batches] = [params.seq, params.batch].map(|n| n as usize);
    let half = head_dim / 2;
    let blocks = head_dim / ELEMENTS;
    let (input, _) = regions.input_a.as_chunks::<Q8_BYTES>();
    let (output, _) = regions.output.as_chunks_mut::<Q8_BYTES>();
    let interleaved = params.layout == LAYOUT_INTERLEAVED;

    let mut turns = [Turns::<RUN>::new(), Turns::<RUN>::new()];
    for block in 0..blocks {
        let pairs = if interleaved {
            [RUN * block; 2]
        } else {
            [0, RUN].map(|run| (ELEMENTS * block + run) % half.max(1))
        };
        for (turns, first) in turns.iter_mut().zip(pairs) {
            turns.start(&angles, first, RUN);
        }
        for position in 0..seq {
            let [first, second] = &mut turns;
            let first = first.at(&angles, position, sine_and_cosine);
            let second = if interleaved {
                first
            } else {
                second.at(&angles, position, sine_and_cosine)
            };
            for batch in 0..batches {
                let (x, y) = at_position((input, output), heads * blocks, batch * seq + position);
                for (x, y) in rows(x, blocks).zip(rows_mut(y, blocks)) {
                    let (Some(source), Some(target)) = (x.get(block), y.get_mut(block)) else {
                        continue;
                    };
                    let mut rotated = [F32::default(); ELEMENTS];
                    if interleaved {
                        let mut values = [F32::default(); ELEMENTS];
                        block::unpack_q8::<L>(source, &mut values);
                        interleaved_run::<L>(&values, &mut rotated, first);
                    } else {
                        let (low, high) = rotated.split_at_mut(RUN);
                        gathered_run::<L>(x, ELEMENTS * block, half, low, first);
                        gathered_run::<L>(x, ELEMENTS * block + RUN, half, high, second);
                    }
                    block::pack_q8::<L>(&rotated, target);
                }
            }
        }
    }
}

/// Rotates the interleaved pairs of a block.
#[inline(always)]
fn interleaved_run<L: Lanes>(
    x: &[F32; ELEMENTS],
    y: &mut [F32; ELEMENTS],
    (cosines, sines): (&[F32], &[F32]),
) {
    interleaved::<L, F32>(RUN, (x, y), (cosines, sines), 0, &mut { NOTHING_WAITS });
}

/// One output run of layout 1, from element `first` of a row on: of its own elements and their partners.
#[inline(always)]
fn gathered_run<L: Lanes>(
    row: &[[u8; Q8_BYTES]],
    first: usize,
    half: usize,
    y: &mut [F32],
    turns: (&[F32], &[F32]),
) {
    let low = first % half.max(1);
    let [mut x0, mut x1, mut other] = [[F32::default(); RUN]; 3];
    unpack_run::<L>(row, low, &mut x0);
    unpack_run::<L>(row, low + half, &mut x1);
    if first < half {
        halves::<L, F32>(RUN, (&x0, &x1), (y, &mut other), turns, 0, &mut {
            NOTHING_WAITS
        });
    } else {
        halves::<L, F32>(RUN, (&x0, &x1), (&mut other, y), turns, 0, &mut {
            NOTHING_WAITS
        });
    }
}

/// Dequantises the run from an element of a row on.
#[inline(always)]
fn unpack_run<L: Lanes>(row: &[[u8; Q8_BYTES]], first: usize, values: &mut [F32; RUN]) {
    if let Some([low, high, codes @ ..]) = row.get(first / ELEMENTS) {
        let codes = span(codes, first % ELEMENTS, RUN);
        block::unpack_codes::<L, RUN>([*low, *high].load(), codes, values);
    }
}

/// Sine and cosine, taken in f64 and rounded once.
fn sine_and_cosine(angle: f64) -> (f32, f32) {
    let (sine, cosine) = angle::sine_and_cosine(angle);
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
enum Angles<'a, H> {
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
        _half: H,
    },
}

impl<'a, H> Angles<'a, H> {
    fn new(params: &Rope, input_b: &'a [u8], half: Option<H>) -> Self {
        let pairs = (params.head_dim / 2) as usize;
        let (cosines, sines) = split(input_b, input_b.len() / 2);
        match (params.table, half) {
            (TABLE_NONE, _) if input_b.is_empty() => Self::Computed {
                ln_theta: angle::ln(f64::from(params.theta)),
                head_dim: f64::from(params.head_dim),
            },
            (TABLE_NONE, _) => Self::Given {
                angles: F32::view(input_b),
                pairs,
            },
            (TABLE_F16, Some(half)) => Self::TablesF16 {
                cosines: F16::view(cosines),
                sines: F16::view(sines),
                pairs,
                _half: half,
            },
            _ => Self::TablesF32 {
                cosines: F32::view(cosines),
                sines: F32::view(sines),
                pairs,
            },
        }
    }
}

/// Sines and cosines of up to N successive pairs at one position.
struct Turns<const N: usize> {
    first: usize,
    count: usize,
    /// Angle per position, in radians; used where the kernel computes the angles.
    frequencies: [f64; N],
    cosines: [F32; N],
    sines: [F32; N],
}

impl<const N: usize> Turns<N> {
    fn new() -> Self {
        Self {
            first: 0,
            count: 0,
            frequencies: [0.0; N],
            cosines: [F32::default(); N],
            sines: [F32::default(); N],
        }
    }

    /// Chooses the pairs.
    fn start<H>(&mut self, angles: &Angles<'_, H>, first: usize, count: usize) {
        (self.first, self.count) = (first, count);
        if let Angles::Computed { ln_theta, head_dim } = angles {
            for (index, frequency) in self.frequencies.iter_mut().take(count).enumerate() {
                // theta^(-2 pair / head_dim)
                let pair = (first + index) as f64;
                *frequency = angle::exp(ln_theta * (-2.0 * pair / head_dim));
            }
        }
    }

    /// The cosines and sines of the chosen pairs at a position.
    fn at<'s, H>(
        &'s mut self,
        angles: &Angles<'s, H>,
        position: usize,
        sine_and_cosine: impl Fn(f64) -> (f32, f32),
    ) -> (&'s [F32], &'s [F32]) {
        let places = self.sines.iter_mut().zip(&mut self.cosines);
        let places = places.take(self.count);
        let entries = |pairs: usize| position * pairs + self.first;
        match *angles {
            Angles::TablesF32 {
                cosines,
                sines,
                pairs,
            } => {
                return (
                    span(cosines, entries(pairs), self.count),
                    span(sines, entries(pairs), self.count),
                );
            }
            Angles::TablesF16 {
                cosines,
                sines,
                pairs,
                ..
            } => {
                let cosines = span(cosines, entries(pairs), self.count);
                let sines = span(sines, entries(pairs), self.count);
                for (place, (sine, cosine)) in places.zip(sines.iter().zip(cosines)) {
                    (*place.0, *place.1) = (F32::store(sine.load()), F32::store(cosine.load()));
                }
            }
            Angles::Given { angles, pairs } => {
                let angles = span(angles, entries(pairs), self.count);
                for (place, angle) in places.zip(angles) {
                    let (sine, cosine) = sine_and_cosine(f64::from(angle.load()));
                    (*place.0, *place.1) = (F32::store(sine), F32::store(cosine));
                }
            }
            Angles::Computed { .. } => {
                for (place, frequency) in places.zip(&self.frequencies) {
                    let (sine, cosine) = sine_and_cosine(position as f64 * frequency);
                    (*place.0, *place.1) = (F32::store(sine), F32::store(cosine));
                }
            }
        }
        (
            split(&self.cosines, self.count).0,
            split(&self.sines, self.count).0,
        )
    }
}
