//! The table of numeric instructions: their text, their operands, and what they give by the oracle.

use super::oracle::{self, Float};

/// A value type of WebAssembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    I32,
    I64,
    F32,
    F64,
    V128,
}

impl Type {
    /// As text modules spell it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::V128 => "v128",
        }
    }

    /// Number of bits.
    pub(super) const fn width(self) -> u32 {
        match self {
            Type::I32 | Type::F32 => 32,
            Type::I64 | Type::F64 => 64,
            Type::V128 => 128,
        }
    }

    /// What a scalar of this type is tried with.
    const fn lane(self) -> Lane {
        match self {
            Type::I32 => Lane::I32,
            Type::I64 | Type::V128 => Lane::I64,
            Type::F32 => Lane::F32,
            Type::F64 => Lane::F64,
        }
    }
}

/// What an operand, or each lane of a vector, is tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    /// An i32 that is a shift count.
    Count,
    /// A byte that is an index into a vector.
    Index,
    /// 64 bits that choose bits.
    Mask,
}

impl Lane {
    /// Number of bits.
    pub(super) const fn width(self) -> u32 {
        match self {
            Lane::I8 | Lane::Index => 8,
            Lane::I16 => 16,
            Lane::I32 | Lane::F32 | Lane::Count => 32,
            Lane::I64 | Lane::F64 | Lane::Mask => 64,
        }
    }
}

/// An operand: its type, and what its lanes are tried with (a scalar is one lane).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    pub(super) kind: Type,
    pub(super) lane: Lane,
}

/// How a result is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    /// Bit for bit.
    Bits,
    /// Bit for bit, but where a float lane of this width is NaN any arithmetic (quiet) NaN holds: the specification leaves its
    /// sign and payload open.
    NanClass(u32),
}

/// Operand bits to result bits; `None` where the instruction traps.
pub(super) type Oracle = Box<dyn Fn(&[u128]) -> Option<u128> + Send + Sync>;

/// How operands reach the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// From the stack.
    Stack,
    /// It is a load: its operand lies in memory.
    Memory,
}

/// One numeric instruction, its immediates included.
pub(super) struct Operation {
    /// Its text, which is also the name of what a module exports for it.
    pub(super) name: String,
    pub(super) operands: Vec<Operand>,
    pub(super) source: Source,
    pub(super) result: Type,
    pub(super) compare: Compare,
    pub(super) oracle: Oracle,
}

/// Instructions that stand in one module.
pub(super) struct Group {
    /// Name for messages.
    pub(super) name: &'static str,
    /// The feature an engine must list; `None` for WebAssembly 1.0.
    pub(super) feature: Option<&'static str>,
    pub(super) operations: Vec<Operation>,
}

/// All scalar instructions, by the feature that has them.
pub(super) fn scalar() -> Vec<Group> {
    let group = |name, feature, operations| Group {
        name,
        feature,
        operations,
    };
    vec![
        group("i32", None, integer(Type::I32)),
        group("i64", None, integer(Type::I64)),
        group(
            "f32",
            None,
            float(Type::F32, &oracle::F32, oracle::copysign_f32),
        ),
        group(
            "f64",
            None,
            float(Type::F64, &oracle::F64, oracle::copysign_f64),
        ),
        group("conversions", None, conversions()),
        group("loads", None, loads()),
        group("sign extension", Some("sign-extension"), sign_extensions()),
        group(
            "saturating conversions",
            Some("saturating-float-to-int"),
            truncations(true),
        ),
    ]
}

/// An operation on scalars, each tried with the values of its type.
fn scalars(
    name: String,
    operands: &[Type],
    result: Type,
    compare: Compare,
    oracle: impl Fn(&[u64]) -> Option<u64> + Send + Sync + 'static,
) -> Operation {
    Operation {
        name,
        operands: operands
            .iter()
            .map(|&kind| Operand {
                kind,
                lane: kind.lane(),
            })
            .collect(),
        source: Source::Stack,
        result,
        compare,
        oracle: Box::new(move |operands| {
            let operands: Vec<u64> = operands.iter().map(|&bits| bits as u64).collect();
            oracle(&operands).map(u128::from)
        }),
    }
}

fn integer(kind: Type) -> Vec<Operation> {
    let width = kind.width();
    let name = |name: &str| format!("{}.{name}", kind.name());
    let mut operations = Vec::new();
    for &(text, give) in oracle::INTEGER_UNARY {
        operations.push(scalars(
            name(text),
            &[kind],
            kind,
            Compare::Bits,
            move |v| Some(give(width, v[0])),
        ));
    }
    for &(text, give) in oracle::INTEGER_BINARY {
        operations.push(scalars(
            name(text),
            &[kind, kind],
            kind,
            Compare::Bits,
            move |v| give(width, v[0], v[1]),
        ));
    }
    operations.push(scalars(
        name("eqz"),
        &[kind],
        Type::I32,
        Compare::Bits,
        |v| Some(u64::from(v[0] == 0)),
    ));
    for &(text, holds) in oracle::INTEGER_COMPARISONS {
        operations.push(scalars(
            name(text),
            &[kind, kind],
            Type::I32,
            Compare::Bits,
            move |v| Some(u64::from(holds(width, v[0], v[1]))),
        ));
    }
    operations
}

