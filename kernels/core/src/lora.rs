mod sizes;

use core::marker::PhantomData;

use kernel_abi::{Descriptor, params::Lora};

use crate::{
    check::{Definition, Sizes},
    element::{Element, F16, F32},
    elementwise,
    lanes::Lanes,
    memory::Regions,
    slice::{rows, rows_mut, span, span_mut, split, split_mut},
    unroll::unroll,
};
use sizes::{Shape, accepts, backward_sizes, sizes};

/// lora_apply_f32: y = base + scale * ((x * A) * B), in place.
#[derive(Debug)]
pub struct LoraApplyF32<L = f32>(PhantomData<L>);

/// lora_apply_f16: as f32, rounded once at the end.
#[derive(Debug)]
pub struct LoraApplyF16<L = f32>(PhantomData<L>);

/// Terms that are summed before the sum is added to the total: errors of long sums grow with this and with the number
/// of such sums, not with their product.
const TERMS: usize = 64;

impl<L: Lanes> Definition for LoraApplyF32<L> {
    type Params = Lora;
    const ID: &'static str = "lora_apply_f32";
    const PARAMS_SIZES: &'static [u32] = &[Lora::SIZE as u32];
    const HAS_BACKWARD: bool = true;

    fn decode(bytes: &[u8]) -> Option<Lora> {
        Lora::from_le_bytes(bytes)
    }

    fn accepts(params: &Lora) -> bool {
        accepts(params)
    }

    fn sizes(params: &Lora, _: &Descriptor) -> Sizes {
        sizes::<F32>(params)
    }

    fn run(params: &Lora, regions: Regions<'_>) {
        apply::<L, F32>(params, regions);
    }

    fn backward_sizes(params: &Lora, _: &Descriptor) -> Sizes {
        backward_sizes::<F32>(params)
    }

    fn run_backward(params: &Lora, regions: Regions<'_>) {
        gradient::<L, F32>(params, regions);
    }
}

impl<L: Lanes> Definition for LoraApplyF16<L> {
    type Params = Lora;
    const ID: &'static str = "lora_apply_f16";
    const PARAMS_SIZES: &'static [u32] = &[Lora::SIZE as u32];
    const HAS_BACKWARD: bool = true;

    fn decode(bytes: &[u8]) -> Option<Lora> {
        Lora::from_le_bytes(bytes)
    }

    fn accepts(params: &Lora) -> bool {
        accepts(params)
    }

    fn sizes(params: &Lora, _: &Descriptor) -> Sizes {
        sizes::<F16>(params)
    }

    fn run(params: &Lora, regions: Regions<'_>) {
        apply::<L, F16>(params, regions);
    }

    fn backward_sizes(params: &Lora, _: &Descriptor) -> Sizes {
        backward_sizes::<F16>(params)
    }

    fn run_backward(params: &Lora, regions: Regions<'_>) {
        gradient::<L, F16>(params, regions);
    }
}

fn apply<L: Lanes, E: Element>(params: &Lora, regions: Regions<'_>) {
    let shape = Shape::new(params);
    let x = E::view(regions.input_a);
    let (a, b) = split(E::view(regions.input_b), shape.input * shape.rank);
    let intermediate = F32::view_mut(regions.scratch);
    let y = E::view_mut(regions.output);

    if const { E::OPERATIONS == 1 } {
        let inputs = rows(x, shape.input).zip(rows_mut(intermediate, shape.rank));
        for ((x, intermediate), y) in inputs.zip(rows_mut(y, shape.output)) {
            multiply::<L, _, _, _, REPLACE>(x, a, intermediate, 1.0);
            multiply::<L, _, _, _, ADD>(intermediate, b, y, params.scale);
        }
        return;
    }
    let (intermediate, _) = split_mut(intermediate, shape.rows * shape.rank);
    product::<L, _, _, _, REPLACE>((x, shape.input), (a, shape.rank), intermediate, 1.0);
    let left = (&*intermediate, shape.rank);
    product::<L, _, _, _, ADD>(left, (b, shape.output), y, params.scale);
}

