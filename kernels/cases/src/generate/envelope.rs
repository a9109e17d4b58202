//! What a run draws for itself: the shapes and parameters of real models, and what lies right beside them.

use super::{
    draft::{self, Angles, Draft, Family, Mistake, RopeTensor},
    values::{Class, Float, Values},
};
use proptest::{
    array::uniform4,
    prelude::{BoxedStrategy, Strategy, any},
    prop_oneof,
};

/// Elements of most tensors, at most.
const USUAL_ELEMENTS: u32 = 16 << 10;
/// The same for one case of each kernel.
const MANY_ELEMENTS: u32 = 128 << 10;
/// The same for one gradient of each kernel that has one.
const MANY_OF_GRADIENT: u32 = 48 << 10;
/// The same for one case of some kernels: tensors of 4 MiB.
const MOST_ELEMENTS: u32 = 1 << 20;

/// Columns of a row of squares that may be of any class, at most.
const LONG_ROW: u32 = 4096;
/// Multiplications of an adapter, at most; for one case 16 times as many.
const MULTIPLICATIONS: u32 = 128 << 10;

/// Hidden and intermediate dimensions of models, in elements.
const WIDTHS: [u32; 22] = [
    32, 64, 96, 128, 256, 320, 512, 768, 896, 1024, 1152, 1536, 2048, 2560, 3072, 3584, 4096, 5120,
    6144, 8192, 11_008, 14_336,
];
/// Primes, of which no unrolled loop makes whole rounds.
const PRIMES: [u32; 12] = [
    31, 37, 61, 67, 127, 251, 509, 1021, 2039, 4093, 8191, 13_007,
];
/// Widths where there are many rows.
const NARROW: [u32; 12] = [1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 48];
/// Rows, or tokens.
const ROWS: [u32; 22] = [
    1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 128, 255, 256, 257, 512,
];
/// Ranks of adapters.
const RANKS: [u32; 20] = [
    1, 2, 3, 4, 7, 8, 8, 8, 9, 15, 16, 16, 16, 17, 32, 33, 64, 100, 128, 256,
];
/// Inputs and outputs of adapters whose rank is what matters.
const COLUMNS: [u32; 10] = [16, 32, 48, 63, 64, 65, 80, 96, 128, 200];
const HEADS: [u32; 12] = [1, 1, 2, 4, 7, 8, 9, 16, 25, 32, 40, 64];
/// Halves of a head's dimension.
const PAIRS: [u32; 9] = [32, 32, 40, 48, 64, 64, 80, 96, 128];

const CLASSES: [Class; 10] = {
    use Class::*;
    [
        Normal,
        Normal,
        Normal,
        Constant,
        SignedZeros,
        Small,
        Large,
        Mixed,
        Denormal,
        Specials,
    ]
};
const QUANTISED: [Class; 9] = {
    use Class::*;
    [
        Normal, Mixed, Ties, BesideTies, BesideTies, BesideTies, Small, Large, Specials,
    ]
};

/// Drafts of case number `index`; `large` where this kernel gets tensors of 4 MiB.
pub(super) fn drafts(family: Family, index: u32, large: bool) -> BoxedStrategy<Draft> {
    let max_elements = match index {
        _ if index.is_multiple_of(4) => return draft::drafts(family).boxed(),
        1 => MANY_ELEMENTS,
        2 if large => MOST_ELEMENTS,
        5 => MANY_OF_GRADIENT,
        _ => USUAL_ELEMENTS,
    };
    let dimensions = dimensions(family, index, max_elements);
    let classes: &'static [Class] = match family {
        Family::Pack(_) => &QUANTISED,
        _ => &CLASSES,
    };
    let angles: &'static [Angles] = {
        use Angles::*;
        &[Computed, Computed, Given, Tables, HalfTables]
    };
    (
        dimensions,
        scalars(family),
        draft::pick(angles),
        0..=1u32,
        uniform4(draft::values(classes)),
        draft::pick(if index == 5 {
            &[true]
        } else {
            &[false, false, true]
        }),
        draft::pick(&[0u32, 0, 1, 16, 100]),
    )
        .prop_map(
            move |(dimensions, scalar, angles, layout, tensors, backward, more_scratch)| Draft {
                max_elements,
                dimensions: affordable(family, dimensions, max_elements),
                scalar,
                angles,
                layout,
                tensors: summable(family, dimensions, sized(index, tensors)),
                backward,
                more_scratch,
                mistake: Mistake::None,
            },
        )
        .boxed()
}

/// Tensors whose values are all of one exponent: in some cases the first, in some the second, in others all of them. The cases of a run share the range
/// of exponents out among themselves, so that each run has some of every part of it.
fn sized(index: u32, tensors: [Values; 4]) -> [Values; 4] {
    let (which, from, to) = match (index % 8, index / 8 % 2) {
        // Products of three or four do not overflow everywhere.
        (7, 0) => (0..4, 1, 88),
        (7, _) => (0..4, 135, 188),
        (3, _) => {
            let third = index / 8 % 3;
            (0..1, 1 + third * 85, 85 + third * 85)
        }
        (2 | 6, _) => {
            let fifth = index / 4 % 5;
            (1..2, 1 + fifth * 51, 51 + fifth * 51)
        }
        _ => return tensors,
    };
    let exponent = from + (tensors[0].seed % u64::from(to - from)) as u32;
    let mut sized = tensors;
    for tensor in &mut sized[which] {
        tensor.class = Class::OneSize(exponent as u8);
    }
    sized
}