fn float(kind: Type, float: &Float, copysign: fn(u64, u64) -> u64) -> Vec<Operation> {
    let name = |name: &str| format!("{}.{name}", kind.name());
    let class = Compare::NanClass(kind.width());
    let mut operations = Vec::new();
    for (list, compare) in [(float.unary_bits, Compare::Bits), (float.unary, class)] {
        for &(text, give) in list {
            operations.push(scalars(name(text), &[kind], kind, compare, move |v| {
                Some(give(v[0]))
            }));
        }
    }
    for &(text, give) in float.binary {
        operations.push(scalars(name(text), &[kind, kind], kind, class, move |v| {
            Some(give(v[0], v[1]))
        }));
    }
    operations.push(scalars(
        name("copysign"),
        &[kind, kind],
        kind,
        Compare::Bits,
        move |v| Some(copysign(v[0], v[1])),
    ));
    for &(text, holds) in float.comparisons {
        operations.push(scalars(
            name(text),
            &[kind, kind],
            Type::I32,
            Compare::Bits,
            move |v| Some(u64::from(holds(v[0], v[1]))),
        ));
    }
    operations
}

fn conversions() -> Vec<Operation> {
    let mut operations = truncations(false);
    for float in [Type::F32, Type::F64] {
        for integer in [Type::I32, Type::I64] {
            for is_signed in [true, false] {
                let name = format!(
                    "{}.convert_{}_{}",
                    float.name(),
                    integer.name(),
                    sign(is_signed)
                );
                operations.push(scalars(name, &[integer], float, Compare::Bits, move |v| {
                    Some(oracle::convert(
                        integer.width(),
                        is_signed,
                        float.width(),
                        v[0],
                    ))
                }));
            }
        }
    }
    let mut push = |name: &str, from, to, compare, give: fn(u64) -> u64| {
        operations.push(scalars(name.to_owned(), &[from], to, compare, move |v| {
            Some(give(v[0]))
        }));
    };
    push("i32.wrap_i64", Type::I64, Type::I32, Compare::Bits, |a| {
        a & 0xffff_ffff
    });
    push(
        "i64.extend_i32_s",
        Type::I32,
        Type::I64,
        Compare::Bits,
        |a| oracle::extend_signed(32, 64, a),
    );
    push(
        "i64.extend_i32_u",
        Type::I32,
        Type::I64,
        Compare::Bits,
        |a| a,
    );
    push(
        "f32.demote_f64",
        Type::F64,
        Type::F32,
        Compare::NanClass(32),
        oracle::demote,
    );
    push(
        "f64.promote_f32",
        Type::F32,
        Type::F64,
        Compare::NanClass(64),
        oracle::promote,
    );
    push(
        "i32.reinterpret_f32",
        Type::F32,
        Type::I32,
        Compare::Bits,
        |a| a,
    );
    push(
        "i64.reinterpret_f64",
        Type::F64,
        Type::I64,
        Compare::Bits,
        |a| a,
    );
    push(
        "f32.reinterpret_i32",
        Type::I32,
        Type::F32,
        Compare::Bits,
        |a| a,
    );
    push(
        "f64.reinterpret_i64",
        Type::I64,
        Type::F64,
        Compare::Bits,
        |a| a,
    );
    operations
}

/// Conversions of floats to integers: saturating, or trapping ones where they do not trap.
fn truncations(saturating: bool) -> Vec<Operation> {
    let mut operations = Vec::new();
    for integer in [Type::I32, Type::I64] {
        for float in [Type::F32, Type::F64] {
            for is_signed in [true, false] {
                let how = if saturating { "trunc_sat" } else { "trunc" };
                let name = format!(
                    "{}.{how}_{}_{}",
                    integer.name(),
                    float.name(),
                    sign(is_signed)
                );
                let (from, to) = (float.width(), integer.width());
                operations.push(scalars(name, &[float], integer, Compare::Bits, move |v| {
                    if saturating {
                        Some(oracle::truncate_saturated(from, to, is_signed, v[0]))
                    } else {
                        oracle::truncate(from, to, is_signed, v[0])
                    }
                }));
            }
        }
    }
    operations
}

/// Loads extend, and a load and a store of a float move every bit of a NaN.
fn loads() -> Vec<Operation> {
    let mut operations = Vec::new();
    for kind in [Type::I32, Type::I64] {
        for from in [8, 16, 32] {
            for is_signed in [true, false] {
                if from < kind.width() {
                    let name = format!("{}.load{from}_{}", kind.name(), sign(is_signed));
                    operations.push(scalars(name, &[kind], kind, Compare::Bits, move |v| {
                        Some(extend(
                            is_signed,
                            from,
                            kind.width(),
                            v[0] & oracle::mask(from),
                        ))
                    }));
                }
            }
        }
    }
    for kind in [Type::I32, Type::I64, Type::F32, Type::F64] {
        let name = format!("{}.load", kind.name());
        operations.push(scalars(name, &[kind], kind, Compare::Bits, |v| Some(v[0])));
    }
    for operation in &mut operations {
        operation.source = Source::Memory;
    }
    operations
}

fn sign_extensions() -> Vec<Operation> {
    [
        (Type::I32, 8),
        (Type::I32, 16),
        (Type::I64, 8),
        (Type::I64, 16),
        (Type::I64, 32),
    ]
    .into_iter()
    .map(|(kind, from)| {
        let name = format!("{}.extend{from}_s", kind.name());
        scalars(name, &[kind], kind, Compare::Bits, move |v| {
            Some(oracle::extend_signed(from, kind.width(), v[0]))
        })
    })
    .collect()
}

/// `s` or `u`, the ending of names.
pub(super) const fn sign(is_signed: bool) -> &'static str {
    if is_signed { "s" } else { "u" }
}

/// A lane of `from` bits widened to `to` bits.
pub(super) fn extend(is_signed: bool, from: u32, to: u32, lane: u64) -> u64 {
    if is_signed {
        oracle::extend_signed(from, to, lane)
    } else {
        lane
    }
}
