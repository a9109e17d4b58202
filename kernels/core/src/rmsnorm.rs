use core::marker::PhantomData;

use kernel_abi::{Descriptor, params::RmsNorm};

use crate::{
    check::{Definition, Sizes, bytes},
    element::{Element, F16, F32},
    elementwise::{self, Elementwise, map},
    lanes::Lanes,
    memory::Regions,
    slice::{rows, rows_mut, span, span_mut, split, split_mut},
    unroll::unroll,
};

/// rmsnorm_f32: y = x * (1 / sqrt(mean(x^2) + eps)) * w.
#[derive(Debug)]
pub struct RmsNormF32<L = f32>(PhantomData<L>);

/// rmsnorm_f16: as f32, rounded once at the end.
#[derive(Debug)]
pub struct RmsNormF16<L = f32>(PhantomData<L>);

/// Rows whose squares are summed side by side in base modules. Each row's sum is sequential, so only rows can overlap.
const ROWS: usize = 4;

/// Columns whose weights are widened together.
const COLUMNS: usize = 512;

/// Sums of a row that a variant keeps, each of as many lanes as it has.
const SUMS: usize = 4;

impl<L: Lanes> Definition for RmsNormF32<L> {
    type Params = RmsNorm;
    const ID: &'static str = "rmsnorm_f32";
    const PARAMS_SIZES: &'static [u32] = &[RmsNorm::SIZE as u32];
    const HAS_BACKWARD: bool = true;

    fn decode(bytes: &[u8]) -> Option<RmsNorm> {
        RmsNorm::from_le_bytes(bytes)
    }

    fn accepts(params: &RmsNorm) -> bool {
        accepts(params)
    }

    fn sizes(params: &RmsNorm, _: &Descriptor) -> Sizes {
        sizes::<F32>(params)
    }

    fn run(params: &RmsNorm, regions: Regions<'_>) {
        normalise::<L, F32>(params, regions);
    }

    fn backward_sizes(params: &RmsNorm, _: &Descriptor) -> Sizes {
        backward_sizes::<F32>(params)
    }

    fn run_backward(params: &RmsNorm, regions: Regions<'_>) {
        gradient::<F32>(params, regions);
    }
}

impl<L: Lanes> Definition for RmsNormF16<L> {
    type Params = RmsNorm;
    const ID: &'static str = "rmsnorm_f16";
    const PARAMS_SIZES: &'static [u32] = &[RmsNorm::SIZE as u32];
    const HAS_BACKWARD: bool = true;

    fn decode(bytes: &[u8]) -> Option<RmsNorm> {
        RmsNorm::from_le_bytes(bytes)
    }

    fn accepts(params: &RmsNorm) -> bool {
        accepts(params)
    }

    fn sizes(params: &RmsNorm, _: &Descriptor) -> Sizes {
        sizes::<F16>(params)
    }

    fn run(params: &RmsNorm, regions: Regions<'_>) {
        normalise::<L, F16>(params, regions);
    }

    fn backward_sizes(params: &RmsNorm, _: &Descriptor) -> Sizes {
        backward_sizes::<F16>(params)
    }

    fn run_backward(params: &RmsNorm, regions: Regions<'_>) {
        gradient::<F16>(params, regions);
    }
}

/// Sum of squares, sequential in f32.
pub fn sum_of_squares<E: Element>(row: &[E]) -> f32 {
    let mut sum = 0f32;
    let columns = const { elementwise::groups(2 + E::OPERATIONS) };
    let mut blocks = row.chunks_exact(columns);
    for block in &mut blocks {
        unroll!(64: columns, |i| add_square(&mut sum, block[i]));
    }
    for &x in blocks.remainder() {
        add_square(&mut sum, x);
    }
    sum
}

/// sqrt(mean(x^2) + eps) of a row and its inverse, from the row's sum of squares.
#[inline(never)]
pub fn row_factor(params: &RmsNorm, sum: f32) -> (f32, f32) {
    let root = square_root(sum / params.hidden as f32 + params.eps);
    (root, 1.0 / root)
}

/// The root, rounded correctly, as all of these are. In a module the C name is what the compiler knows as the instruction
/// `f32.sqrt`; the function of this name, which the compiler's own library has, is left for numbers below zero.
fn square_root(x: f32) -> f32 {
    #[cfg(target_arch = "wasm32")]
    {
        // SAFETY: the function of every C library, with its type; it takes all numbers.
        #[allow(unsafe_code)]
        unsafe extern "C" {
            safe fn sqrtf(x: f32) -> f32;
        }
        sqrtf(x)
    }
    #[cfg(not(target_arch = "wasm32"))]
    libm::sqrtf(x)
}

fn accepts(params: &RmsNorm) -> bool {
    params.rows != 0 && params.hidden != 0 && params.eps >= 0.0 && params.eps.is_finite()
}

