//! What is drawn for a case, and how often.

use super::values::{Class, Float, LargestCode, Values};
use kernel_core::Kernel;
use proptest::{
    array::uniform4,
    prelude::{BoxedStrategy, Strategy, any},
    prop_oneof,
};
use std::fmt::Debug;

/// Kernels whose cases are made alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Rope(RopeTensor),
    RmsNorm(Float),
    Swiglu(Float),
    Pack(Format),
    Unpack(Format),
    Lora(Float),
}

/// What rope's x is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RopeTensor {
    Float(Float),
    Q8,
}

/// A block format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// Bytes of a block's codes.
    pub(super) code_bytes: usize,
    /// The code of a block's largest value.
    pub(super) largest: LargestCode,
}

const Q8: Format = Format {
    code_bytes: 32,
    largest: LargestCode(127),
};
const Q4: Format = Format {
    code_bytes: 16,
    largest: LargestCode(8),
};

impl Family {
    /// A kernel's own id and its family; `None` for one that this harness has no generator for.
    pub(super) fn known(kernel: &str) -> Option<(&'static str, Self)> {
        let kernel = kernel_core::kernel(kernel)?;
        Some((kernel.id, Self::of(kernel)?))
    }

    /// The family of a kernel; `None` for one without a generator.
    fn of(kernel: &Kernel) -> Option<Self> {
        Some(match kernel.id {
            "rope_f32" => Family::Rope(RopeTensor::Float(Float::F32)),
            "rope_f16" => Family::Rope(RopeTensor::Float(Float::F16)),
            "rope_q8" => Family::Rope(RopeTensor::Q8),
            "rmsnorm_f32" => Family::RmsNorm(Float::F32),
            "rmsnorm_f16" => Family::RmsNorm(Float::F16),
            "swiglu_f32" => Family::Swiglu(Float::F32),
            "swiglu_f16" => Family::Swiglu(Float::F16),
            "kv_pack_q8" => Family::Pack(Q8),
            "kv_pack_q4" => Family::Pack(Q4),
            "kv_unpack_q8" => Family::Unpack(Q8),
            "kv_unpack_q4" => Family::Unpack(Q4),
            "lora_apply_f32" => Family::Lora(Float::F32),
            "lora_apply_f16" => Family::Lora(Float::F16),
            _ => return None,
        })
    }

    /// How many dimensions its tensors have.
    pub(super) fn dimensions(self) -> usize {
        match self {
            Family::Rope(_) | Family::Lora(_) => 4,
            Family::RmsNorm(_) | Family::Swiglu(_) | Family::Pack(_) | Family::Unpack(_) => 2,
        }
    }
}

/// Elements that a drawn tensor of rows may have; bounds a case's bytes.
const MAX_ELEMENTS: u32 = 8192;

/// What a case follows from.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Elements that a tensor of rows may have.
    pub(super) max_elements: u32,
    /// Dimensions in the family's own order and units; made smaller where their product is too large.
    pub(super) dimensions: [u32; 4],
    /// theta, eps, beta or scale.
    pub(super) scalar: f32,
    /// Where rope's angles come from.
    pub(super) angles: Angles,
    /// rope: the layout.
    pub(super) layout: u32,
    /// Values of the tensors.
    pub(super) tensors: [Values; 4],
    /// Whether the gradient is asked for, of kernels that have one.
    pub(super) backward: bool,
    /// Bytes of scratch beyond what the kernel needs.
    pub(super) more_scratch: u32,
    /// What is wrong with the call.
    pub(super) mistake: Mistake,
}

impl Draft {
    /// Ordinary values and nothing wrong: what is measured. The scale of lora is small, because its output grows from call to call.
    pub(super) fn plain(family: Family, dimensions: [u32; 4], seed: u64) -> Self {
        let tensor = |index: u64| Values {
            class: Class::Normal,
            seed: seed.wrapping_add(index),
        };
        Self {
            max_elements: u32::MAX,
            dimensions,
            scalar: match family {
                Family::Rope(_) => 10_000.0,
                Family::RmsNorm(_) => 1e-5,
                Family::Swiglu(_) => 1.0,
                Family::Lora(_) => 1.0 / 1024.0,
                Family::Pack(_) | Family::Unpack(_) => 0.0,
            },
            angles: Angles::Tables,
            layout: 0,
            tensors: [tensor(0), tensor(1), tensor(2), tensor(3)],
            backward: false,
            more_scratch: 0,
            mistake: Mistake::None,
        }
    }

    /// As many rows of that length as a tensor may have, and at least one.
    pub(super) fn at_most(&self, rows: u32, length: u32) -> u32 {
        rows.min(self.max_elements / length).max(1)
    }
}

/// Where rope's angles come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Angles {
    /// The kernel computes them.
    Computed,
    /// They are given.
    Given,
    /// Cosines and sines are given.
    Tables,
    /// Cosines and sines are given in f16, where the kernel takes those.
    HalfTables,
}

/// A mistake in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    None,
    ShortA,
    LongA,
    LongB,
    ShortOutput,
    LongOutput,
    SmallScratch,
    ShortParams,
    LongParams,
    ZeroDimension,
    MisalignedA,
    MisalignedOutput,
    MisalignedParams,
    OutputOverA,
    OutputBehindMemory,
}

