//! Arithmetic whose result the WebAssembly specification fixes to the bit, and the pack features.

use super::{Check, Need, Subject, Verdict, call_within, options, require_equal};
use crate::features::PROBES;
use std::fmt::Write as _;

/// Name, body over `$a` and `$b` (raw bits), arguments, expected bits.
type Row = (&'static str, &'static str, [u32; 2], u32);

const F32: &[Row] = &[
    (
        "min -0 0",
        "(f32.min F32A F32B)",
        [0x8000_0000, 0],
        0x8000_0000,
    ),
    (
        "min 0 -0",
        "(f32.min F32A F32B)",
        [0, 0x8000_0000],
        0x8000_0000,
    ),
    ("max -0 0", "(f32.max F32A F32B)", [0x8000_0000, 0], 0),
    ("max 0 -0", "(f32.max F32A F32B)", [0, 0x8000_0000], 0),
    (
        "add -0 -0",
        "(f32.add F32A F32B)",
        [0x8000_0000, 0x8000_0000],
        0x8000_0000,
    ),
    (
        "sub 1 1",
        "(f32.sub F32A F32B)",
        [0x3f80_0000, 0x3f80_0000],
        0,
    ),
    ("nearest 0.5", "(f32.nearest F32A)", [0x3f00_0000, 0], 0),
    (
        "nearest 1.5",
        "(f32.nearest F32A)",
        [0x3fc0_0000, 0],
        0x4000_0000,
    ),
    (
        "nearest 2.5",
        "(f32.nearest F32A)",
        [0x4020_0000, 0],
        0x4000_0000,
    ),
    (
        "nearest -0.5",
        "(f32.nearest F32A)",
        [0xbf00_0000, 0],
        0x8000_0000,
    ),
    (
        "nearest -3.5",
        "(f32.nearest F32A)",
        [0xc060_0000, 0],
        0xc080_0000,
    ),
    (
        "nearest 8388609.0",
        "(f32.nearest F32A)",
        [0x4b00_0001, 0],
        0x4b00_0001,
    ),
    (
        "ceil -0.5",
        "(f32.ceil F32A)",
        [0xbf00_0000, 0],
        0x8000_0000,
    ),
    (
        "floor -0",
        "(f32.floor F32A)",
        [0x8000_0000, 0],
        0x8000_0000,
    ),
    (
        "trunc -0.9",
        "(f32.trunc F32A)",
        [0xbf66_6666, 0],
        0x8000_0000,
    ),
    ("sqrt 2", "(f32.sqrt F32A)", [0x4000_0000, 0], 0x3fb5_04f3),
    ("sqrt -0", "(f32.sqrt F32A)", [0x8000_0000, 0], 0x8000_0000),
    (
        "div 1 3",
        "(f32.div F32A F32B)",
        [0x3f80_0000, 0x4040_0000],
        0x3eaa_aaab,
    ),
    (
        "div 1 -0",
        "(f32.div F32A F32B)",
        [0x3f80_0000, 0x8000_0000],
        0xff80_0000,
    ),
    (
        "copysign 1 -0",
        "(f32.copysign F32A F32B)",
        [0x3f80_0000, 0x8000_0000],
        0xbf80_0000,
    ),
    (
        "copysign nan -1",
        "(f32.copysign F32A F32B)",
        [0x7fa1_2345, 0xbf80_0000],
        0xffa1_2345,
    ),
    (
        "abs of a signalling nan",
        "(f32.abs F32A)",
        [0xffa1_2345, 0],
        0x7fa1_2345,
    ),
    (
        "neg of a signalling nan",
        "(f32.neg F32A)",
        [0x7fa1_2345, 0],
        0xffa1_2345,
    ),
    (
        "smallest denormal + itself",
        "(f32.add F32A F32A)",
        [1, 0],
        2,
    ),
    (
        "denormal * 1",
        "(f32.mul F32A F32B)",
        [0x007f_ffff, 0x3f80_0000],
        0x007f_ffff,
    ),
    (
        "smallest normal / 2",
        "(f32.div F32A F32B)",
        [0x0080_0000, 0x4000_0000],
        0x0040_0000,
    ),
    (
        "underflow ties to even",
        "(f32.mul F32A F32B)",
        [1, 0x3f00_0000],
        0,
    ),
    (
        "overflow",
        "(f32.mul F32A F32B)",
        [0x7f7f_ffff, 0x4000_0000],
        0x7f80_0000,
    ),
    // (1 + 2^-12)^2 - (1 + 2^-11): 2^-24 if it were fused.
    (
        "multiply and add are two roundings",
        "(f32.sub (f32.mul F32A F32A) F32B)",
        [0x3f80_0800, 0x3f80_1000],
        0,
    ),
    (
        "convert 2^24 + 1",
        "(f32.convert_i32_u (local.get $a))",
        [16_777_217, 0],
        0x4b80_0000,
    ),
    (
        "convert 2^24 + 3",
        "(f32.convert_i32_u (local.get $a))",
        [16_777_219, 0],
        0x4b80_0002,
    ),
    (
        "convert u32::MAX",
        "(f32.convert_i32_u (local.get $a))",
        [u32::MAX, 0],
        0x4f80_0000,
    ),
    (
        "convert of i64, one rounding",
        "(f32.convert_i64_u I64)",
        [0x0020_0000, 0x2000_0001], // 2^53 + 2^29 + 1: through f64 it would tie to even
        0x5a00_0001,
    ),
    (
        "demote 1 + 2^-24",
        "(f32.demote_f64 F64)",
        [0x3ff0_0000, 0x1000_0000],
        0x3f80_0000,
    ),
    (
        "demote, just above the tie",
        "(f32.demote_f64 F64)",
        [0x3ff0_0000, 0x1000_0001],
        0x3f80_0001,
    ),
    (
        "demote to a denormal",
        "(f32.demote_f64 F64)",
        [0x36a0_0000, 0],
        1,
    ),
    (
        "demote below denormals",
        "(f32.demote_f64 F64)",
        [0x3690_0000, 0],
        0,
    ),
    (
        "demote to infinity",
        "(f32.demote_f64 F64)",
        [0x47ef_ffff, 0xf000_0000],
        0x7f80_0000,
    ),
    (
        "demote to the largest",
        "(f32.demote_f64 F64)",
        [0x47ef_ffff, 0xefff_ffff],
        0x7f7f_ffff,
    ),
];