/// [`multiply`] for all rows of `left`, of elements that take long to load. The matrix has `columns` columns.
fn product<L: Lanes, V: Element, E: Element, O: Element, const WAY: bool>(
    left: (&[V], usize),
    matrix: (&[E], usize),
    output: &mut [O],
    scale: f32,
) {
    // Of A there are few columns.
    if const { L::COUNT == 1 || WAY == REPLACE } {
        by_tiles::<L, V, E, O, 8, WAY>(left, matrix, output, scale);
    } else {
        by_tiles::<L, V, E, O, 32, WAY>(left, matrix, output, scale);
    }
}

/// Rows for which a tile is widened.
const ROWS: usize = 16;

/// [`product`] by tiles: [`TERMS`] by `C` of the matrix are widened once for some rows.
fn by_tiles<L: Lanes, V: Element, E: Element, O: Element, const C: usize, const WAY: bool>(
    (left, terms): (&[V], usize),
    (matrix, columns): (&[E], usize),
    output: &mut [O],
    scale: f32,
) {
    let mut tile = [[F32::default(); C]; TERMS];
    let rows_of = |length: usize| ROWS.saturating_mul(length).max(1);
    let groups = left.chunks(rows_of(terms));
    for (left, output) in groups.zip(output.chunks_mut(rows_of(columns))) {
        for first in (0..columns).step_by(C) {
            let width = C.min(columns - first);
            let mut totals = [[F32::default(); C]; ROWS];
            for start in (0..terms).step_by(TERMS) {
                let count = TERMS.min(terms - start);
                let matrix = rows(split(matrix, start * columns).1, columns);
                for (into, row) in tile.iter_mut().take(count).zip(matrix) {
                    elementwise::convert::<L, E, F32>(span(row, first, width), into);
                }
                let tile = split(&tile, count).0;
                let outputs = rows_mut(output, columns).zip(&mut totals);
                for (left, (output, totals)) in rows(left, terms).zip(outputs) {
                    let mut wide = [F32::default(); TERMS];
                    let left = V::wide::<L>(span(left, start, count), &mut wide);
                    add_to(totals, &sums_of_tile::<L, C>(left, tile), 1.0);
                    if start + count == terms {
                        write::<L, O, C, WAY>(span_mut(output, first, width), totals, scale);
                    }
                }
            }
        }
    }
}

/// The vector times the tile, each sum in order.
#[inline(always)]
fn sums_of_tile<L: Lanes, const C: usize>(vector: &[F32], tile: &[[F32; C]]) -> [L; C] {
    if const { L::COUNT > 1 } {
        // The usual numbers without a loop.
        match vector.len() {
            TERMS => return sums_of_terms::<L, C, TERMS>(vector, tile),
            16 => return sums_of_terms::<L, C, 16>(vector, tile),
            8 => return sums_of_terms::<L, C, 8>(vector, tile),
            _ => {}
        }
    }
    let mut sums = [L::splat(0.0); C];
    let (eights, rest) = vector.as_chunks::<8>();
    let (tile_eights, tile_rest) = tile.as_chunks::<8>();
    for (vector, tile) in eights.iter().zip(tile_eights) {
        unroll!(8: 8, |i| add_row(&mut sums, vector[i], &tile[i]));
    }
    for (&value, row) in rest.iter().zip(tile_rest) {
        add_row(&mut sums, value, row);
    }
    sums
}

/// [`sums_of_tile`] for `R` terms without a loop.
#[inline(always)]
fn sums_of_terms<L: Lanes, const C: usize, const R: usize>(
    vector: &[F32],
    tile: &[[F32; C]],
) -> [L; C] {
    let mut sums = [L::splat(0.0); C];
    if let Some(vector) = vector.first_chunk::<R>()
        && let Some(tile) = tile.first_chunk::<R>()
    {
        unroll!(64: R, |i| add_row(&mut sums, vector[i], &tile[i]));
    }
    sums
}