impl Mistake {
    /// One call in ten has a mistake.
    fn strategy() -> impl Strategy<Value = Mistake> {
        use Mistake::*;
        const MISTAKES: [Mistake; 14] = [
            ShortA,
            LongA,
            LongB,
            ShortOutput,
            LongOutput,
            SmallScratch,
            ShortParams,
            LongParams,
            ZeroDimension,
            MisalignedA,
            MisalignedOutput,
            MisalignedParams,
            OutputOverA,
            OutputBehindMemory,
        ];
        prop_oneof![
            9 => proptest::strategy::Just(None),
            1 => pick(&MISTAKES),
        ]
    }
}

/// Classes of a tensor's values, each as often as it is named; what shrinks goes to the front.
const CLASSES: [Class; 24] = {
    use Class::*;
    [
        Constant,
        Constant,
        Normal,
        Normal,
        Normal,
        Normal,
        Normal,
        Normal,
        Normal,
        Normal,
        Normal,
        Normal,
        SignedZeros,
        Small,
        Small,
        Large,
        Large,
        Mixed,
        Mixed,
        Mixed,
        Mixed,
        Denormal,
        Ties,
        Specials,
    ]
};

/// Classes of what is going to be quantised: more ties.
const QUANTISED_CLASSES: [Class; 12] = {
    use Class::*;
    [
        Constant,
        Normal,
        Normal,
        Normal,
        SignedZeros,
        Small,
        Large,
        Mixed,
        Denormal,
        Ties,
        Ties,
        Specials,
    ]
};

/// One of these, each as often. As proptest's own `select`, but for its index: that one draws a `usize`, of other bits of the seed on
/// machines of 32 bits than on those of 64, and all that is drawn after it would differ.
pub(super) fn pick<T: Copy + Debug>(from: &'static [T]) -> impl Strategy<Value = T> + Clone {
    (0..from.len() as u64).prop_map(move |index| from[index as usize])
}

pub(super) fn values(classes: &'static [Class]) -> impl Strategy<Value = Values> + Clone {
    // A smaller seed is no simpler than another.
    (pick(classes), any::<u64>().no_shrink()).prop_map(|(class, seed)| Values { class, seed })
}

/// Drafts of a family.
pub(super) fn drafts(family: Family) -> impl Strategy<Value = Draft> {
    let one = || (1..=1u32).boxed();
    let few = || prop_oneof![6 => 1..=4u32, 1 => 1..=9u32].boxed();
    let width = || {
        prop_oneof![
            48 => 1..=16u32,
            36 => 1..=130u32,
            14 => 1..=1100u32,
            2 => 4090..=4100u32,
        ]
        .boxed()
    };
    let dimensions: [BoxedStrategy<u32>; 4] = match family {
        // batch, seq, heads, pairs
        Family::Rope(RopeTensor::Float(_)) => [
            (1..=2u32).boxed(),
            prop_oneof![6 => 1..=6u32, 1 => 1..=40u32].boxed(),
            (1..=3u32).boxed(),
            prop_oneof![4 => 1..=8u32, 4 => 1..=70u32, 1 => 64..=128u32].boxed(),
        ],
        // batch, seq, heads, blocks
        Family::Rope(RopeTensor::Q8) => [
            (1..=2u32).boxed(),
            prop_oneof![6 => 1..=6u32, 1 => 1..=40u32].boxed(),
            (1..=3u32).boxed(),
            prop_oneof![6 => 1..=4u32, 1 => 1..=8u32].boxed(),
        ],
        // rows, hidden
        Family::RmsNorm(_) | Family::Swiglu(_) => [few(), width(), one(), one()],
        // rows, blocks
        Family::Pack(_) | Family::Unpack(_) => [
            few(),
            prop_oneof![6 => 1..=6u32, 2 => 1..=33u32, 1 => 1..=128u32].boxed(),
            one(),
            one(),
        ],
        // rows, in, rank, out
        Family::Lora(_) => [
            few(),
            width(),
            prop_oneof![4 => 1..=4u32, 4 => 1..=17u32, 1 => 1..=70u32].boxed(),
            width(),
        ],
    };
    let scalars: &'static [f32] = match family {
        Family::Rope(_) => &[10_000.0, 10_000.0, 500_000.0, 100.0, 1.0, 0.5],
        Family::RmsNorm(_) => &[1e-5, 1e-5, 1e-5, 1e-6, 1e-6, 1e-3, 0.1, 1.0, 1e-12, 0.0],
        Family::Swiglu(_) => &[1.0, 1.0, 1.0, 1.0, 1.702, 0.5, 2.0, -1.0, 0.0],
        Family::Lora(_) => &[1.0, 2.0, 0.5, 0.0625, 16.0, -0.75, 0.0],
        Family::Pack(_) | Family::Unpack(_) => &[0.0],
    };
    let angles: &'static [Angles] = {
        use Angles::*;
        &[
            Computed, Computed, Given, Given, Given, Tables, Tables, HalfTables,
        ]
    };
    let classes: &'static [Class] = match family {
        Family::Pack(_) => &QUANTISED_CLASSES,
        _ => &CLASSES,
    };
    (
        dimensions,
        pick(scalars),
        pick(angles),
        0..=1u32,
        uniform4(values(classes)),
        pick(&[false, false, false, false, true]),
        pick(&[0u32, 0, 0, 1, 16, 100]),
        Mistake::strategy(),
    )
        .prop_map(
            |(dimensions, scalar, angles, layout, tensors, backward, more_scratch, mistake)| {
                Draft {
                    max_elements: MAX_ELEMENTS,
                    dimensions,
                    scalar,
                    angles,
                    layout,
                    tensors,
                    backward,
                    more_scratch,
                    mistake,
                }
            },
        )
}
