use kernel_abi::{Descriptor, params::Lora};

use crate::{
    check::{Definition, Sizes, bytes, sum},
    element::{Element, F16, F32},
    memory::Regions,
};

/// lora_apply_f32: y = base + scale * ((x * A) * B), in place.
#[derive(Debug)]
pub struct LoraApplyF32;

/// lora_apply_f16: as f32, rounded once at the end.
#[derive(Debug)]
pub struct LoraApplyF16;

/// Columns whose sums are kept in registers.
const COLUMNS: usize = 32;

/// Terms that are summed before the sum is added to the total: errors of long sums grow with this and with the number
/// of such sums, not with their product.
const TERMS: usize = 64;

impl Definition for LoraApplyF32 {
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
        apply::<F32>(params, regions);
    }

    fn backward_sizes(params: &Lora, _: &Descriptor) -> Sizes {
        backward_sizes::<F32>(params)
    }

    fn run_backward(params: &Lora, regions: Regions<'_>) {
        gradient::<F32>(params, regions);
    }
}

impl Definition for LoraApplyF16 {
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
        apply::<F16>(params, regions);
    }

    fn backward_sizes(params: &Lora, _: &Descriptor) -> Sizes {
        backward_sizes::<F16>(params)
    }

    fn run_backward(params: &Lora, regions: Regions<'_>) {
        gradient::<F16>(params, regions);
    }
}

fn accepts(params: &Lora) -> bool {
    params.rows != 0
        && params.in_features != 0
        && params.rank != 0
        && params.out_features != 0
        && params.scale.is_finite()
}

/// Bytes of A followed by B.
fn adapter_bytes<E: Element>(params: &Lora) -> Option<u32> {
    sum(&[
        bytes(&[params.in_features, params.rank], E::BYTES),
        bytes(&[params.rank, params.out_features], E::BYTES),
    ])
}

fn sizes<E: Element>(params: &Lora) -> Sizes {
    Sizes {
        input_a: bytes(&[params.rows, params.in_features], E::BYTES),
        input_b: adapter_bytes::<E>(params),
        output: bytes(&[params.rows, params.out_features], E::BYTES),
        scratch: bytes(&[params.rows, params.rank], F32::BYTES),
    }
}

fn backward_sizes<E: Element>(params: &Lora) -> Sizes {
    let Sizes {
        input_a: x,
        input_b: adapter,
        output: y,
        scratch: intermediate,
    } = sizes::<E>(params);
    Sizes {
        input_a: sum(&[y, x]),
        input_b: adapter,
        output: sum(&[x, adapter]),
        scratch: sum(&[intermediate, intermediate]),
    }
}

/// The dimensions as lengths.
struct Shape {
    input: usize,
    rank: usize,
    output: usize,
    rows: usize,
}

impl Shape {
    fn new(params: &Lora) -> Self {
        Self {
            input: params.in_features as usize,
            rank: params.rank as usize,
            output: params.out_features as usize,
            rows: params.rows as usize,
        }
    }
}

fn apply<E: Element>(params: &Lora, regions: Regions<'_>) {
    let shape = Shape::new(params);
    let x = E::view(regions.input_a);
    let (a, b) = E::view(regions.input_b).split_at(shape.input * shape.rank);
    let intermediate = &mut F32::view_mut(regions.scratch)[..shape.rows * shape.rank];
    let y = E::view_mut(regions.output);

    let rows = x
        .chunks_exact(shape.input)
        .zip(intermediate.chunks_exact_mut(shape.rank));
    for ((x, intermediate), y) in rows.zip(y.chunks_exact_mut(shape.output)) {
        multiply(x, a, shape.rank, |at, product| {
            intermediate[at] = F32::store(product);
        });
        // Multiplied even by a scale of 0, so that a NaN is not hidden.
        multiply(intermediate, b, shape.output, |at, product| {
            y[at] = E::store(y[at].load() + params.scale * product);
        });
    }
}

/// Vector times row-major matrix of that many columns; `take` receives every column's index and sum.
fn multiply<V: Element, E: Element>(
    vector: &[V],
    matrix: &[E],
    columns: usize,
    mut take: impl FnMut(usize, f32),
) {
    for first in (0..columns).step_by(COLUMNS) {
        let count = COLUMNS.min(columns - first);
        let mut totals = [0f32; COLUMNS];
        for (values, rows) in vector.chunks(TERMS).zip(matrix.chunks(TERMS * columns)) {
            let mut sums = [0f32; COLUMNS];
            for (value, row) in values.iter().zip(rows.chunks_exact(columns)) {
                let value = value.load();
                for (sum, element) in sums.iter_mut().zip(&row[first..first + count]) {
                    *sum += value * element.load();
                }
            }
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += sum;
            }
        }
        for (index, total) in totals[..count].iter().enumerate() {
            take(first + index, *total);
        }
    }
}

fn gradient<E: Element>(params: &Lora, regions: Regions<'_>) {
    let shape = Shape::new(params);
    let scale = params.scale;
    let (dy, x) = E::view(regions.input_a).split_at(shape.rows * shape.output);
    let (a, b) = E::view(regions.input_b).split_at(shape.input * shape.rank);
    let (dx, dadapter) = E::view_mut(regions.output).split_at_mut(shape.rows * shape.input);
    let (da, db) = dadapter.split_at_mut(shape.input * shape.rank);
    let (u, rest) = F32::view_mut(regions.scratch).split_at_mut(shape.rows * shape.rank);
    let h = &mut rest[..shape.rows * shape.rank];

    // u = scale * dy * B^T, h = x * A
    let rows = dy
        .chunks_exact(shape.output)
        .zip(x.chunks_exact(shape.input));
    let intermediates = u
        .chunks_exact_mut(shape.rank)
        .zip(h.chunks_exact_mut(shape.rank));
    for ((dy, x), (u, h)) in rows.zip(intermediates) {
        for (u, b) in u.iter_mut().zip(b.chunks_exact(shape.output)) {
            *u = F32::store(scale * dot(dy.iter().zip(b)));
        }
        multiply(x, a, shape.rank, |at, product| h[at] = F32::store(product));
    }

    // dx = u * A^T
    for (dx, u) in dx
        .chunks_exact_mut(shape.input)
        .zip(u.chunks_exact(shape.rank))
    {
        for (dx, a) in dx.iter_mut().zip(a.chunks_exact(shape.rank)) {
            *dx = E::store(dot(u.iter().zip(a)));
        }
    }

    // dA = x^T * u
    outer(da, (x, shape.input), (u, shape.rank), 1.0);
    // dB = scale * (x * A)^T * dy
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
    for (row, into) in into.chunks_exact_mut(right_columns).enumerate() {
        for (column, into) in into.iter_mut().enumerate() {
            let left = left.iter().skip(row).step_by(left_columns);
            let right = right.iter().skip(column).step_by(right_columns);
            *into = E::store(scale * dot(left.zip(right)));
        }
    }
}
