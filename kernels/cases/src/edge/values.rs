//! Values at which arithmetic goes wrong first.

use half::f16;

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Float {
    F32,
    F16,
}

impl Float {
    /// Bytes of an element.
    pub(super) fn size(self) -> usize {
        match self {
            Float::F32 => 4,
            Float::F16 => 2,
        }
    }

    /// Elements, rounded to nearest even.
    pub(super) fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Float::F32 => f32_bytes(values),
            Float::F16 => values
                .iter()
                .flat_map(|value| f16::from_f32(*value).to_le_bytes())
                .collect(),
        }
    }

    /// The largest finite value.
    pub(super) fn max(self) -> f32 {
        match self {
            Float::F32 => f32::MAX,
            Float::F16 => 65_504.0,
        }
    }

    /// The smallest positive value, which is subnormal.
    pub(super) fn tiny(self) -> f32 {
        match self {
            Float::F32 => f32::from_bits(1),
            Float::F16 => 1.0 / 16_777_216.0, // 2^-24
        }
    }

    /// The smallest positive normal value.
    pub(super) fn min_positive(self) -> f32 {
        match self {
            Float::F32 => f32::MIN_POSITIVE,
            Float::F16 => 1.0 / 16_384.0, // 2^-14
        }
    }

    /// NaNs of all kinds, and zeros of both signs among ordinary values, each in every lane of unrolled loops: their numbers have no divisor in
    /// common with any width.
    pub(super) fn special_in_every_lane(self) -> [(&'static str, Vec<u8>); 2] {
        const COUNT: usize = 5 * 67;
        let ordinary = self.bytes(&[1.5]);
        let nans = [self.nans(), ordinary.clone()].concat();
        let zeros = [self.bytes(&[-0.0, 0.0, -0.0, 2.0]), ordinary].concat();
        let five_in_turn = [("nans-in-every-lane", nans), ("zeros-in-every-lane", zeros)];
        five_in_turn.map(|(name, five)| {
            let bytes = five.into_iter().cycle().take(COUNT * self.size());
            (name, bytes.collect())
        })
    }

    /// Four NaNs: quiet, quiet and negative, quiet with a payload, signalling.
    pub(super) fn nans(self) -> Vec<u8> {
        match self {
            Float::F32 => [0x7fc0_0000u32, 0xffc0_0000, 0x7fd2_3456, 0xff80_0001]
                .into_iter()
                .flat_map(u32::to_le_bytes)
                .collect(),
            Float::F16 => [0x7e00u16, 0xfe00, 0x7f12, 0xfc01]
                .into_iter()
                .flat_map(u16::to_le_bytes)
                .collect(),
        }
    }
}

pub(super) fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Values without surprises: multiples of 1/16 between -2 and 2, none of them 0, that do not repeat soon.
pub(super) fn plain(count: usize) -> Vec<f32> {
    (0..count)
        .map(|index| {
            let step = (index * 37 + index / 64 * 5 + 11) % 64;
            (step as f32 - 31.5) / 16.0
        })
        .collect()
}

/// Values from 2^-20 to 2^10 beside each other.
pub(super) fn mixed(count: usize) -> Vec<f32> {
    plain(count)
        .into_iter()
        .enumerate()
        .map(|(index, value)| value * 2f32.powi((index * 7 % 31) as i32 - 20))
        .collect()
}

/// `values` with the one at `index` replaced.
pub(super) fn with(mut values: Vec<f32>, index: usize, value: f32) -> Vec<f32> {
    values[index] = value;
    values
}
