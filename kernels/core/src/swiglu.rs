use kernel_abi::{Descriptor, params::Swiglu};

use core::marker::PhantomData;

use crate::{
    check::{Definition, Sizes, bytes},
    element::{Element, F16, F32},
    elementwise::{Elementwise, convert_pair, in_passes, map, map_rest, pair_of, pair_of_mut},
    lanes::{Lanes, Words},
    memory::Regions,
    slice::{split, split_mut},
    unroll::{in_order, unroll},
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
/// e^-(beta * gate) is 2^(w * rate), where w = gate * power. The relative error of an exponential is the absolute error of its argument,
/// so the product is not rounded before it is reduced: a multiple of 1 / rate is taken off w, in two parts, and the rest is small and
/// exact but for 2^-25 of 1 / rate.
struct Gate {
    /// 1 where beta is from 2^-16 to 2^16, and all that is computed from it keeps away from the limits of f32. Else the power of two that is in
    /// beta, and for beta = 0 it is 0.
    power: f32,
    /// -log2(e) times what the power leaves of beta.
    rate: f32,
    /// The leading 16 bits of 1 / rate; their products with integers up to 2^8 are exact.
    period: f32,
    /// The rest.
    period_rest: f32,
    /// Beyond these the exponential is 0 or Inf as far as 1 + e^-z can tell.
    least: f32,
    greatest: f32,
    /// The coefficients of 2^(rest * rate) - 1.
    terms: [f32; 5],
}

impl Gate {
    fn new(beta: f32) -> Self {
        const FRACTION: u64 = (1 << 52) - 1;
        const ONE: u64 = 1023 << 52;
        let beta = f64::from(beta);
        let bits = beta.to_bits();
        let exponent = bits >> 52 & 0x7ff;
        let (power, times) = if (1023 - 16..1023 + 16).contains(&exponent) {
            (1.0, beta)
        } else {
            let fraction = bits & (FRACTION | 1 << 63) | ONE;
            (f64::from_bits(exponent << 52), f64::from_bits(fraction))
        };
        let rate = -times * core::f64::consts::LOG2_E;
        let period = f32::from_bits(((1.0 / rate) as f32).to_bits() & 0xffff_ff00);
        let (one, other) = ((128.0 / rate) as f32, (-126.0 / rate) as f32);
        let mut factor = 1.0;
        let terms = POWER_OF_TWO.map(|term| {
            factor *= rate;
            (f64::from(term) * factor) as f32
        });
        Self {
            power: power as f32,
            rate: rate as f32,
            period,
            period_rest: (1.0 / rate - f64::from(period)) as f32,
            least: one.or_smaller(other),
            greatest: one.or_greater(other),
            terms,
        }
    }

    /// w * rate as a whole number, in the low bits as an exponent of f32, and as what is left of w.
    #[inline(always)]
    fn reduce<L: Lanes>(&self, w: L) -> (L, L) {
        // A NaN stays.
        let w = w
            .or_smaller(L::splat(self.greatest))
            .or_greater(L::splat(self.least));
        let shifter = L::splat(12_582_912.0 + 127.0);
        let shifted = w * L::splat(self.rate) + shifter;
        let multiple = shifted - shifter;
        let rest = w - multiple * L::splat(self.period) - multiple * L::splat(self.period_rest);
        (shifted, rest)
    }

    /// e^-(beta * gate) within 2 units in the last place; 0 and Inf where that leaves the range by more than e^-87 and e^88.
    #[inline(always)]
    fn exponential<L: Lanes>(&self, (shifted, rest): (L, L)) -> L {
        // By pairs of terms, which do not wait for each other.
        let [one, two, three, four, five] = self.terms.map(L::splat);
        let square = rest * rest;
        let power = (two + three * rest) + (four + five * rest) * square;
        let power = (L::splat(1.0) + one * rest) + power * square;
        power * shifted.to_bits().shift_left::<23>().to_floats()
    }

    /// The function of whole runs of elements, in passes ([`in_order`]); returns of how many elements. The power is 1.
    #[inline(always)]
    fn passes<L: Lanes, E: Element>(&self, x: &[E], gate: &[E], y: &mut [E]) -> usize {
        let step = GROUPS * L::COUNT;
        let mut waiting = [[F32::default(); 4 * GROUPS]; 3];
        let [shifted, rest, wide] = core::hint::black_box(&mut waiting);
        let inputs = x.chunks_exact(step).zip(gate.chunks_exact(step));
        for ((x, gate), y) in inputs.zip(y.chunks_exact_mut(step)) {
            unroll!(8: GROUPS / 2, |i| {
                let gates = E::load_pair::<L>(pair_of::<L, E>(i, gate));
                if const { in_passes::<L, E>() } {
                    F32::store_pair(gates, pair_of_mut::<L, F32>(i, wide));
                }
                let [first, next] = gates.map(|gate| self.reduce(gate));
                F32::store_pair([first.0, next.0], pair_of_mut::<L, F32>(i, shifted));
                F32::store_pair([first.1, next.1], pair_of_mut::<L, F32>(i, rest));
            });
            in_order();
            unroll!(8: GROUPS / 2, |i| {
                let [first, next] = F32::load_pair::<L>(pair_of::<L, F32>(i, shifted));
                let [first_rest, next_rest] = F32::load_pair::<L>(pair_of::<L, F32>(i, rest));
                let pair = [(first, first_rest), (next, next_rest)];
                let pair = pair.map(|reduced| self.exponential(reduced));
                F32::store_pair(pair, pair_of_mut::<L, F32>(i, shifted));
            });
            in_order();
            unroll!(8: GROUPS / 2, |i| {
                let [decay, next_decay] = F32::load_pair::<L>(pair_of::<L, F32>(i, shifted));
                let [x, next_x] = E::load_pair::<L>(pair_of::<L, E>(i, x));
                let [gate, next_gate] = if const { in_passes::<L, E>() } {
                    F32::load_pair::<L>(pair_of::<L, F32>(i, wide))
                } else {
                    E::load_pair::<L>(pair_of::<L, E>(i, gate))
                };
                let pair = [
                    product(gate, decay, x),
                    product(next_gate, next_decay, next_x),
                ];
                if const { in_passes::<L, E>() } {
                    F32::store_pair(pair, pair_of_mut::<L, F32>(i, rest));
                } else {
                    E::store_pair(pair, pair_of_mut::<L, E>(i, y));
                }
            });
            if const { in_passes::<L, E>() } {
                in_order();
                unroll!(8: GROUPS / 2, |i| convert_pair::<L, F32, E>(i, rest, y));
            }
        }
        x.len() / step * step
    }
}

/// Groups of lanes that go through all passes together.
const GROUPS: usize = 16;

/// (gate / (1 + decay)) * x.
#[inline(always)]
fn product<L: Lanes>(gate: L, decay: L, x: L) -> L {
    gate / (L::splat(1.0) + decay) * x
}

impl Elementwise for Gate {
    const OPERATIONS: usize = 20;

    #[inline(always)]
    fn apply<L: Lanes>(&self, x: L, gate: L) -> L {
        let reduced = self.reduce(gate * L::splat(self.power));
        product(gate, self.exponential(reduced), x)
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
    let f = Gate::new(params.beta);
    let x = E::view(regions.input_a);
    let gate = E::view(regions.input_b);
    let y = E::view_mut(regions.output);
    if const { L::COUNT == 1 } {
        return map::<L, E, E, _>(&f, x, gate, y);
    }
    let done = if f.power == 1.0 {
        f.passes::<L, E>(x, gate, y)
    } else {
        0
    };
    let (x, gate, y) = (split(x, done).1, split(gate, done).1, split_mut(y, done).1);
    map_rest::<L, E, E, _>(&f, x, gate, y);
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
