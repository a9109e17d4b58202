use kernel_abi::{Descriptor, params::Swiglu};

use core::marker::PhantomData;

use crate::{
    check::{Definition, Sizes, bytes},
    element::{Element, F16, F32},
    elementwise::{Elementwise, map},
    lanes::{Lanes, Words},
    memory::Regions,
    slice::{split, split_mut},
};

/// swiglu_f32: y = gate * sigmoid(beta * gate) * x.
#[derive(Debug)]
pub struct SwigluF32<L = f32>(PhantomData<L>);

/// swiglu_f16: as f32, rounded once at the end.
#[derive(Debug)]
pub struct SwigluF16<L = f32>(PhantomData<L>);

impl<L: Lanes> Definition for SwigluF32<L> {
    type Params = Swiglu;
    const ID: &'static str = "swiglu_f32";
    const PARAMS_SIZES: &'static [u32] = &[Swiglu::SIZE as u32];
    const HAS_BACKWARD: bool = true;

    fn decode(bytes: &[u8]) -> Option<Swiglu> {
        Swiglu::from_le_bytes(bytes)
    }

    fn accepts(params: &Swiglu) -> bool {
        accepts(params)
    }

    fn sizes(params: &Swiglu, _: &Descriptor) -> Sizes {
        sizes::<F32>(params)
    }

    fn run(params: &Swiglu, regions: Regions<'_>) {
        gate::<L, F32>(params, regions);
    }

    fn backward_sizes(params: &Swiglu, _: &Descriptor) -> Sizes {
        backward_sizes::<F32>(params)
    }

    fn run_backward(params: &Swiglu, regions: Regions<'_>) {
        gradient::<F32>(params, regions);
    }
}

impl<L: Lanes> Definition for SwigluF16<L> {
    type Params = Swiglu;
    const ID: &'static str = "swiglu_f16";
    const PARAMS_SIZES: &'static [u32] = &[Swiglu::SIZE as u32];
    const HAS_BACKWARD: bool = true;

    fn decode(bytes: &[u8]) -> Option<Swiglu> {
        Swiglu::from_le_bytes(bytes)
    }

    fn accepts(params: &Swiglu) -> bool {
        accepts(params)
    }

    fn sizes(params: &Swiglu, _: &Descriptor) -> Sizes {
        sizes::<F16>(params)
    }

    fn run(params: &Swiglu, regions: Regions<'_>) {
        gate::<L, F16>(params, regions);
    }

    fn backward_sizes(params: &Swiglu, _: &Descriptor) -> Sizes {
        backward_sizes::<F16>(params)
    }

    fn run_backward(params: &Swiglu, regions: Regions<'_>) {
        gradient::<F16>(params, regions);
    }
}

/// gate * sigmoid(beta * gate) * x in f32.
#[inline(always)]
pub fn swiglu(beta: f32, gate: f32, x: f32) -> f32 {
    Gate { beta }.apply(x, gate)
}

/// The function of x and gate, for one beta.
struct Gate {
    beta: f32,
}

impl Elementwise for Gate {
    const OPERATIONS: usize = 90;

    #[inline(always)]
    fn apply<L: Lanes>(&self, x: L, gate: L) -> L {
        let one = L::splat(1.0);
        let decay = exp_of_negated_product(L::splat(self.beta), gate);
        gate * (one / (one + decay)) * x
    }
}

