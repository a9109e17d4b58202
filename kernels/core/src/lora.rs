use kernel_abi::{Descriptor, params::Lora};

use crate::{
    check::{Definition, Sizes, bytes, sum},
    element::{Element, F16, F32},
    memory::Regions,
    slice::{rows, rows_mut, span, split, split_mut},
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
    let (a, b) = split(E::view(regions.input_b), shape.input * shape.rank);
    let intermediate = F32::view_mut(regions.scratch);
    let y = E::view_mut(regions.output);

    let inputs = rows(x, shape.input).zip(rows_mut(intermediate, shape.rank));
    for ((x, intermediate), y) in inputs.zip(rows_mut(y, shape.output)) {
        multiply(x, a, intermediate, |_, product| product);
        // Multiplied even by a scale of 0, so that a NaN is not hidden.
        multiply(intermediate, b, y, |base, product| {
            base + params.scale * product
        });
    }
}

/// Vector times row-major matrix; `finish` makes the new value of an output element from its old value and the product.
fn multiply<V: Element, E: Element, O: Element>(
    vector: &[V],
    matrix: &[E],
    output: &mut [O],
    finish: impl Fn(f32, f32) -> f32,
) {
    let columns = output.len();
    for (index, output) in output.chunks_mut(COLUMNS).enumerate() {
        let first = index * COLUMNS;
        let mut totals = [0f32; COLUMNS];
        let terms = vector
            .chunks(TERMS)
            .zip(matrix.chunks((TERMS * columns).max(1)));
        for (values, matrix_rows) in terms {
            let mut sums = [0f32; COLUMNS];
            for (value, row) in values.iter().zip(rows(matrix_rows, columns)) {
                let value = value.load();
                for (sum, element) in sums.iter_mut().zip(span(row, first, output.len())) {
                    *sum += value * element.load();
                }
            }
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += sum;
            }
        }
        for (output, total) in output.iter_mut().zip(totals) {
            *output = O::store(finish(output.load(), total));
        }
    }
}

fn gradient<E: Element>(params: &Lora, regions: Regions<'_>) {
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
        multiply(x, a, h, |_, product| product);
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
