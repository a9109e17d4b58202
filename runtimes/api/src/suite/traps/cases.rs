//! Ways to trap in a call.

use super::Case;
use crate::{Trap, suite::Need};
use std::fmt::Write as _;

const BULK: &[Need] = &[Need::Feature("bulk-memory")];
const REFERENCES: &[Need] = &[Need::Feature("reference-types")];
const SIMD: &[Need] = &[Need::Feature("simd")];

pub(super) fn call_cases() -> Vec<Case> {
    [
        arithmetic_cases(),
        memory_cases(),
        table_cases(),
        stack_cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn arithmetic_cases() -> Vec<Case> {
    use Trap::{
        IntegerDivideByZero as Zero, IntegerOverflow as Overflow,
        InvalidConversionToInteger as Conversion,
    };
    const NAN: u32 = 0x7fc0_0000;
    const INFINITY: u32 = 0x7f80_0000;
    [
        ("trap.unreachable", "unreachable", 0, Trap::Unreachable),
        ("trap.i32.div_s-zero", "(i32.div_s (i32.const 7) (local.get 0))", 0, Zero),
        ("trap.i32.rem_u-zero", "(i32.rem_u (i32.const 7) (local.get 0))", 0, Zero),
        (
            "trap.i64.div_u-zero",
            "(i32.wrap_i64 (i64.div_u (i64.const 7) (i64.extend_i32_u (local.get 0))))",
            0,
            Zero,
        ),
        (
            "trap.i64.rem_s-zero",
            "(i32.wrap_i64 (i64.rem_s (i64.const 7) (i64.extend_i32_u (local.get 0))))",
            0,
            Zero,
        ),
        (
            "trap.i32.div_s-overflow",
            "(i32.div_s (i32.const 0x80000000) (local.get 0))",
            u32::MAX,
            Overflow,
        ),
        (
            "trap.i64.div_s-overflow",
            "(i32.wrap_i64 (i64.div_s (i64.const 0x8000000000000000) (i64.extend_i32_s (local.get 0))))",
            u32::MAX,
            Overflow,
        ),
        (
            "trap.i32.trunc_f32_s-large",
            "(i32.trunc_f32_s (f32.reinterpret_i32 (local.get 0)))",
            0x4f00_0000, // 2^31
            Overflow,
        ),
        (
            "trap.i32.trunc_f32_u-negative",
            "(i32.trunc_f32_u (f32.reinterpret_i32 (local.get 0)))",
            0xbf80_0000, // -1
            Overflow,
        ),
        (
            "trap.i64.trunc_f64_u-infinity",
            "(i32.wrap_i64 (i64.trunc_f64_u (f64.promote_f32 (f32.reinterpret_i32 (local.get 0)))))",
            INFINITY,
            Overflow,
        ),
        (
            "trap.i32.trunc_f32_s-nan",
            "(i32.trunc_f32_s (f32.reinterpret_i32 (local.get 0)))",
            NAN,
            Conversion,
        ),
        (
            "trap.i64.trunc_f64_u-nan",
            "(i32.wrap_i64 (i64.trunc_f64_u (f64.promote_f32 (f32.reinterpret_i32 (local.get 0)))))",
            NAN,
            Conversion,
        ),
    ]
    .into_iter()
    .map(|(name, body, argument, trap)| expression(name, &[], "", body, argument, trap))
    .collect()
}

fn memory_cases() -> Vec<Case> {
    const MEMORY: &str = r#"(memory (export "memory") 1) (data $bytes "abcd")"#;
    let cases: [(_, &'static [Need], _, u32); 14] = [
        ("trap.memory.load", &[], "(i32.load (local.get 0))", 65_536),
        (
            "trap.memory.load-straddling",
            &[],
            "(i32.load (local.get 0))",
            65_533,
        ),
        (
            "trap.memory.load-top",
            &[],
            "(i32.load8_u (local.get 0))",
            u32::MAX,
        ),
        (
            "trap.memory.load-offset",
            &[],
            "(i32.load8_u offset=0xffffffff (local.get 0))",
            u32::MAX,
        ),
        (
            "trap.memory.load-offset-wraps",
            &[],
            "(i32.load8_u offset=0xffffffff (local.get 0))",
            1,
        ),
        (
            "trap.memory.store",
            &[],
            "(i32.store8 (local.get 0) (i32.const 1)) (i32.const 0)",
            65_536,
        ),
        (
            "trap.memory.store-straddling",
            &[],
            "(i64.store (local.get 0) (i64.const -1)) (i32.const 0)",
            65_529,
        ),
        (
            "trap.memory.fill",
            BULK,
            "(memory.fill (local.get 0) (i32.const 1) (i32.const 2)) (i32.const 0)",
            65_535,
        ),
        (
            "trap.memory.fill-length",
            BULK,
            "(memory.fill (i32.const 1) (i32.const 1) (local.get 0)) (i32.const 0)",
            u32::MAX,
        ),
        (
            "trap.memory.copy",
            BULK,
            "(memory.copy (i32.const 0) (local.get 0) (i32.const 2)) (i32.const 0)",
            65_535,
        ),
        (
            "trap.memory.init",
            BULK,
            "(memory.init $bytes (local.get 0) (i32.const 0) (i32.const 4)) (i32.const 0)",
            65_533,
        ),
        (
            "trap.memory.init-dropped",
            BULK,
            "(data.drop $bytes) (memory.init $bytes (i32.const 0) (i32.const 0) (local.get 0)) (i32.const 0)",
            1,
        ),
        (
            "trap.memory.v128-load",
            SIMD,
            "(i32x4.extract_lane 0 (v128.load (local.get 0)))",
            65_521,
        ),
        (
            "trap.memory.v128-store",
            SIMD,
            "(v128.store (local.get 0) (v128.const i64x2 1 2)) (i32.const 0)",
            65_521,
        ),
    ];
    cases
        .into_iter()
        .map(|(name, needs, body, argument)| {
            // A passive segment is itself of the bulk memory proposal.
            let fields = if needs.is_empty() {
                r#"(memory (export "memory") 1)"#
            } else {
                MEMORY
            };
            expression(
                name,
                needs,
                fields,
                body,
                argument,
                Trap::MemoryAccessViolation,
            )
        })
        .collect()
}

fn table_cases() -> Vec<Case> {
    const TABLE: &str = r#"(type $gives (func (result i32)))
      (type $takes (func (param i32) (result i32)))
      (table 4 funcref)
      (func $one (result i32) (i32.const 1))
      (func $two (param i32) (result i32) (i32.const 2))
      (elem (i32.const 0) $one $two)"#;
    const PASSIVE: &str = r#"(table 4 funcref) (func $one) (elem $functions func $one $one)"#;
    let indirect = "(call_indirect (type $gives) (local.get 0))";
    vec![
        expression(
            "trap.table.call-index",
            &[],
            TABLE,
            indirect,
            4,
            Trap::TableAccessViolation,
        ),
        expression(
            "trap.table.call-index-top",
            &[],
            TABLE,
            indirect,
            u32::MAX,
            Trap::TableAccessViolation,
        ),
        expression(
            "trap.table.null",
            &[],
            TABLE,
            indirect,
            2,
            Trap::NullFunction,
        ),
        expression(
            "trap.table.type",
            &[],
            TABLE,
            indirect,
            1,
            Trap::IndirectCallTypeMismatch,
        ),
        expression(
            "trap.table.get",
            REFERENCES,
            TABLE,
            "(ref.is_null (table.get 0 (local.get 0)))",
            4,
            Trap::TableAccessViolation,
        ),
        expression(
            "trap.table.set",
            REFERENCES,
            TABLE,
            "(table.set 0 (local.get 0) (ref.null func)) (i32.const 0)",
            4,
            Trap::TableAccessViolation,
        ),
        expression(
            "trap.table.fill",
            REFERENCES,
            TABLE,
            "(table.fill 0 (local.get 0) (ref.null func) (i32.const 2)) (i32.const 0)",
            3,
            Trap::TableAccessViolation,
        ),
        expression(
            "trap.table.copy",
            BULK,
            TABLE,
            "(table.copy (i32.const 0) (local.get 0) (i32.const 2)) (i32.const 0)",
            3,
            Trap::TableAccessViolation,
        ),
        expression(
            "trap.table.init",
            BULK,
            PASSIVE,
            "(table.init $functions (local.get 0) (i32.const 0) (i32.const 2)) (i32.const 0)",
            3,
            Trap::TableAccessViolation,
        ),
    ]
}

fn stack_cases() -> Vec<Case> {
    let overflow = |name, fields: String| Case {
        name,
        needs: &[],
        fields,
        argument: 1,
        trap: Trap::StackOverflow,
    };
    vec![
        overflow(
            "trap.stack.recursion",
            r#"(func $run (export "run") (param i32) (result i32)
                 (i32.add (local.get 0) (call $run (i32.add (local.get 0) (i32.const 1)))))"#
                .to_owned(),
        ),
        overflow(
            "trap.stack.mutual",
            r#"(func $ping (export "run") (param i32) (result i32)
                 (i32.add (local.get 0) (call $pong (local.get 0))))
               (func $pong (param i32) (result i32)
                 (i32.xor (local.get 0) (call $ping (i32.add (local.get 0) (i32.const 1)))))"#
                .to_owned(),
        ),
        overflow(
            "trap.stack.indirect",
            r#"(type $takes (func (param i32) (result i32)))
               (table 1 funcref) (elem (i32.const 0) $run)
               (func $run (export "run") (param i32) (result i32)
                 (i32.add (local.get 0) (call_indirect (type $takes) (local.get 0) (i32.const 0))))"#
                .to_owned(),
        ),
        overflow("trap.stack.big-frames", big_frames(1000)),
    ]
}

/// Recursion whose every frame holds this many live 64-bit values: more than a guard page between two frames.
fn big_frames(values: usize) -> String {
    let mut text = String::from(
        r#"(func $run (export "run") (param i32) (result i32) (local $sum i64) (local"#,
    );
    text.push_str(&" i64".repeat(values));
    text.push(')');
    // Writing into a string cannot fail.
    for local in 2..values + 2 {
        let _ = write!(
            text,
            "(local.set {local} (i64.rotl (i64.extend_i32_u (local.get 0)) (i64.const {})))",
            local % 64
        );
    }
    text.push_str(
        "(local.set $sum (i64.extend_i32_u (call $run (i32.add (local.get 0) (i32.const 1)))))",
    );
    for local in 2..values + 2 {
        let _ = write!(
            text,
            "(local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 3)) (local.get {local})))"
        );
    }
    text.push_str("(i32.wrap_i64 (local.get $sum)))");
    text
}

/// A case whose `run` is this expression over `local.get 0`, beside further fields.
fn expression(
    name: &'static str,
    needs: &'static [Need],
    fields: &str,
    body: &str,
    argument: u32,
    trap: Trap,
) -> Case {
    Case {
        name,
        needs,
        fields: format!(r#"{fields} (func (export "run") (param i32) (result i32) {body})"#),
        argument,
        trap,
    }
}
