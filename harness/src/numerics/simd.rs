//! The vector instructions of WebAssembly's fixed-width SIMD, relaxed ones excluded.

mod conversions;

use super::{
    operation::{Compare, Group, Lane, Operand, Operation, Source, Type, extend, sign},
    oracle::{self, Float, lanes, mask, signed, vector},
};

const FEATURE: Option<&str> = Some("simd");
/// Immediates of i8x16.shuffle: reversed, interleaved, one lane everywhere, from both ends.
const SHUFFLES: [[u8; 16]; 4] = [
    [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
    [9; 16],
    [31, 0, 30, 1, 17, 16, 15, 14, 31, 31, 8, 24, 3, 19, 12, 7],
];

/// All vector instructions.
pub(super) fn vectors() -> Vec<Group> {
    let group = |name, operations| Group {
        name,
        feature: FEATURE,
        operations,
    };
    vec![
        group("v128", bitwise()),
        group("i8x16", integers(Lane::I8)),
        group("i16x8", integers(Lane::I16)),
        group("i32x4", integers(Lane::I32)),
        group("i64x2", integers(Lane::I64)),
        group("f32x4", floats(Lane::F32, &oracle::F32)),
        group("f64x2", floats(Lane::F64, &oracle::F64)),
        group("vector conversions", conversions::all()),
        group("vector loads", loads()),
    ]
}

fn shape(lane: Lane) -> &'static str {
    match lane {
        Lane::I8 | Lane::Index => "i8x16",
        Lane::I16 => "i16x8",
        Lane::I32 | Lane::Count => "i32x4",
        Lane::I64 | Lane::Mask => "i64x2",
        Lane::F32 => "f32x4",
        Lane::F64 => "f64x2",
    }
}

/// The scalar that a lane is made from or read as.
fn scalar(lane: Lane) -> Type {
    match lane {
        Lane::I64 | Lane::Mask => Type::I64,
        Lane::F32 => Type::F32,
        Lane::F64 => Type::F64,
        _ => Type::I32,
    }
}

const fn packed(lane: Lane) -> Operand {
    Operand {
        kind: Type::V128,
        lane,
    }
}

fn operation(
    name: String,
    operands: &[Operand],
    result: Type,
    compare: Compare,
    oracle: impl Fn(&[u128]) -> u128 + Send + Sync + 'static,
) -> Operation {
    Operation {
        name,
        operands: operands.to_vec(),
        source: Source::Stack,
        result,
        compare,
        oracle: Box::new(move |operands| Some(oracle(operands))),
    }
}

/// Lane by lane, one operand.
fn unary(
    lane: Lane,
    name: &str,
    compare: Compare,
    give: impl Fn(u64) -> u64 + Send + Sync + 'static,
) -> Operation {
    let name = format!("{}.{name}", shape(lane));
    operation(name, &[packed(lane)], Type::V128, compare, move |v| {
        let width = lane.width();
        vector(width, lanes(width, v[0]).into_iter().map(&give))
    })
}

/// Lane by lane, two operands.
fn binary(
    lane: Lane,
    name: &str,
    compare: Compare,
    give: impl Fn(u64, u64) -> u64 + Send + Sync + 'static,
) -> Operation {
    let name = format!("{}.{name}", shape(lane));
    operation(name, &[packed(lane); 2], Type::V128, compare, move |v| {
        let width = lane.width();
        let pairs = lanes(width, v[0]).into_iter().zip(lanes(width, v[1]));
        vector(width, pairs.map(|(a, b)| give(a, b)))
    })
}

