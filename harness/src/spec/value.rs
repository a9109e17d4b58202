//! Constants that scripts pass, and patterns that results must match, as bits.

use std::fmt;
use wasm_encoder::{HeapType as EncodedHeapType, Ieee32, Ieee64, Instruction};
use wasmparser::{RefType, ValType};
use wast::{
    WastArg, WastRet,
    core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore},
    token::{F32, F64},
};

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Constant {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(u128),
    NullFunction,
    NullExtern,
}

impl Constant {
    /// `None` for a value that only a host can make, or of a type that packs cannot use.
    pub(super) fn parse(argument: &WastArg<'_>) -> Option<Constant> {
        let WastArg::Core(argument) = argument else {
            return None;
        };
        Some(match argument {
            WastArgCore::I32(value) => Constant::I32(*value),
            WastArgCore::I64(value) => Constant::I64(*value),
            WastArgCore::F32(value) => Constant::F32(value.bits),
            WastArgCore::F64(value) => Constant::F64(value.bits),
            WastArgCore::V128(value) => Constant::V128(u128::from_le_bytes(value.to_le_bytes())),
            WastArgCore::RefNull(HeapType::Abstract { shared: false, ty }) => match ty {
                AbstractHeapType::Func => Constant::NullFunction,
                AbstractHeapType::Extern => Constant::NullExtern,
                _ => return None,
            },
            _ => return None,
        })
    }

    pub(super) fn kind(self) -> ValType {
        match self {
            Constant::I32(_) => ValType::I32,
            Constant::I64(_) => ValType::I64,
            Constant::F32(_) => ValType::F32,
            Constant::F64(_) => ValType::F64,
            Constant::V128(_) => ValType::V128,
            Constant::NullFunction => ValType::Ref(RefType::FUNCREF),
            Constant::NullExtern => ValType::Ref(RefType::EXTERNREF),
        }
    }

    /// The instruction that pushes it.
    pub(super) fn instruction(self) -> Instruction<'static> {
        match self {
            Constant::I32(value) => Instruction::I32Const(value),
            Constant::I64(value) => Instruction::I64Const(value),
            Constant::F32(bits) => Instruction::F32Const(Ieee32::new(bits)),
            Constant::F64(bits) => Instruction::F64Const(Ieee64::new(bits)),
            Constant::V128(bits) => Instruction::V128Const(bits as i128),
            Constant::NullFunction => Instruction::RefNull(EncodedHeapType::FUNC),
            Constant::NullExtern => Instruction::RefNull(EncodedHeapType::EXTERN),
        }
    }
}

/// What a result must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// A number whose bits under `mask` are `value`.
    Bits {
        kind: ValType,
        mask: u128,
        value: u128,
    },
    /// A null reference.
    Null,
    /// A reference that is not null.
    NotNull,
}

/// A pattern for a float of 32 or 64 bits: mask and value.
type Pattern = (u64, u64);

impl Expected {
    /// `None` for a value that only a host can make, and for alternatives.
    pub(super) fn parse(result: &WastRet<'_>) -> Option<Expected> {
        let WastRet::Core(result) = result else {
            return None;
        };
        let exactly = |kind, value| Expected::Bits {
            kind,
            mask: all_of(kind),
            value,
        };
        Some(match result {
            WastRetCore::I32(value) => exactly(ValType::I32, u128::from(*value as u32)),
            WastRetCore::I64(value) => exactly(ValType::I64, u128::from(*value as u64)),
            WastRetCore::F32(pattern) => {
                let (mask, value) = pattern_of_f32(pattern);
                Expected::Bits {
                    kind: ValType::F32,
                    mask: mask.into(),
                    value: value.into(),
                }
            }
            WastRetCore::F64(pattern) => {
                let (mask, value) = pattern_of_f64(pattern);
                Expected::Bits {
                    kind: ValType::F64,
                    mask: mask.into(),
                    value: value.into(),
                }
            }
            WastRetCore::V128(pattern) => {
                let (mask, value) = vector(pattern);
                Expected::Bits {
                    kind: ValType::V128,
                    mask,
                    value,
                }
            }
            WastRetCore::RefNull(_) => Expected::Null,
            WastRetCore::RefFunc(None) | WastRetCore::RefExtern(None) => Expected::NotNull,
            _ => return None,
        })
    }

    /// Whether a result of this type can be compared with it.
    pub(super) fn fits(&self, result: ValType) -> bool {
        match self {
            Expected::Bits { kind, .. } => *kind == result,
            Expected::Null | Expected::NotNull => matches!(result, ValType::Ref(_)),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Expected::Bits { kind, mask, value } => {
                write!(f, "{}", Shown { kind, bits: value })?;
                if mask != all_of(kind) {
                    let digits = digits(kind);
                    write!(f, " under the mask 0x{mask:0digits$x}")?;
                }
                Ok(())
            }
            Expected::Null => f.write_str("a null reference"),
            Expected::NotNull => f.write_str("a reference that is not null"),
        }
    }
}