/// Of long rows no sums of squares over many orders of magnitude: what is added one after the other in f32, as the base module does, then
/// drifts beyond the contract's tolerance from some 8192 columns on, always to the same side.
fn summable(family: Family, [_, hidden, ..]: [u32; 4], tensors: [Values; 4]) -> [Values; 4] {
    let is_long = matches!(family, Family::RmsNorm(Float::F32)) && hidden > LONG_ROW;
    tensors.map(|tensor| match tensor.class {
        Class::Small | Class::Large | Class::OneSize(_) if is_long => Values {
            class: Class::Normal,
            ..tensor
        },
        _ => tensor,
    })
}

/// Fewer rows, where an adapter would multiply too often.
fn affordable(family: Family, dimensions: [u32; 4], max_elements: u32) -> [u32; 4] {
    let Family::Lora(_) = family else {
        return dimensions;
    };
    let [rows, input, rank, output] = dimensions;
    let most = match max_elements {
        USUAL_ELEMENTS => MULTIPLICATIONS,
        _ => 16 * MULTIPLICATIONS,
    };
    let rows = rows.min(most / (rank * (input + output))).max(1);
    [rows, input, rank, output]
}

/// A width of models, or one right beside it.
fn widths() -> BoxedStrategy<u32> {
    let beside = (
        draft::pick(&WIDTHS),
        draft::pick(&[-16i32, -1, 0, 0, 0, 1, 7, 16]),
    );
    prop_oneof![
        4 => beside.prop_map(|(width, by)| width.saturating_add_signed(by)),
        1 => draft::pick(&PRIMES),
    ]
    .boxed()
}

/// Dimensions in the family's own order: in turn wide ones, and many rows of narrow ones.
fn dimensions(family: Family, index: u32, max_elements: u32) -> [BoxedStrategy<u32>; 4] {
    let one = || (1..=1u32).boxed();
    // As many as the elements allow.
    let rows = || match max_elements {
        MANY_OF_GRADIENT => draft::pick(&[512u32]).boxed(),
        _ => draft::pick(&ROWS).boxed(),
    };
    let wide = index.is_multiple_of(2) || max_elements > USUAL_ELEMENTS;
    let width = || {
        if wide {
            widths()
        } else {
            draft::pick(&NARROW).boxed()
        }
    };
    let blocks = || width().prop_map(|width| width.div_ceil(32)).boxed();
    match family {
        // batch, seq, heads, pairs
        Family::Rope(RopeTensor::Float(_)) if wide => [
            (1..=2u32).boxed(),
            rows(),
            draft::pick(&HEADS).boxed(),
            draft::pick(&PAIRS).boxed(),
        ],
        // Up to 8192 positions, of small heads.
        Family::Rope(RopeTensor::Float(_)) => [
            one(),
            draft::pick(&[100u32, 1000, 2048, 4096, 8191, 8192]).boxed(),
            one(),
            (1..=3u32).boxed(),
        ],
        // batch, seq, heads, blocks
        Family::Rope(RopeTensor::Q8) => [
            (1..=2u32).boxed(),
            rows(),
            draft::pick(&HEADS).boxed(),
            draft::pick(&[1u32, 2, 2, 3, 4, 4, 8]).boxed(),
        ],
        Family::RmsNorm(_) | Family::Swiglu(_) => [rows(), width(), one(), one()],
        Family::Pack(_) | Family::Unpack(_) => [rows(), blocks(), one(), one()],
        // rows, in, rank, out
        Family::Lora(_) if wide => [rows(), widths(), draft::pick(&RANKS).boxed(), widths()],
        Family::Lora(_) => {
            let columns = || draft::pick(&COLUMNS).boxed();
            [rows(), columns(), draft::pick(&RANKS).boxed(), columns()]
        }
    }
}

/// theta from 1e2 to 1e8 and eps from 1e-12 to 0.1, each order of magnitude as often; others as in the fixed cases.
fn scalars(family: Family) -> BoxedStrategy<f32> {
    match family {
        Family::Rope(_) => prop_oneof![
            1 => draft::pick(&[1e4f32, 5e5, 1e6, 1e7]),
            3 => log_uniform(7, 26),
        ]
        .boxed(),
        Family::RmsNorm(_) => prop_oneof![
            1 => draft::pick(&[1e-5f32, 1e-6, 1e-8, 1e-12, 0.1]),
            3 => log_uniform(-39, -4),
        ]
        .boxed(),
        Family::Swiglu(_) => draft::pick(&[1.0f32, 1.0, 1.702, 0.5, -1.0, 0.0]).boxed(),
        Family::Lora(_) => prop_oneof![
            1 => draft::pick(&[1.0f32, 2.0, 0.5, 0.25, 0.0]),
            1 => log_uniform(-6, 4),
        ]
        .boxed(),
        Family::Pack(_) | Family::Unpack(_) => draft::pick(&[0.0f32]).boxed(),
    }
}

/// Values from 2^`from` on and below 2^`to`.
fn log_uniform(from: i32, to: i32) -> impl Strategy<Value = f32> {
    (from..to, any::<u32>()).prop_map(|(exponent, random)| {
        let significand = random >> 9;
        f32::from_bits(((exponent + 127) as u32) << 23 | significand)
    })
}