/// e^-(a * b) within 2 units in the last place; 0 and Inf where that leaves the range by more than e^-87 and e^88.
///
/// The relative error of an exponential is the absolute error of its argument, so the rounding error of the product counts:
/// at 80 it alone would cost 2^-18 of the result. It is computed exactly (Dekker's product) and taken off. Then Cody and
/// Waite's reduction by multiples of ln 2 and Cephes' polynomial.
#[inline(always)]
fn exp_of_negated_product<L: Lanes>(a: L, b: L) -> L {
    let (zero, words) = (L::splat(0.0), L::Words::splat);
    let high = |value: L| (value.to_bits() & words(0xffff_f000)).to_floats();
    let (a_high, b_high) = (high(a), high(b));
    let (a_low, b_low) = (a - a_high, b - b_high);
    let product = a * b;
    let error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;

    // Beyond these bounds the result is 0 or Inf as far as 1 + e^-z can tell, and the error is of no account. A NaN stays.
    let pick = |mask: L::Words, yes: L, no: L| mask.select(yes.to_bits(), no.to_bits()).to_floats();
    let (least, greatest) = (L::splat(-89.0), L::splat(87.0));
    let (below, above) = (product.less(least), greatest.less(product));
    let error = pick(below | above, zero, error);
    let product = pick(below, least, pick(above, greatest, product));

    // The sum's low bits are the nearest integer.
    let shifter = L::splat(12_582_912.0);
    let shifted = shifter - product * L::splat(core::f32::consts::LOG2_E);
    let multiple = shifted - shifter;
    let reduced =
        zero - product - multiple * L::splat(LN_2_HIGH) - multiple * L::splat(LN_2_LOW) - error;
    let mut polynomial = L::splat(1.987_569_1e-4);
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_6e-1,
        0.5,
    ] {
        polynomial = polynomial * reduced + L::splat(coefficient);
    }
    let power = polynomial * (reduced * reduced) + reduced + L::splat(1.0);
    // 2^(n - 1), then doubled: 2^128 is no f32.
    let exponent = shifted.to_bits().plus(words(126)).shift_left::<23>();
    power * exponent.to_floats() * L::splat(2.0)
}

/// The leading bits of ln 2; its products with integers below 2^9 are exact.
const LN_2_HIGH: f32 = f32::from_bits(0x3f31_7200);
/// The rest.
const LN_2_LOW: f32 = f32::from_bits(0x35bf_be8e);

fn accepts(params: &Swiglu) -> bool {
    params.rows != 0 && params.hidden != 0 && params.beta.is_finite()
}

fn sizes<E: Element>(params: &Swiglu) -> Sizes {
    let rows = bytes(&[params.rows, params.hidden], E::BYTES);
    Sizes {
        input_a: rows,
        input_b: rows,
        output: rows,
        scratch: 0,
    }
}

fn backward_sizes<E: Element>(params: &Swiglu) -> Sizes {
    let Sizes { input_a: rows, .. } = sizes::<E>(params);
    let both = rows + rows;
    Sizes {
        input_a: both,
        input_b: rows,
        output: both,
        scratch: 0,
    }
}

fn gate<L: Lanes, E: Element>(params: &Swiglu, regions: Regions<'_>) {
    map::<L, E, _>(
        &Gate { beta: params.beta },
        E::view(regions.input_a),
        E::view(regions.input_b),
        E::view_mut(regions.output),
    );
}

/// 1 / (1 + e^-z): 0 for -Inf.
fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-z))
}

fn gradient<E: Element>(params: &Swiglu, regions: Regions<'_>) {
    let beta = f64::from(params.beta);
    let (dy, x) = split(regions.input_a, regions.input_a.len() / 2);
    let (dy, x) = (E::view(dy), E::view(x));
    let gate = E::view(regions.input_b);
    let (dx, dgate) = split_mut(E::view_mut(regions.output), x.len());
    for ((((dy, x), gate), dx), dgate) in dy.iter().zip(x).zip(gate).zip(dx).zip(dgate) {
        let [dy, x, gate] = [dy, x, gate].map(|element| f64::from(element.load()));
        let sigmoid = sigmoid(beta * gate);
        *dx = E::store((dy * gate * sigmoid) as f32);
        let slope = sigmoid * (1.0 + beta * gate * (1.0 - sigmoid));
        *dgate = E::store((dy * x * slope) as f32);
    }
}