const I32: &[Row] = &[
    (
        "nan differs from itself",
        "(f32.ne F32A F32A)",
        [0x7fc0_0000, 0],
        1,
    ),
    (
        "min with a nan is a nan",
        "(f32.ne (f32.min F32A F32B) (f32.min F32A F32B))",
        [0x7fc0_0000, 0x3f80_0000],
        1,
    ),
    (
        "max with a nan is a nan",
        "(f32.ne (f32.max F32A F32B) (f32.max F32A F32B))",
        [0x3f80_0000, 0x7fc0_0000],
        1,
    ),
    (
        "0/0 is a nan, quiet",
        "(i32.and (i32.reinterpret_f32 (f32.div F32A F32B)) (i32.const 0x7fc00000))",
        [0, 0],
        0x7fc0_0000,
    ),
    ("-0 equals 0", "(f32.eq F32A F32B)", [0x8000_0000, 0], 1),
    ("a denormal is not 0", "(f32.gt F32A F32B)", [1, 0], 1),
    // f64.sqrt(2) = 0x3ff6a09e667f3bcd
    (
        "f64 sqrt 2",
        "(i32.wrap_i64 (i64.reinterpret_f64 (f64.sqrt F64)))",
        [0x4000_0000, 0],
        0x667f_3bcd,
    ),
    (
        "f64 nearest 2.5",
        "(i32.trunc_f64_s (f64.nearest F64))",
        [0x4004_0000, 0],
        2,
    ),
    (
        "promote a denormal",
        "(i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (f64.promote_f32 F32A)) (i64.const 32)))",
        [1, 0],
        0x36a0_0000,
    ),
    (
        "shift by 33",
        "(i32.shl (local.get $a) (local.get $b))",
        [1, 33],
        2,
    ),
    (
        "MIN % -1",
        "(i32.rem_s (local.get $a) (local.get $b))",
        [0x8000_0000, u32::MAX],
        0,
    ),
    ("clz 0", "(i32.clz (local.get $a))", [0, 0], 32),
    ("ctz 0", "(i32.ctz (local.get $a))", [0, 0], 32),
    (
        "rotl by 36",
        "(i32.rotl (local.get $a) (local.get $b))",
        [0x8000_0001, 36],
        0x18,
    ),
];

