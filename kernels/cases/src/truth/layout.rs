//! How the bytes of a case's tensors are divided into elements, and what depends on nothing else: comparison bit for bit,
//! and NaN encodings.

use super::{Mismatch, describe_f16, describe_f32};
use crate::{
    case::{Case, Entry},
    open::Region,
    tolerance::{ulps_f16, ulps_f32},
};
use half::bf16;
use kernel_abi::{
    block::{ELEMENTS, Q4_BYTES, Q8_BYTES},
    params::Rope,
};
use kernel_pack::Dtype;

const F32_NAN: u32 = 0x7fc0_0000;
const F16_NAN: u16 = 0x7e00;

/// What a tensor consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    F32,
    F16,
    /// Blocks of an f16 scale and 32 signed codes.
    Q8,
    /// Blocks of an f16 scale and 32 nibbles.
    Q4,
    /// The upper half of an f32.
    Bf16,
    /// Nothing is known: bytes are bytes.
    Bytes,
}

/// A part of two outputs: layout, elements, and the bytes of each.
pub(super) type Part<'a> = (Layout, usize, (&'a [u8], &'a [u8]));

/// The parts of two outputs of a case: layout, elements, and the bytes of each. An output of another length than is due is one part of the first
/// layout, so that what it lacks or has too much shows.
pub(super) fn parts<'a>(case: &Case, a: &'a [u8], b: &'a [u8]) -> Vec<Part<'a>> {
    let whole = |layout| vec![(layout, 0, (a, b))];
    let Some(call) = &case.open else {
        return whole(Layout::of_output(case));
    };
    let due: usize = call.outputs.iter().map(|tensor| tensor.bytes).sum();
    if a.len() != due || (b.len() != due && !b.is_empty()) {
        let first = call.outputs.first();
        return whole(first.map_or(Layout::Bytes, |tensor| Layout::of_dtype(tensor.dtype)));
    }
    let parts = call.outputs.iter().map(|tensor| {
        let layout = Layout::of_dtype(tensor.dtype);
        (layout, tensor.elements(), (tensor.of(a), tensor.of(b)))
    });
    parts.collect()
}

impl Layout {
    /// Of the elements a kernel's name ends in.
    fn of_suffix(kernel: &str) -> Self {
        match kernel.rsplit('_').next() {
            Some("f32") => Layout::F32,
            Some("f16") => Layout::F16,
            Some("q8") => Layout::Q8,
            Some("q4") => Layout::Q4,
            _ => Layout::Bytes,
        }
    }

    /// Of a tensor's type. Integers are bytes.
    fn of_dtype(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Layout::F32,
            Dtype::F16 => Layout::F16,
            Dtype::Bf16 => Layout::Bf16,
            Dtype::Q8 => Layout::Q8,
            Dtype::Q4 => Layout::Q4,
            Dtype::I8 | Dtype::U8 | Dtype::I32 | Dtype::U32 => Layout::Bytes,
        }
    }

    /// Of the output of the case's entry.
    pub(super) fn of_output(case: &Case) -> Self {
        if let Some(call) = &case.open {
            let first = call.outputs.first();
            return first.map_or(Layout::Bytes, |tensor| Self::of_dtype(tensor.dtype));
        }
        match (case.kernel.as_str(), case.entry) {
            ("kv_unpack_q8" | "kv_unpack_q4", Entry::Forward) => Layout::F32,
            (kernel, _) => Self::of_suffix(kernel),
        }
    }

    /// Of input a.
    fn of_a(kernel: &str) -> Self {
        match kernel {
            "kv_pack_q8" | "kv_pack_q4" => Layout::F32,
            _ => Self::of_suffix(kernel),
        }
    }

    /// Of input b.
    fn of_b(kernel: &str, params: &[u8]) -> Self {
        let table = Rope::from_le_bytes(params).map_or(0, |rope| rope.table);
        match kernel {
            "rope_f32" | "rope_q8" => Layout::F32,
            "rope_f16" if table == 2 => Layout::F16,
            "rope_f16" => Layout::F32,
            _ => Self::of_suffix(kernel),
        }
    }

    /// Bytes of an element, or of a block.
    const fn unit_bytes(self) -> usize {
        match self {
            Layout::F32 => 4,
            Layout::F16 | Layout::Bf16 => 2,
            Layout::Q8 => Q8_BYTES,
            Layout::Q4 => Q4_BYTES,
            Layout::Bytes => 1,
        }
    }

    /// Calls `f32_at` or `f16_at` with every float of the tensor; bytes that do not fill a unit are left alone.
    fn floats(
        self,
        bytes: &mut [u8],
        mut f32_at: impl FnMut(&mut u32),
        mut f16_at: impl FnMut(&mut u16),
    ) {
        if self == Layout::Bytes {
            return;
        }
        for unit in bytes.chunks_exact_mut(self.unit_bytes()) {
            if self == Layout::F32 {
                let mut bits = u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]);
                f32_at(&mut bits);
                unit.copy_from_slice(&bits.to_le_bytes());
            } else if self == Layout::Bf16 {
                let mut bits = u32::from(u16::from_le_bytes([unit[0], unit[1]])) << 16;
                let was_nan = is_nan_f32(bits);
                f32_at(&mut bits);
                let mut half = (bits >> 16) as u16;
                // A payload whose upper half is 0 would be an infinity.
                if was_nan && !is_nan_f32(u32::from(half) << 16) {
                    half |= 1;
                }
                unit.copy_from_slice(&half.to_le_bytes());
            } else {
                // An f16, or the scale that a block begins with.
                let mut bits = u16::from_le_bytes([unit[0], unit[1]]);
                f16_at(&mut bits);
                unit[..2].copy_from_slice(&bits.to_le_bytes());
            }
        }
    }
}