/// Bits with their type, for people.
pub(super) struct Shown {
    pub(super) kind: ValType,
    pub(super) bits: u128,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { kind, bits } = *self;
        let digits = digits(kind);
        write!(f, "{kind} 0x{bits:0digits$x}")?;
        match kind {
            ValType::F32 => write!(f, " ({:?})", f32::from_bits(bits as u32)),
            ValType::F64 => write!(f, " ({:?})", f64::from_bits(bits as u64)),
            _ => Ok(()),
        }
    }
}

/// All bits of a number of this type.
pub(super) fn all_of(kind: ValType) -> u128 {
    match kind {
        ValType::I32 | ValType::F32 => u32::MAX.into(),
        ValType::I64 | ValType::F64 => u64::MAX.into(),
        ValType::V128 | ValType::Ref(_) => u128::MAX,
    }
}

fn digits(kind: ValType) -> usize {
    match kind {
        ValType::I32 | ValType::F32 => 8,
        ValType::I64 | ValType::F64 => 16,
        ValType::V128 | ValType::Ref(_) => 32,
    }
}

/// A canonical NaN has the quiet bit alone, an arithmetic NaN the quiet bit at least; the sign is free.
fn pattern_of_f32(pattern: &NanPattern<F32>) -> Pattern {
    match pattern {
        NanPattern::CanonicalNan => (0x7fff_ffff, 0x7fc0_0000),
        NanPattern::ArithmeticNan => (0x7fc0_0000, 0x7fc0_0000),
        NanPattern::Value(value) => (u32::MAX.into(), value.bits.into()),
    }
}

/// As [`pattern_of_f32`].
fn pattern_of_f64(pattern: &NanPattern<F64>) -> Pattern {
    match pattern {
        NanPattern::CanonicalNan => (0x7fff_ffff_ffff_ffff, 0x7ff8_0000_0000_0000),
        NanPattern::ArithmeticNan => (0x7ff8_0000_0000_0000, 0x7ff8_0000_0000_0000),
        NanPattern::Value(value) => (u64::MAX, value.bits),
    }
}

/// Mask and value of a vector; lane 0 in the lowest bits.
fn vector(pattern: &V128Pattern) -> (u128, u128) {
    fn join(lanes: impl DoubleEndedIterator<Item = Pattern>, width: u32) -> (u128, u128) {
        lanes.rev().fold((0, 0), |(mask, value), lane| {
            (
                mask << width | u128::from(lane.0),
                value << width | u128::from(lane.1),
            )
        })
    }
    fn integers<T: Copy>(lanes: &[T], width: u32, bits: impl Fn(T) -> u64) -> (u128, u128) {
        let all = u64::MAX >> (64 - width);
        join(lanes.iter().map(|lane| (all, bits(*lane))), width)
    }
    match pattern {
        V128Pattern::I8x16(lanes) => integers(lanes, 8, |lane| (lane as u8).into()),
        V128Pattern::I16x8(lanes) => integers(lanes, 16, |lane| (lane as u16).into()),
        V128Pattern::I32x4(lanes) => integers(lanes, 32, |lane| (lane as u32).into()),
        V128Pattern::I64x2(lanes) => integers(lanes, 64, |lane| lane as u64),
        V128Pattern::F32x4(lanes) => join(lanes.iter().map(pattern_of_f32), 32),
        V128Pattern::F64x2(lanes) => join(lanes.iter().map(pattern_of_f64), 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wast::parser::{ParseBuffer, parse};

    fn expected(text: &str) -> Expected {
        let text = format!("(assert_return (invoke \"f\") {text})");
        let buffer = ParseBuffer::new(&text).unwrap();
        let script = parse::<wast::Wast<'_>>(&buffer).unwrap();
        match &script.directives[0] {
            wast::WastDirective::AssertReturn { results, .. } => {
                Expected::parse(&results[0]).unwrap()
            }
            _ => panic!("it is an assert_return"),
        }
    }

    #[test]
    fn patterns_are_masks_and_lane_0_is_lowest() {
        let bits = |kind, mask, value| Expected::Bits { kind, mask, value };
        assert_eq!(
            expected("(i32.const -1)"),
            bits(ValType::I32, 0xffff_ffff, 0xffff_ffff)
        );
        assert_eq!(
            expected("(f32.const nan:canonical)"),
            bits(ValType::F32, 0x7fff_ffff, 0x7fc0_0000)
        );
        assert_eq!(
            expected("(f64.const nan:arithmetic)"),
            bits(ValType::F64, 0x7ff8 << 48, 0x7ff8 << 48)
        );
        assert_eq!(
            expected("(v128.const i16x8 1 2 3 4 5 6 7 -8)"),
            bits(
                ValType::V128,
                u128::MAX,
                0xfff8_0007_0006_0005_0004_0003_0002_0001
            )
        );
        assert_eq!(
            expected("(v128.const f32x4 1.0 nan:canonical 0 nan:arithmetic)"),
            bits(
                ValType::V128,
                0x7fc0_0000_ffff_ffff_7fff_ffff_ffff_ffff,
                0x7fc0_0000_0000_0000_7fc0_0000_3f80_0000
            )
        );
        assert_eq!(expected("(ref.null extern)"), Expected::Null);
        assert_eq!(expected("(ref.func)"), Expected::NotNull);
    }
}
