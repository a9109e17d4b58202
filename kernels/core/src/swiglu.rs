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
    Gate::new(beta).apply(x, gate)
}

/// The function of x and gate, for one beta.
///
/// e^-(beta * gate) is 2^(w * rate), where w = gate * power with the power of two that is in beta, so that |rate| is from log2(e)
/// to twice that. The relative error of an exponential is the absolute error of its argument, so the product is not rounded
/// before it is reduced: a multiple of 1 / rate is taken off w, in two parts, and the rest is small and exact but for 2^-25 of 1 / rate.
struct Gate {
    power: f32,
    rate: f32,
    /// The leading 16 bits of 1 / rate; their products with integers up to 2^8 are exact.
    period: f32,
    /// The rest.
    period_rest: f32,
    /// Beyond these the exponential is 0 or Inf as far as 1 + e^-z can tell.
    least: f32,
    greatest: f32,
}

impl Gate {
    fn new(beta: f32) -> Self {
        const FRACTION: u64 = (1 << 52) - 1;
        const ONE: u64 = 1023 << 52;
        let bits = f64::from(beta).to_bits();
        // Its sign and mantissa, and its exponent; of 0 the power is 0.
        let power = f64::from_bits(bits & (0x7ff << 52));
        let rate = -f64::from_bits(bits & (FRACTION | 1 << 63) | ONE) * core::f64::consts::LOG2_E;
        let period = f32::from_bits(((1.0 / rate) as f32).to_bits() & 0xffff_ff00);
        let (one, other) = ((128.0 / rate) as f32, (-126.0 / rate) as f32);
        Self {
            power: power as f32,
            rate: rate as f32,
            period,
            period_rest: (1.0 / rate - f64::from(period)) as f32,
            least: one.or_smaller(other),
            greatest: one.or_greater(other),
        }
    }

    /// e^-(beta * gate) within 2 units in the last place; 0 and Inf where that leaves the range by more than e^-87 and e^88.
    #[inline(always)]
    fn decay<L: Lanes>(&self, gate: L) -> L {
        // A NaN stays.
        let w = gate * L::splat(self.power);
        let w = w
            .or_smaller(L::splat(self.greatest))
            .or_greater(L::splat(self.least));
        // The sum's low bits are the nearest integer, as an exponent of f32.
        let shifter = L::splat(12_582_912.0 + 127.0);
        let shifted = w * L::splat(self.rate) + shifter;
        let multiple = shifted - shifter;
        let rest = w - multiple * L::splat(self.period) - multiple * L::splat(self.period_rest);
        let x = rest * L::splat(self.rate);
        // By pairs of terms, which do not wait for each other.
        let [one, two, three, four, five] = POWER_OF_TWO.map(L::splat);
        let square = x * x;
        let power = (two + three * x) + (four + five * x) * square;
        let power = (L::splat(1.0) + one * x) + power * square;
        power * shifted.to_bits().shift_left::<23>().to_floats()
    }
}

impl Elementwise for Gate {
    const OPERATIONS: usize = 20;

    #[inline(always)]
    fn apply<L: Lanes>(&self, x: L, gate: L) -> L {
        gate / (L::splat(1.0) + self.decay(gate)) * x
    }
}

/// 2^x - 1 from -1/2 to 1/2 within 2^-23.1 of 2^x: the coefficients of x, x^2 and so on, of the polynomial whose largest relative error is
/// smallest.
#[allow(clippy::approx_constant)] // near ln 2, not ln 2
const POWER_OF_TWO: [f32; 5] = [
    0.693_147,
    0.240_222_41,
    0.055_507_35,
    0.009_671_619,
    0.001_326_459_1,
];

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
    map::<L, E, E, _>(
        &Gate::new(params.beta),
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