pub(super) const fn is_nan_f32(bits: u32) -> bool {
    bits & 0x7fff_ffff > 0x7f80_0000
}

pub(super) const fn is_nan_f16(bits: u16) -> bool {
    bits & 0x7fff > 0x7c00
}

/// The bytes with every NaN in one encoding.
pub(super) fn canonical(layout: Layout, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    layout.floats(
        &mut bytes,
        |bits| {
            if is_nan_f32(*bits) {
                *bits = F32_NAN;
            }
        },
        |bits| {
            if is_nan_f16(*bits) {
                *bits = F16_NAN;
            }
        },
    );
    bytes
}

/// By how much two outputs differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Differences {
    /// Elements that were compared; a block counts as its scale and its codes.
    pub elements: u64,
    /// Elements that are not the same to the bit, NaN as a class.
    pub differing: u64,
    /// Largest distance of floats in units in the last place of their type, where neither is NaN and any differ.
    pub max_ulp: Option<f64>,
    /// Largest distance of the codes of blocks, where any differ.
    pub max_code: Option<u32>,
    /// Elements that are NaN on one side only.
    pub nan: u64,
}

impl Differences {
    fn float(&mut self, differs: bool, ulps: Option<f64>) {
        self.elements += 1;
        if !differs {
            return;
        }
        self.differing += 1;
        match ulps {
            Some(ulps) => self.max_ulp = Some(self.max_ulp.unwrap_or(0.0).max(ulps)),
            None => self.nan += 1,
        }
    }

    fn code(&mut self, a: i32, b: i32) {
        self.elements += 1;
        if a != b {
            self.differing += 1;
            self.max_code = Some(self.max_code.unwrap_or(0).max(a.abs_diff(b)));
        }
    }

    /// Takes another output's differences in.
    pub fn add(&mut self, other: &Self) {
        self.elements += other.elements;
        self.differing += other.differing;
        self.nan += other.nan;
        self.max_ulp = match (self.max_ulp, other.max_ulp) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        self.max_code = self.max_code.max(other.max_code);
    }
}