/// output = totals, or output += scale * totals; for less than `C` columns also.
#[inline(always)]
fn write<L: Lanes, O: Element, const C: usize, const WAY: bool>(
    output: &mut [O],
    totals: &[F32; C],
    scale: f32,
) {
    if output.len() == C {
        let scale = L::splat(scale);
        unroll!(16: C / L::COUNT / 2, |i| {
            let at = 2 * i * L::COUNT;
            let output = span_mut(output, at, 2 * L::COUNT);
            let [mut first, mut next] = F32::load_pair::<L>(span(totals, at, 2 * L::COUNT));
            if WAY == ADD {
                let [base, next_base] = O::load_pair::<L>(output);
                (first, next) = (base + scale * first, next_base + scale * next);
            }
            O::store_pair([first, next], output);
        });
        return;
    }
    for (output, total) in output.iter_mut().zip(totals) {
        let value = if WAY == ADD {
            output.load() + scale * total.load()
        } else {
            total.load()
        };
        *output = O::store(value);
    }
}

/// A product replaces the output; no scale counts.
const REPLACE: bool = false;
/// A product is added to the output after scaling, also by 0, so that a NaN is not hidden.
const ADD: bool = true;

/// Vector times row-major matrix, which replaces the output, or is added to it. The same functions in both ways would have code for both,
/// of which most kernels run one.
fn multiply<L: Lanes, V: Element, E: Element, O: Element, const WAY: bool>(
    vector: &[V],
    matrix: &[E],
    output: &mut [O],
    scale: f32,
) {
    let factors = (vector, matrix);
    // The ways that most calls take are without what would have to be put by at a loop's check.
    let first = match vector.len() {
        TERMS.. if WAY == REPLACE && L::COUNT > 1 && output.len() >= 16 => {
            by_groups::<L, V, E, O, 16>(factors, output)
        }
        TERMS.. if WAY == REPLACE => by_groups::<L, V, E, O, 8>(factors, output),
        8 if WAY == ADD => low_rank::<L, V, E, O, 8>(factors, output, scale),
        16 if WAY == ADD => low_rank::<L, V, E, O, 16>(factors, output, scale),
        _ => 0,
    };
    let first = blocks::<L, V, E, O, 16, WAY>(factors, output, first, scale);
    let first = blocks::<L, V, E, O, 8, WAY>(factors, output, first, scale);
    let first = blocks::<L, V, E, O, 4, WAY>(factors, output, first, scale);
    blocks::<f32, V, E, O, 1, WAY>(factors, output, first, scale);
}

/// [`multiply`] without a scale, by blocks of `C` columns and groups of [`TERMS`], between which the totals rest in the output;
/// answers the first column that is left.
#[inline(never)]
fn by_groups<L: Lanes, V: Element, E: Element, O: Element, const C: usize>(
    (vector, matrix): (&[V], &[E]),
    output: &mut [O],
) -> usize {
    let columns = output.len();
    let (groups, rest) = vector.as_chunks::<TERMS>();
    let mut first = 0;
    while columns - first >= C {
        let mut rows = split(matrix, first).1;
        let Some(totals) = span_mut(output, first, C).first_chunk_mut::<C>() else {
            break;
        };
        *totals = [O::store(0.0); C];
        for group in groups {
            let mut sums = [L::splat(0.0); C];
            unroll!(64: TERMS, |i| {
                add_row(&mut sums, group[i], split(rows, i * columns).1);
            });
            add_to(totals, &sums, 1.0);
            rows = split(rows, TERMS * columns).1;
        }
        first += C;
    }
    let rest = (rest, split(matrix, (vector.len() - rest.len()) * columns).1);
    blocks::<L, V, E, O, C, ADD>(rest, output, 0, 1.0)
}