fn sizes<E: Element>(params: &RmsNorm) -> Sizes {
    let rows = bytes(&[params.rows, params.hidden], E::BYTES);
    Sizes {
        input_a: rows,
        input_b: bytes(&[params.hidden], E::BYTES),
        output: rows,
        scratch: 0,
    }
}

fn backward_sizes<E: Element>(params: &RmsNorm) -> Sizes {
    let Sizes {
        input_a: rows,
        input_b: weight,
        ..
    } = sizes::<E>(params);
    Sizes {
        input_a: rows + rows,
        input_b: weight,
        output: rows + weight,
        scratch: bytes(&[params.hidden], F32::BYTES),
    }
}

fn normalise<L: Lanes, E: Element>(params: &RmsNorm, regions: Regions<'_>) {
    let hidden = params.hidden as usize;
    let x = E::view(regions.input_a);
    let weight = E::view(regions.input_b);
    let y = E::view_mut(regions.output);
    // Scratch is optional: too small for all rows, it is left alone.
    let roots = F32::view_mut(regions.scratch);
    let roots = roots.get_mut(..params.rows as usize).unwrap_or(&mut []);
    let mut roots = roots.iter_mut();

    let mut factor = |sum: f32| {
        let (root, factor) = row_factor(params, sum);
        if let Some(into) = roots.next() {
            *into = F32::store(root);
        }
        factor
    };

    if const { L::COUNT > 1 && E::OPERATIONS == 1 } {
        for (x, y) in rows(x, hidden).zip(rows_mut(y, hidden)) {
            let factor = factor(sum_of_squares_in_lanes::<L, E>(x));
            map::<L, E, E, _>(&Scale { factor }, x, weight, y);
        }
        return;
    }
    by_rows::<L, E, ROWS>((x, hidden), weight, y, factor);
}

/// Normalises `R` rows together: in base modules because of their sums, of f16 because they share the widened weights.
#[inline(always)]
fn by_rows<L: Lanes, E: Element, const R: usize>(
    (x, hidden): (&[E], usize),
    weight: &[E],
    y: &mut [E],
    mut factor: impl FnMut(f32) -> f32,
) {
    let group = (R * hidden).max(1);
    for (x, y) in x.chunks(group).zip(y.chunks_mut(group)) {
        let mut factors = [0.0; R];
        sums_of_rows::<L, E>(x, hidden, &mut factors);
        for (place, _) in factors.iter_mut().zip(rows(x, hidden)) {
            *place = factor(*place);
        }
        scale::<L, E>((x, hidden), &factors, weight, y);
    }
}

/// y = x * factor * weight for some rows, each with its factor.
#[inline(always)]
fn scale<L: Lanes, E: Element>(
    (x, hidden): (&[E], usize),
    factors: &[f32],
    weight: &[E],
    y: &mut [E],
) {
    if const { E::OPERATIONS == 1 } {
        let rows = rows(x, hidden).zip(rows_mut(y, hidden));
        for ((x, y), &factor) in rows.zip(factors) {
            map::<L, E, E, _>(&Scale { factor }, x, weight, y);
        }
        return;
    }
    // Weights are widened once for all rows, some columns at a time.
    let mut first = 0;
    for weight in weight.chunks(COLUMNS) {
        let mut wide = [F32::default(); COLUMNS];
        elementwise::convert::<L, E, F32>(weight, &mut wide);
        let wide = split(&wide, weight.len()).0;
        let rows = rows(x, hidden).zip(rows_mut(y, hidden));
        for ((x, y), &factor) in rows.zip(factors) {
            let x = span(x, first, weight.len());
            let y = span_mut(y, first, weight.len());
            map::<L, E, F32, _>(&Scale { factor }, x, wide, y);
        }
        first += COLUMNS;
    }
}

/// Sums of squares of some rows, in their order.
#[inline(always)]
fn sums_of_rows<L: Lanes, E: Element>(x: &[E], hidden: usize, sums: &mut [f32]) {
    if L::COUNT == 1 && x.len() == ROWS * hidden {
        if let Some(sums) = sums.first_chunk_mut() {
            *sums = sums_of_squares(x, hidden);
        }
        return;
    }
    for (sum, row) in sums.iter_mut().zip(rows(x, hidden)) {
        *sum = if L::COUNT == 1 {
            sum_of_squares(row)
        } else {
            sum_of_squares_in_lanes::<L, E>(row)
        };
    }
}

/// x * factor * weight.
struct Scale {
    factor: f32,
}

impl Elementwise for Scale {
    const OPERATIONS: usize = 2;

    #[inline(always)]
    fn apply<L: Lanes>(&self, x: L, weight: L) -> L {
        x * L::splat(self.factor) * weight
    }
}