const SATURATING: &[Row] = &[
    ("nan", "(i32.trunc_sat_f32_s F32A)", [0x7fc0_0000, 0], 0),
    (
        "infinity",
        "(i32.trunc_sat_f32_s F32A)",
        [0x7f80_0000, 0],
        0x7fff_ffff,
    ),
    (
        "-infinity",
        "(i32.trunc_sat_f32_s F32A)",
        [0xff80_0000, 0],
        0x8000_0000,
    ),
    (
        "-1 unsigned",
        "(i32.trunc_sat_f32_u F32A)",
        [0xbf80_0000, 0],
        0,
    ),
    (
        "2^32 unsigned",
        "(i32.trunc_sat_f32_u F32A)",
        [0x4f80_0000, 0],
        u32::MAX,
    ),
    (
        "-1.9",
        "(i32.trunc_sat_f32_s F32A)",
        [0xbff3_3333, 0],
        u32::MAX,
    ),
    (
        "2^31 as f64",
        "(i32.trunc_sat_f64_s F64)",
        [0x41e0_0000, 0],
        0x7fff_ffff,
    ),
    (
        "to i64",
        "(i32.wrap_i64 (i64.trunc_sat_f32_s F32A))",
        [0x7f80_0000, 0],
        u32::MAX,
    ),
];

const SIMD: &[Row] = &[
    (
        "f32x4.min",
        "(i32x4.extract_lane 2 (f32x4.min VA VB))",
        [0, 0x8000_0000],
        0x8000_0000,
    ),
    (
        "f32x4.pmin",
        "(i32x4.extract_lane 1 (f32x4.pmin VA VB))",
        [0, 0x8000_0000],
        0,
    ),
    (
        "f32x4.nearest",
        "(i32x4.extract_lane 3 (f32x4.nearest VA))",
        [0x4020_0000, 0],
        0x4000_0000,
    ),
    (
        "f32x4.mul denormal",
        "(i32x4.extract_lane 0 (f32x4.mul VA VB))",
        [0x007f_ffff, 0x3f80_0000],
        0x007f_ffff,
    ),
    (
        "i32x4.trunc_sat_f32x4_s",
        "(i32x4.extract_lane 0 (i32x4.trunc_sat_f32x4_s VA))",
        [0x4f80_0000, 0],
        0x7fff_ffff,
    ),
    (
        "i32x4.dot_i16x8_s",
        "(i32x4.extract_lane 0 (i32x4.dot_i16x8_s VA VB))",
        [0x8000_8000, 0x8000_8000],
        0x8000_0000,
    ),
    (
        "i8x16.swizzle outside",
        "(i32x4.extract_lane 0 (i8x16.swizzle VA VB))",
        [0x0403_0201, 0x10ff_0300],
        0x0000_0401,
    ),
    (
        "i16x8.q15mulr_sat_s",
        "(i32x4.extract_lane 0 (i16x8.q15mulr_sat_s VA VB))",
        [0x8000_4000, 0x8000_4000],
        0x7fff_2000,
    ),
    (
        "i8x16.narrow",
        "(i32x4.extract_lane 0 (i8x16.narrow_i16x8_s VA VB))",
        [0x7fff_8000, 0],
        0x7f80_7f80,
    ),
    (
        "i8x16.bitmask",
        "(i8x16.bitmask VA)",
        [0x8000_0080, 0],
        0x9999,
    ),
];