/// [`multiply`] for a vector of length `R` with a scale; answers the first column that is left.
#[inline(never)]
fn low_rank<L: Lanes, V: Element, E: Element, O: Element, const R: usize>(
    (vector, matrix): (&[V], &[E]),
    output: &mut [O],
    scale: f32,
) -> usize {
    let columns = output.len();
    let Some(vector) = vector.first_chunk::<R>() else {
        return 0;
    };
    let mut first = 0;
    if L::COUNT == 1 {
        while columns - first >= 16 {
            straight_block::<L, V, E, O, R, 16>((vector, matrix), output, first, scale);
            first += 16;
        }
    } else {
        // Twice as many in lanes, and twice that for a check.
        while columns - first >= 64 {
            straight_block::<L, V, E, O, R, 32>((vector, matrix), output, first, scale);
            straight_block::<L, V, E, O, R, 32>((vector, matrix), output, first + 32, scale);
            first += 64;
        }
    }
    first
}

/// `C` columns from `first` without a loop.
#[inline(always)]
fn straight_block<L: Lanes, V: Element, E: Element, O: Element, const R: usize, const C: usize>(
    (vector, matrix): (&[V; R], &[E]),
    output: &mut [O],
    first: usize,
    scale: f32,
) {
    let rows = split(matrix, first).1;
    let columns = output.len();
    let mut sums = [L::splat(0.0); C];
    unroll!(16: R, |i| {
        add_row(&mut sums, vector[i], split(rows, i * columns).1);
    });
    add_to(span_mut(output, first, C), &sums, scale);
}

/// output += scale * sums, for the first `C` columns.
#[inline(always)]
fn add_to<L: Lanes, O: Element, const C: usize>(output: &mut [O], sums: &[L; C], scale: f32) {
    if let Some(output) = output.first_chunk_mut::<C>() {
        unroll!(32: C / L::COUNT, |i| {
            let output = span_mut(output, i * L::COUNT, L::COUNT);
            let value = O::load_lanes::<L>(output) + L::splat(scale) * sums[i];
            O::store_lanes(value, output);
        });
    }
}

/// [`multiply`] from the column `first` on, by blocks of `C` columns; answers the first column that is left.
#[inline(never)]
fn blocks<L: Lanes, V: Element, E: Element, O: Element, const C: usize, const WAY: bool>(
    factors: (&[V], &[E]),
    output: &mut [O],
    mut first: usize,
    scale: f32,
) -> usize {
    while output.len() - first >= C {
        block::<L, V, E, O, C, WAY>(factors, output, first, scale);
        first += C;
    }
    first
}

/// [`multiply`] for `C` columns from `first`, a multiple of the number of lanes.
#[inline(always)]
fn block<L: Lanes, V: Element, E: Element, O: Element, const C: usize, const WAY: bool>(
    (vector, matrix): (&[V], &[E]),
    output: &mut [O],
    first: usize,
    scale: f32,
) {
    let columns = output.len();
    let terms = const { terms::<C>() };
    let mut totals = [L::splat(0.0); C];
    let mut sums = [L::splat(0.0); C];
    let mut groups = vector.chunks_exact(terms);
    let mut term = 0;
    for values in &mut groups {
        unroll!(16: terms, |i| {
            add_row(
                &mut sums,
                values[i],
                split(matrix, (term + i) * columns + first).1,
            );
        });
        term += terms;
        // One loop for both: a loop of its own around this one would be checked too.
        if term.is_multiple_of(TERMS) {
            unroll!(16: C / L::COUNT, |i| {
                totals[i] = totals[i] + sums[i];
                sums[i] = L::splat(0.0);
            });
        }
    }
    for &value in groups.remainder() {
        add_row(&mut sums, value, split(matrix, term * columns + first).1);
        term += 1;
    }
    unroll!(16: C / L::COUNT, |i| totals[i] = totals[i] + sums[i]);
    let output = span_mut(output, first, C);
    if WAY == ADD {
        add_to(output, &totals, scale);
    } else if let Some(output) = output.first_chunk_mut::<C>() {
        unroll!(16: C / L::COUNT, |i| {
            O::store_lanes(totals[i], span_mut(output, i * L::COUNT, L::COUNT));
        });
    }
}