/// All differences of two outputs, NaN as a class. Outputs of different lengths, or that do not fill their last unit, differ in
/// what one lacks.
pub(super) fn differences(layout: Layout, a: &[u8], b: &[u8]) -> Differences {
    let (a, b) = (canonical(layout, a), canonical(layout, b));
    let unit = layout.unit_bytes();
    let mut found = Differences::default();
    for (a, b) in a.chunks_exact(unit).zip(b.chunks_exact(unit)) {
        match layout {
            Layout::F32 => {
                let float = |bytes: &[u8]| {
                    f32::from_bits(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                };
                found.float(a != b, ulps_f32(float(a), float(b)));
            }
            Layout::Bf16 => {
                let value = |bytes: &[u8]| bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
                let ulps = ulps_f32(value(a), value(b)).map(|ulps| ulps / 65536.0);
                found.float(a != b, ulps);
            }
            Layout::F16 | Layout::Q8 | Layout::Q4 => {
                let half = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
                found.float(a[..2] != b[..2], ulps_f16(half(a), half(b)));
                for (a, b) in a[2..].iter().zip(&b[2..]) {
                    if layout == Layout::Q4 {
                        found.code((a & 15).into(), (b & 15).into());
                        found.code((a >> 4).into(), (b >> 4).into());
                    } else {
                        found.code(a.cast_signed().into(), b.cast_signed().into());
                    }
                }
            }
            Layout::Bytes => found.code(a[0].into(), b[0].into()),
        }
    }
    let rest = |bytes: &[u8], other: &[u8]| {
        let whole = bytes.len().min(other.len()) / unit * unit;
        (bytes.len().max(other.len()) - whole).div_ceil(unit) as u64
    };
    if a.len() != b.len() {
        found.elements += rest(&a, &b);
        found.differing += rest(&a, &b);
    }
    found
}

/// The first element in which `a` (expected) and `b` (got) differ, NaN as a class.
pub(super) fn first_difference(layout: Layout, a: &[u8], b: &[u8]) -> Option<Mismatch> {
    // Most are, and a copy of each takes longer than a look.
    if a == b {
        return None;
    }
    let (canonical_a, canonical_b) = (canonical(layout, a), canonical(layout, b));
    if canonical_a.len() != canonical_b.len() {
        return Some(Mismatch::length(a.len(), b.len()));
    }
    let at = canonical_a
        .iter()
        .zip(&canonical_b)
        .position(|(a, b)| a != b)?;
    let unit_bytes = layout.unit_bytes();
    let unit = at / unit_bytes;
    let (start, within) = (unit * unit_bytes, at % unit_bytes);
    let word = |bytes: &[u8]| u16::from_le_bytes([bytes[start], bytes[start + 1]]);
    let whole_unit = start + unit_bytes <= a.len();
    Some(match layout {
        Layout::F32 if whole_unit => {
            let word = |bytes: &[u8]| {
                f32::from_le_bytes([
                    bytes[start],
                    bytes[start + 1],
                    bytes[start + 2],
                    bytes[start + 3],
                ])
            };
            Mismatch {
                index: unit,
                expected: describe_f32(word(a)),
                got: describe_f32(word(b)),
                ulp: ulps_f32(word(a), word(b)),
                detail: "bits differ".to_owned(),
            }
        }
        Layout::F16 if whole_unit => Mismatch {
            index: unit,
            expected: describe_f16(word(a)),
            got: describe_f16(word(b)),
            ulp: ulps_f16(word(a), word(b)),
            detail: "bits differ".to_owned(),
        },
        Layout::Bf16 if whole_unit => Mismatch {
            index: unit,
            expected: format!("{:#06x} ({:?})", word(a), bf16::from_bits(word(a)).to_f32()),
            got: format!("{:#06x} ({:?})", word(b), bf16::from_bits(word(b)).to_f32()),
            ulp: None,
            detail: "bits differ".to_owned(),
        },
        Layout::Q8 | Layout::Q4 if whole_unit && within < 2 => Mismatch {
            index: unit * ELEMENTS,
            expected: describe_f16(word(a)),
            got: describe_f16(word(b)),
            ulp: ulps_f16(word(a), word(b)),
            detail: format!("scale of block {unit}"),
        },
        Layout::Q8 if whole_unit => Mismatch {
            index: unit * ELEMENTS + within - 2,
            expected: format!("code {}", a[at].cast_signed()),
            got: format!("code {}", b[at].cast_signed()),
            ulp: None,
            detail: format!("code {} of block {unit}", within - 2),
        },
        Layout::Q4 if whole_unit => {
            let high = a[at] & 15 == b[at] & 15;
            let nibble = |byte: u8| if high { byte >> 4 } else { byte & 15 };
            let element = within - 2 + if high { ELEMENTS / 2 } else { 0 };
            Mismatch {
                index: unit * ELEMENTS + element,
                expected: format!("nibble {}", nibble(a[at])),
                got: format!("nibble {}", nibble(b[at])),
                ulp: None,
                detail: format!("element {element} of block {unit}"),
            }
        }
        _ => Mismatch {
            index: at,
            expected: format!("{:#04x}", a[at]),
            got: format!("{:#04x}", b[at]),
            ulp: None,
            detail: "byte index, bytes differ".to_owned(),
        },
    })
}

/// The case with every NaN of its tensors in another encoding; `None` if they hold none.
pub(super) fn flip_nans(case: &Case) -> Option<Case> {
    let mut case = case.clone();
    if let Some(call) = case.open.clone() {
        let mut found = false;
        for tensor in &call.inputs {
            let bytes = match tensor.region {
                Region::A => Some(&mut case.a),
                Region::B => Some(&mut case.b),
                Region::Output => case.base.as_mut(),
            };
            let within = tensor.offset..tensor.offset + tensor.bytes;
            if let Some(bytes) = bytes.and_then(|bytes| bytes.get_mut(within)) {
                found |= flip(Layout::of_dtype(tensor.dtype), bytes);
            }
        }
        return found.then_some(case);
    }
    let mut found = flip(Layout::of_a(&case.kernel), &mut case.a);
    found |= flip(Layout::of_b(&case.kernel, &case.params), &mut case.b);
    let layout = Layout::of_output(&case);
    if let Some(base) = &mut case.base {
        found |= flip(layout, base);
    }
    found.then_some(case)
}

/// The other sign and another payload; a quiet NaN stays quiet, a signalling one signalling.
fn flip(layout: Layout, bytes: &mut [u8]) -> bool {
    let (mut found_f32, mut found_f16) = (false, false);
    layout.floats(
        bytes,
        |bits| {
            if is_nan_f32(*bits) {
                found_f32 = true;
                *bits ^= 0x8015_5aa5;
                // A payload of 0 without the quiet bit would be Inf.
                if !is_nan_f32(*bits) {
                    *bits |= 2;
                }
            }
        },
        |bits| {
            if is_nan_f16(*bits) {
                found_f16 = true;
                *bits ^= 0x80a5;
                if !is_nan_f16(*bits) {
                    *bits |= 2;
                }
            }
        },
    );
    found_f32 || found_f16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    #[test]
    fn differences_are_counted_with_nan_as_a_class() {
        let next = f32::from_bits(1.0_f32.to_bits() + 3);
        let other_nan = f32::from_bits(0xffc0_1234);
        let a = bytes(&[1.0, 0.0, f32::NAN, f32::NAN, 2.0]);
        let b = bytes(&[next, -0.0, other_nan, 1.0, 2.0]);
        let found = differences(Layout::F32, &a, &b);
        let expected = Differences {
            elements: 5,
            differing: 3,
            max_ulp: Some(3.0),
            max_code: None,
            nan: 1,
        };
        assert_eq!(found, expected);
        assert_eq!(differences(Layout::F32, &a, &a).differing, 0);
        // What one side lacks differs.
        assert_eq!(differences(Layout::F32, &a, &a[..8]).differing, 3);
        assert_eq!(differences(Layout::F32, &a[..8], &a).elements, 5);
        assert_eq!(differences(Layout::F32, &a[..5], &a[..4]).differing, 1);
    }

    #[test]
    fn codes_of_blocks_differ_apart_from_their_scales() {
        let mut a = vec![0; Q4_BYTES];
        let mut b = a.clone();
        a[1] = 0x3c;
        b[..2].copy_from_slice(&[2, 0x3c]);
        b[5] = 0x90;
        let found = differences(Layout::Q4, &a, &b);
        assert_eq!((found.elements, found.differing), (33, 2));
        assert_eq!((found.max_ulp, found.max_code), (Some(2.0), Some(9)));
        let (a, mut b) = (vec![0; Q8_BYTES], vec![0; Q8_BYTES]);
        b[2] = 0x80;
        assert_eq!(differences(Layout::Q8, &a, &b).max_code, Some(128));
    }
}