fn bitwise() -> Vec<Operation> {
    let two = |name: &str, give: fn(u128, u128) -> u128| {
        let operands = [packed(Lane::I64); 2];
        operation(
            format!("v128.{name}"),
            &operands,
            Type::V128,
            Compare::Bits,
            move |v| give(v[0], v[1]),
        )
    };
    let mut operations = vec![
        two("and", |a, b| a & b),
        two("andnot", |a, b| a & !b),
        two("or", |a, b| a | b),
        two("xor", |a, b| a ^ b),
        operation(
            "v128.not".to_owned(),
            &[packed(Lane::I64)],
            Type::V128,
            Compare::Bits,
            |v| !v[0],
        ),
        operation(
            "v128.any_true".to_owned(),
            &[packed(Lane::Mask)],
            Type::I32,
            Compare::Bits,
            |v| u128::from(v[0] != 0),
        ),
        operation(
            "v128.bitselect".to_owned(),
            &[packed(Lane::Mask); 3],
            Type::V128,
            Compare::Bits,
            |v| (v[0] & v[2]) | (v[1] & !v[2]),
        ),
        operation(
            "i8x16.swizzle".to_owned(),
            &[packed(Lane::I8), packed(Lane::Index)],
            Type::V128,
            Compare::Bits,
            |v| {
                let from = lanes(8, v[0]);
                let chosen = lanes(8, v[1]).into_iter();
                vector(
                    8,
                    chosen.map(|at| from.get(at as usize).copied().unwrap_or(0)),
                )
            },
        ),
    ];
    for immediates in SHUFFLES {
        let text: Vec<String> = immediates.iter().map(u8::to_string).collect();
        let name = format!("i8x16.shuffle {}", text.join(" "));
        operations.push(operation(
            name,
            &[packed(Lane::I8); 2],
            Type::V128,
            Compare::Bits,
            move |v| {
                let mut from = lanes(8, v[0]);
                from.extend(lanes(8, v[1]));
                vector(8, immediates.iter().map(|&at| from[usize::from(at)]))
            },
        ));
    }
    operations
}

/// splat, and extract_lane and replace_lane of every lane.
fn moves(lane: Lane) -> Vec<Operation> {
    let (width, kind) = (lane.width(), scalar(lane));
    let single = Operand {
        kind,
        lane: if kind == Type::I32 { Lane::I32 } else { lane },
    };
    let mut operations = vec![operation(
        format!("{}.splat", shape(lane)),
        &[single],
        Type::V128,
        Compare::Bits,
        move |v| vector(width, vec![v[0] as u64 & mask(width); 128 / width as usize]),
    )];
    for at in 0..(128 / width) as usize {
        let endings: &[&str] = if width < 32 { &["_s", "_u"] } else { &[""] };
        for &ending in endings {
            let name = format!("{}.extract_lane{ending} {at}", shape(lane));
            operations.push(operation(
                name,
                &[packed(lane)],
                kind,
                Compare::Bits,
                move |v| u128::from(extend(ending == "_s", width, 32, lanes(width, v[0])[at])),
            ));
        }
        let name = format!("{}.replace_lane {at}", shape(lane));
        operations.push(operation(
            name,
            &[packed(lane), single],
            Type::V128,
            Compare::Bits,
            move |v| {
                let mut changed = lanes(width, v[0]);
                changed[at] = v[1] as u64 & mask(width);
                vector(width, changed)
            },
        ));
    }
    operations
}

fn integers(lane: Lane) -> Vec<Operation> {
    let width = lane.width();
    let bits = Compare::Bits;
    let mut operations = moves(lane);
    // The instructions that every shape has.
    operations.push(unary(lane, "abs", bits, move |a| {
        signed(width, a).unsigned_abs() & mask(width)
    }));
    operations.push(unary(lane, "neg", bits, move |a| {
        a.wrapping_neg() & mask(width)
    }));
    let mut two = |name: &str, give: oracle::IntegerBinary| {
        operations.push(binary(lane, name, bits, move |a, b| {
            give(width, a, b).unwrap_or(0)
        }));
    };
    two("add", oracle::add);
    two("sub", oracle::sub);
    if lane != Lane::I8 {
        two("mul", oracle::mul);
    }
    if width < 64 {
        for &(name, give) in oracle::INTEGER_EXTREMES {
            two(name, give);
        }
    }
    if width < 32 {
        for &(name, give) in oracle::SMALL_BINARY {
            two(name, give);
        }
    }
    for &(name, holds) in oracle::INTEGER_COMPARISONS {
        if width < 64 || !name.ends_with("_u") {
            operations.push(binary(lane, name, bits, move |a, b| {
                if holds(width, a, b) { mask(width) } else { 0 }
            }));
        }
    }
    operations.extend(shifts_and_tests(lane));
    operations.extend(of_one_shape(lane));
    operations
}