/// [`sum_of_squares`] of `ROWS` rows: additions of one row wait for each other, those of several rows do not.
fn sums_of_squares<E: Element>(group: &[E], hidden: usize) -> [f32; ROWS] {
    let (a, rest) = split(group, hidden);
    let (b, rest) = split(rest, hidden);
    let (c, d) = split(rest, hidden);
    let mut sums = [0.0; ROWS];
    let columns = const { columns::<E>() };
    let [mut a, mut b, mut c, mut d] = [a, b, c, d].map(|row| row.chunks_exact(columns));
    for (((a, b), c), d) in (&mut a).zip(&mut b).zip(&mut c).zip(&mut d) {
        unroll!(16: columns, |i| {
            add_square(&mut sums[0], a[i]);
            add_square(&mut sums[1], b[i]);
            add_square(&mut sums[2], c[i]);
            add_square(&mut sums[3], d[i]);
        });
    }
    for (sum, row) in sums.iter_mut().zip([a, b, c, d]) {
        for &x in row.remainder() {
            add_square(sum, x);
        }
    }
    sums
}

/// Columns of a group of rows per loop back edge. Twice as many cost more than the checks that they save.
const fn columns<E: Element>() -> usize {
    if E::OPERATIONS == 1 { 16 } else { 8 }
}

#[inline(always)]
fn add_square<E: Element>(sum: &mut f32, x: E) {
    let x = x.load();
    *sum += x * x;
}

/// Sum of squares in the order of variants: with n lanes, element i belongs to sum i mod 4n; less than 4n elements at the end
/// belong to the first n sums, and less than n are added last. The sums are added (0 + 1) + (2 + 3), group by group, then
/// the lanes.
fn sum_of_squares_in_lanes<L: Lanes, E: Element>(row: &[E]) -> f32 {
    let square = |from: &[E]| {
        let x = E::load_lanes::<L>(from);
        x * x
    };
    let add_pair = |sums: &mut [L; SUMS], at: usize, from: &[E]| {
        let [x, next] = E::load_pair::<L>(span(from, at * L::COUNT, 2 * L::COUNT));
        sums[at % SUMS] = sums[at % SUMS] + x * x;
        sums[at % SUMS + 1] = sums[at % SUMS + 1] + next * next;
    };
    let mut sums = [L::splat(0.0); SUMS];
    let groups = const { SUMS * (elementwise::groups(2 + E::OPERATIONS) / SUMS) };
    let mut blocks = row.chunks_exact(groups * L::COUNT);
    for block in &mut blocks {
        unroll!(32: groups / 2, |i| add_pair(&mut sums, 2 * i, block));
    }
    let mut blocks = blocks.remainder().chunks_exact(SUMS * L::COUNT);
    for block in &mut blocks {
        unroll!(4: SUMS / 2, |i| add_pair(&mut sums, 2 * i, block));
    }
    let [mut a, b, c, d] = sums;
    let mut steps = blocks.remainder().chunks_exact(L::COUNT);
    for step in &mut steps {
        a = a + square(step);
    }
    let sum = ((a + b) + (c + d)).reduce(|a, b| a + b);
    steps.remainder().iter().fold(sum, |mut sum, &x| {
        add_square(&mut sum, x);
        sum
    })
}

fn gradient<E: Element>(params: &RmsNorm, regions: Regions<'_>) {
    let hidden = params.hidden as usize;
    let (dy, x) = split(regions.input_a, regions.input_a.len() / 2);
    let (dy, x) = (E::view(dy), E::view(x));
    let weight = E::view(regions.input_b);
    let (dx, dw) = split_mut(E::view_mut(regions.output), x.len());
    let (dw_sums, _) = split_mut(F32::view_mut(regions.scratch), hidden);
    dw_sums.fill(F32::store(0.0));

    let inputs = rows(dy, hidden).zip(rows(x, hidden));
    for ((dy, x), dx) in inputs.zip(rows_mut(dx, hidden)) {
        let (_, factor) = row_factor(params, sum_of_squares(x));
        let elements = || dy.iter().zip(x).zip(weight);
        let mut product = 0f32;
        for ((dy, x), weight) in elements() {
            product += weight.load() * dy.load() * x.load();
        }
        let correction = factor * factor * factor / params.hidden as f32 * product;
        for ((((dy, x), weight), dx), sum) in elements().zip(dx).zip(&mut *dw_sums) {
            let (dy, x, weight) = (dy.load(), x.load(), weight.load());
            *dx = E::store(factor * weight * dy - x * correction);
            *sum = F32::store(sum.load() + dy * x * factor);
        }
    }
    for (dw, sum) in dw.iter_mut().zip(dw_sums) {
        *dw = E::store(sum.load());
    }
}