pub(super) fn checks() -> Vec<Check> {
    let features = PROBES.iter().map(|probe| {
        Check::new(
            probe.check,
            &[Need::Feature(probe.feature)],
            move |subject| {
                probe.run(subject.runtime)?;
                Ok(())
            },
        )
    });
    [
        Check::new("number.f32", &[], |subject| rows(subject, F32, true)),
        Check::new("number.i32", &[], |subject| rows(subject, I32, false)),
        Check::new(
            "number.saturating",
            &[Need::Feature("saturating-float-to-int")],
            |subject| rows(subject, SATURATING, false),
        ),
        Check::new("number.simd", &[Need::Feature("simd")], |subject| {
            rows(subject, SIMD, false)
        }),
        Check::new("number.nan-through-memory", &[], nan_through_memory),
    ]
    .into_iter()
    .chain(features)
    .collect()
}

/// All rows as exports of one module, whose operands are arguments, so that nothing is folded at compile time.
fn rows(subject: &Subject<'_>, rows: &[Row], floats: bool) -> Verdict {
    let mut text = String::from("(module");
    for (index, (_, body, ..)) in rows.iter().enumerate() {
        let i64 = "(i64.or (i64.shl (i64.extend_i32_u (local.get $a)) (i64.const 32)) (i64.extend_i32_u (local.get $b)))";
        let body = body
            .replace("F32A", "(f32.reinterpret_i32 (local.get $a))")
            .replace("F32B", "(f32.reinterpret_i32 (local.get $b))")
            .replace("F64", &format!("(f64.reinterpret_i64 {i64})"))
            .replace("I64", i64)
            .replace("VA", "(i32x4.splat (local.get $a))")
            .replace("VB", "(i32x4.splat (local.get $b))");
        let body = if floats {
            format!("(i32.reinterpret_f32 {body})")
        } else {
            body
        };
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            r#"(func (export "row{index}") (param $a i32) (param $b i32) (result i32) {body})"#
        );
    }
    text.push(')');
    for budget in subject.generous_budgets() {
        let module = subject.module_with(&text, &options(budget.kind()))?;
        let mut instance = module.instantiate(budget)?;
        for (index, (name, _, arguments, expected)) in rows.iter().enumerate() {
            let found = call_within(&mut *instance, &format!("row{index}"), arguments, budget)?;
            require_equal(name, Hex(found as u32), Hex(*expected))?;
        }
    }
    Ok(())
}

/// Bits of a signalling NaN survive load, local, global and store.
fn nan_through_memory(subject: &Subject<'_>) -> Verdict {
    let text = r#"(module
      (memory (export "memory") 1)
      (global $kept (mut f32) (f32.const 0))
      (func (export "move") (param $from i32) (param $to i32) (result i32)
        (local $value f32)
        (local.set $value (f32.load (local.get $from)))
        (global.set $kept (local.get $value))
        (f32.store (local.get $to) (global.get $kept))
        (i32.reinterpret_f32 (local.get $value))))"#;
    let mut instance = subject.instance(text)?;
    instance.write(0, &0x7fa1_2345_u32.to_le_bytes())?;
    let bits = super::call(&mut *instance, "move", &[0, 8])?;
    require_equal("result", Hex(bits as u32), Hex(0x7fa1_2345))?;
    let mut stored = [0; 4];
    instance.read(8, &mut stored)?;
    require_equal("stored", Hex(u32::from_le_bytes(stored)), Hex(0x7fa1_2345))
}

#[derive(PartialEq)]
struct Hex(u32);

impl std::fmt::Debug for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