/// Terms per loop back edge of a block of `C` columns, a divisor of [`TERMS`].
const fn terms<const C: usize>() -> usize {
    if C == 1 { 4 } else { 16 }
}

/// Adds value * row to the sums of the first `C` columns.
#[inline(always)]
fn add_row<L: Lanes, V: Element, E: Element, const C: usize>(
    sums: &mut [L; C],
    value: V,
    row: &[E],
) {
    if let Some(row) = row.first_chunk::<C>() {
        let value = L::splat(value.load());
        unroll!(32: C / L::COUNT, |i| {
            let elements = E::load_lanes::<L>(span(row, i * L::COUNT, L::COUNT));
            sums[i] = sums[i] + value * elements;
        });
    }
}

fn gradient<L: Lanes, E: Element>(params: &Lora, regions: Regions<'_>) {
    let shape = Shape::new(params);
    let scale = params.scale;
    let (dy, x) = split(E::view(regions.input_a), shape.rows * shape.output);
    let (a, b) = split(E::view(regions.input_b), shape.input * shape.rank);
    let (dx, dadapter) = split_mut(E::view_mut(regions.output), shape.rows * shape.input);
    let (da, db) = split_mut(dadapter, shape.input * shape.rank);
    let (u, rest) = split_mut(F32::view_mut(regions.scratch), shape.rows * shape.rank);
    let (h, _) = split_mut(rest, shape.rows * shape.rank);

    let inputs = rows(dy, shape.output).zip(rows(x, shape.input));
    let intermediates = rows_mut(u, shape.rank).zip(rows_mut(h, shape.rank));
    for (((dy, x), (u, h)), dx) in inputs.zip(intermediates).zip(rows_mut(dx, shape.input)) {
        // u = scale * dy * B^T
        for (u, b) in u.iter_mut().zip(rows(b, shape.output)) {
            *u = F32::store(scale * dot(dy.iter().zip(b)));
        }
        // h = x * A
        if const { E::OPERATIONS == 1 } {
            multiply::<L, _, _, _, REPLACE>(x, a, h, 1.0);
        } else {
            product::<L, _, _, _, REPLACE>((x, shape.input), (a, shape.rank), h, 1.0);
        }
        // dx = u * A^T
        for (dx, a) in dx.iter_mut().zip(rows(a, shape.rank)) {
            *dx = E::store(dot(u.iter().zip(a)));
        }
    }
    // dA = x^T * u
    outer(da, (x, shape.input), (u, shape.rank), 1.0);
    // dB = scale * h^T * dy
    outer(db, (h, shape.rank), (dy, shape.output), scale);
}

/// Sum of products, sequential in f32.
fn dot<'a, V: Element + 'a, W: Element + 'a>(pairs: impl Iterator<Item = (&'a V, &'a W)>) -> f32 {
    pairs.fold(0.0, |sum, (v, w)| sum + v.load() * w.load())
}

/// scale * left^T * right for row-major matrices given with their number of columns: a sum over rows.
fn outer<E: Element, V: Element, W: Element>(
    into: &mut [E],
    (left, left_columns): (&[V], usize),
    (right, right_columns): (&[W], usize),
    scale: f32,
) {
    for (row, into) in rows_mut(into, right_columns).enumerate() {
        for (column, into) in into.iter_mut().enumerate() {
            let left = left.iter().skip(row).step_by(left_columns.max(1));
            let right = right.iter().skip(column).step_by(right_columns.max(1));
            *into = E::store(scale * dot(left.zip(right)));
        }
    }
}
