//! Vector to vector, where lanes change their width or meaning.

use super::{operation, packed, shape, unary};
use crate::numerics::{
    operation::{Compare, Lane, Operation, Type, extend, sign},
    oracle::{self, lanes, mask, signed, vector},
};

/// All of them.
pub(super) fn all() -> Vec<Operation> {
    let mut operations = integers();
    operations.extend(floats());
    operations
}

/// Between integers of two widths.
fn integers() -> Vec<Operation> {
    let bits = Compare::Bits;
    let mut operations = Vec::new();
    for (from, to) in [
        (Lane::I8, Lane::I16),
        (Lane::I16, Lane::I32),
        (Lane::I32, Lane::I64),
    ] {
        let (small, large) = (from.width(), to.width());
        let half = (128 / large) as usize;
        for is_signed in [true, false] {
            let end = format!("{}_{}", shape(from), sign(is_signed));
            let widen = move |v: u128| -> Vec<u64> {
                let wide = lanes(small, v).into_iter();
                wide.map(|a| extend(is_signed, small, large, a)).collect()
            };
            for (part, first) in [("low", 0), ("high", half)] {
                let name = format!("{}.extend_{part}_{end}", shape(to));
                operations.push(operation(
                    name,
                    &[packed(from)],
                    Type::V128,
                    bits,
                    move |v| vector(large, widen(v[0])[first..first + half].iter().copied()),
                ));
                let name = format!("{}.extmul_{part}_{end}", shape(to));
                operations.push(operation(
                    name,
                    &[packed(from); 2],
                    Type::V128,
                    bits,
                    move |v| {
                        let (a, b) = (widen(v[0]), widen(v[1]));
                        vector(
                            large,
                            (first..first + half).map(|at| a[at].wrapping_mul(b[at]) & mask(large)),
                        )
                    },
                ));
            }
            if from != Lane::I32 {
                let name = format!("{}.extadd_pairwise_{end}", shape(to));
                operations.push(operation(
                    name,
                    &[packed(from)],
                    Type::V128,
                    bits,
                    move |v| {
                        let sums = widen(v[0]);
                        vector(
                            large,
                            sums.chunks(2)
                                .map(|pair| pair[0].wrapping_add(pair[1]) & mask(large)),
                        )
                    },
                ));
                // The other way: lanes of two vectors, squeezed. They are read as signed in both forms.
                let name = format!("{}.narrow_{}_{}", shape(from), shape(to), sign(is_signed));
                operations.push(operation(
                    name,
                    &[packed(to); 2],
                    Type::V128,
                    bits,
                    move |v| {
                        let both = lanes(large, v[0]).into_iter().chain(lanes(large, v[1]));
                        vector(
                            small,
                            both.map(|a| {
                                let a = signed(large, a);
                                if is_signed {
                                    oracle::saturate_signed(small, a)
                                } else {
                                    oracle::saturate_unsigned(small, a)
                                }
                            }),
                        )
                    },
                ));
            }
        }
    }
    operations
}

/// From or to floating-point numbers.
fn floats() -> Vec<Operation> {
    let bits = Compare::Bits;
    let mut operations = Vec::new();
    for is_signed in [true, false] {
        let end = sign(is_signed);
        operations.push(unary(Lane::F32, "", bits, move |a| {
            oracle::truncate_saturated(32, 32, is_signed, a)
        }));
        rename(&mut operations, format!("i32x4.trunc_sat_f32x4_{end}"));
        operations.push(unary(Lane::I32, "", bits, move |a| {
            oracle::convert(32, is_signed, 32, a)
        }));
        rename(&mut operations, format!("f32x4.convert_i32x4_{end}"));
        // Between two lanes of 64 bits and the low two of 32 bits; the high two become zero.
        let name = format!("i32x4.trunc_sat_f64x2_{end}_zero");
        operations.push(operation(
            name,
            &[packed(Lane::F64)],
            Type::V128,
            bits,
            move |v| {
                let from = lanes(64, v[0]).into_iter();
                vector(
                    32,
                    from.map(|a| oracle::truncate_saturated(64, 32, is_signed, a)),
                )
            },
        ));
        let name = format!("f64x2.convert_low_i32x4_{end}");
        operations.push(operation(
            name,
            &[packed(Lane::I32)],
            Type::V128,
            bits,
            move |v| {
                let from = lanes(32, v[0]).into_iter().take(2);
                vector(64, from.map(|a| oracle::convert(32, is_signed, 64, a)))
            },
        ));
    }
    let name = "f32x4.demote_f64x2_zero".to_owned();
    operations.push(operation(
        name,
        &[packed(Lane::F64)],
        Type::V128,
        Compare::NanClass(32),
        |v| vector(32, lanes(64, v[0]).into_iter().map(oracle::demote)),
    ));
    let name = "f64x2.promote_low_f32x4".to_owned();
    operations.push(operation(
        name,
        &[packed(Lane::F32)],
        Type::V128,
        Compare::NanClass(64),
        |v| vector(64, lanes(32, v[0]).into_iter().take(2).map(oracle::promote)),
    ));
    operations
}

/// Lane by lane conversions are not named after the lanes they take.
fn rename(operations: &mut [Operation], name: String) {
    if let Some(last) = operations.last_mut() {
        last.name = name;
    }
}