/// Shifts by a count, and what makes one i32 of all lanes.
fn shifts_and_tests(lane: Lane) -> Vec<Operation> {
    let (width, bits) = (lane.width(), Compare::Bits);
    let mut operations = Vec::new();
    let count = Operand {
        kind: Type::I32,
        lane: Lane::Count,
    };
    let shifts: [(&str, oracle::Shift); 3] = [
        ("shl", oracle::shl),
        ("shr_s", oracle::shr_s),
        ("shr_u", oracle::shr_u),
    ];
    for (name, shift) in shifts {
        let name = format!("{}.{name}", shape(lane));
        operations.push(operation(
            name,
            &[packed(lane), count],
            Type::V128,
            bits,
            move |v| {
                vector(
                    width,
                    lanes(width, v[0])
                        .into_iter()
                        .map(|a| shift(width, a, v[1] as u64)),
                )
            },
        ));
    }
    let name = format!("{}.all_true", shape(lane));
    operations.push(operation(
        name,
        &[packed(lane)],
        Type::I32,
        bits,
        move |v| u128::from(lanes(width, v[0]).iter().all(|&a| a != 0)),
    ));
    let name = format!("{}.bitmask", shape(lane));
    operations.push(operation(
        name,
        &[packed(lane)],
        Type::I32,
        bits,
        move |v| {
            let signs = lanes(width, v[0]).into_iter().map(|a| a >> (width - 1));
            vector(1, signs)
        },
    ));
    operations
}

/// Instructions that only lanes of one width have.
fn of_one_shape(lane: Lane) -> Vec<Operation> {
    let bits = Compare::Bits;
    let mut operations = Vec::new();
    if lane == Lane::I8 {
        operations.push(unary(lane, "popcnt", bits, |a| u64::from(a.count_ones())));
    }
    if lane == Lane::I16 {
        operations.push(binary(lane, "q15mulr_sat_s", bits, oracle::q15mulr_sat));
    }
    if lane == Lane::I32 {
        let operands = [packed(Lane::I16); 2];
        operations.push(operation(
            "i32x4.dot_i16x8_s".to_owned(),
            &operands,
            Type::V128,
            bits,
            |v| {
                let products: Vec<i64> = lanes(16, v[0])
                    .into_iter()
                    .zip(lanes(16, v[1]))
                    .map(|(a, b)| signed(16, a) * signed(16, b))
                    .collect();
                vector(
                    32,
                    products
                        .chunks(2)
                        .map(|pair| (pair[0] + pair[1]) as u64 & mask(32)),
                )
            },
        ));
    }
    operations
}

fn floats(lane: Lane, float: &'static Float) -> Vec<Operation> {
    let width = lane.width();
    let class = Compare::NanClass(width);
    let mut operations = moves(lane);
    for (list, compare) in [(float.unary_bits, Compare::Bits), (float.unary, class)] {
        for &(name, give) in list {
            operations.push(unary(lane, name, compare, give));
        }
    }
    for (list, compare) in [(float.binary, class), (float.pseudo, Compare::Bits)] {
        for &(name, give) in list {
            operations.push(binary(lane, name, compare, give));
        }
    }
    for &(name, holds) in float.comparisons {
        operations.push(binary(lane, name, Compare::Bits, move |a, b| {
            if holds(a, b) { mask(width) } else { 0 }
        }));
    }
    operations
}

fn loads() -> Vec<Operation> {
    let load =
        |name: String, lane: Lane, give: Box<dyn Fn(u128) -> u128 + Send + Sync>| Operation {
            source: Source::Memory,
            ..operation(name, &[packed(lane)], Type::V128, Compare::Bits, move |v| {
                give(v[0])
            })
        };
    let mut operations = vec![load("v128.load".to_owned(), Lane::I64, Box::new(|v| v))];
    for (lane, shape) in [(Lane::I8, "8x8"), (Lane::I16, "16x4"), (Lane::I32, "32x2")] {
        for is_signed in [true, false] {
            let name = format!("v128.load{shape}_{}", sign(is_signed));
            let width = lane.width();
            let widen = move |v: u128| {
                let low = lanes(width, v & u128::from(u64::MAX)).into_iter();
                let low = low.take((64 / width) as usize);
                vector(
                    2 * width,
                    low.map(|a| extend(is_signed, width, 2 * width, a)),
                )
            };
            operations.push(load(name, lane, Box::new(widen)));
        }
    }
    for lane in [Lane::I8, Lane::I16, Lane::I32, Lane::I64] {
        let width = lane.width();
        let splat =
            move |v: u128| vector(width, vec![v as u64 & mask(width); 128 / width as usize]);
        operations.push(load(
            format!("v128.load{width}_splat"),
            lane,
            Box::new(splat),
        ));
    }
    for lane in [Lane::I32, Lane::I64] {
        let width = lane.width();
        let zero = move |v: u128| u128::from(v as u64 & mask(width));
        operations.push(load(format!("v128.load{width}_zero"), lane, Box::new(zero)));
    }
    operations
}
