use super::{
    Finding, Summary,
    operation::{Compare, Operation},
    oracle::{lanes, vector},
    plan::{CONSTANTS, Given, Plan, module},
};
use crate::outcome::Outcome;
use std::{collections::BTreeSet, sync::LazyLock};

static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan::new().unwrap());

fn with<T>(name: &str, use_it: impl FnOnce(&Operation) -> T) -> T {
    let plan = &*PLAN;
    let probe = plan
        .modules
        .iter()
        .flat_map(|part| &part.probes)
        .find(|probe| probe.operation.name == name)
        .unwrap_or_else(|| panic!("there is no operation `{name}`"));
    use_it(&probe.operation)
}

/// Checks rows of operands and the result, written by hand from the specification.
fn gives(name: &str, rows: &[(&[u128], Option<u128>)]) {
    with(name, |operation| {
        for (operands, due) in rows {
            assert_eq!((operation.oracle)(operands), *due, "{name} {operands:x?}");
        }
    });
}

fn vectors(name: &str, width: u32, operands: &[&[u64]], due: &[u64], due_width: u32) {
    with(name, |operation| {
        let operands: Vec<u128> = operands
            .iter()
            .map(|operand| vector(width, operand.iter().copied()))
            .collect();
        let given = (operation.oracle)(&operands).unwrap();
        assert_eq!(
            &lanes(due_width, given)[..due.len()],
            due,
            "{name} {operands:x?}"
        );
    });
}

const MINUS_ZERO: u128 = 0x8000_0000;

#[test]
fn floats_keep_the_sign_of_zero() {
    for (a, b) in [(0, MINUS_ZERO), (MINUS_ZERO, 0)] {
        gives("f32.min", &[(&[a, b], Some(MINUS_ZERO))]);
        gives("f32.max", &[(&[a, b], Some(0))]);
        let wide = |bits: u128| bits << 32;
        gives("f64.min", &[(&[wide(a), wide(b)], Some(wide(MINUS_ZERO)))]);
        gives("f64.max", &[(&[wide(a), wide(b)], Some(0))]);
    }
    gives(
        "f32.min",
        &[(&[0x3f80_0000, 0xc000_0000], Some(0xc000_0000))],
    );
    gives(
        "f32.max",
        &[(&[0x3f80_0000, 0xc000_0000], Some(0x3f80_0000))],
    );
    gives(
        "f32.add",
        &[
            (&[MINUS_ZERO, MINUS_ZERO], Some(MINUS_ZERO)),
            (&[0, MINUS_ZERO], Some(0)),
        ],
    );
    gives("f32.ceil", &[(&[0xbf00_0000], Some(MINUS_ZERO))]);
    gives("f32.trunc", &[(&[0xbf7f_ffff], Some(MINUS_ZERO))]);
    gives("f32.sqrt", &[(&[MINUS_ZERO], Some(MINUS_ZERO))]);
    // The pseudo-minimum is the first operand unless the second is less: of zeros the first.
    vectors(
        "f32x4.pmin",
        32,
        &[&[0, 0x8000_0000], &[0x8000_0000, 0]],
        &[0, 0x8000_0000],
        32,
    );
    vectors(
        "f32x4.pmax",
        32,
        &[&[0, 0x8000_0000], &[0x8000_0000, 0]],
        &[0, 0x8000_0000],
        32,
    );
    // A NaN compares false, so the first operand comes out bit for bit.
    vectors(
        "f32x4.pmin",
        32,
        &[&[0x7fa0_0001, 1], &[1, 0x7fa0_0001]],
        &[0x7fa0_0001, 1],
        32,
    );
}

#[test]
fn nearest_rounds_ties_to_even() {
    gives(
        "f32.nearest",
        &[
            (&[0x3f00_0000], Some(0)),           // 0.5 -> 0
            (&[0xbf00_0000], Some(MINUS_ZERO)),  // -0.5 -> -0
            (&[0x3fc0_0000], Some(0x4000_0000)), // 1.5 -> 2
            (&[0x4020_0000], Some(0x4000_0000)), // 2.5 -> 2
            (&[0xc060_0000], Some(0xc080_0000)), // -3.5 -> -4
            (&[0x3eff_ffff], Some(0)),           // just below 0.5 -> 0
            (&[0x4b00_0001], Some(0x4b00_0001)), // 8388609
        ],
    );
    gives(
        "f64.nearest",
        &[(&[0x4004_0000_0000_0000], Some(0x4000_0000_0000_0000))],
    );
}

#[test]
fn truncation_saturates_or_traps_at_the_limits() {
    let f32_of = |value: f32| u128::from(value.to_bits());
    let f64_of = |value: f64| u128::from(value.to_bits());
    gives(
        "i32.trunc_sat_f32_s",
        &[
            (&[f32_of(f32::NAN)], Some(0)),
            (&[f32_of(2_147_483_648.0)], Some(0x7fff_ffff)),
            (&[f32_of(-2_147_483_648.0)], Some(0x8000_0000)),
            (&[f32_of(f32::NEG_INFINITY)], Some(0x8000_0000)),
            (&[f32_of(-1.9)], Some(0xffff_ffff)),
        ],
    );
    gives(
        "i64.trunc_sat_f64_u",
        &[
            (&[f64_of(-1.0)], Some(0)),
            (
                &[f64_of(18_446_744_073_709_551_616.0)],
                Some(u128::from(u64::MAX)),
            ),
        ],
    );
    gives(
        "i32.trunc_f64_s",
        &[
            (&[f64_of(2_147_483_647.9)], Some(0x7fff_ffff)),
            (&[f64_of(2_147_483_648.0)], None),
            (&[f64_of(-2_147_483_648.9)], Some(0x8000_0000)),
            (&[f64_of(-2_147_483_649.0)], None),
            (&[f64_of(f64::NAN)], None),
        ],
    );
    gives(
        "i32.trunc_f32_u",
        &[
            (&[f32_of(-0.9)], Some(0)),
            (&[f32_of(-1.0)], None),
            (&[f32_of(4_294_967_040.0)], Some(0xffff_ff00)),
            (&[f32_of(4_294_967_296.0)], None),
        ],
    );
}

#[test]
fn conversions_round_once() {
    gives(
        "f32.demote_f64",
        &[
            (&[0x36a0_0000_0000_0000], Some(1)),           // 2^-149
            (&[0x3690_0000_0000_0000], Some(0)),           // a tie, to even
            (&[0x3690_0000_0000_0001], Some(1)),           // just above it
            (&[0x47ef_ffff_efff_ffff], Some(0x7f7f_ffff)), // below the overflow
            (&[0x47ef_ffff_f000_0000], Some(0x7f80_0000)), // at it
            (&[0x8000_0000_0000_0000], Some(MINUS_ZERO)),
        ],
    );
    gives(
        "f64.promote_f32",
        &[
            (&[1], Some(0x36a0_0000_0000_0000)),
            (&[0xff80_0000], Some(0xfff0_0000_0000_0000)),
        ],
    );
    // 2^53 + 2^29 + 1 lies just above a tie of f32; by way of f64 it would be the tie and go down.
    gives(
        "f32.convert_i64_s",
        &[(&[0x0020_0000_2000_0001], Some(0x5a00_0001))],
    );
    gives(
        "f64.convert_i64_u",
        &[(&[u128::from(u64::MAX)], Some(0x43f0_0000_0000_0000))],
    );
    gives("f32.convert_i32_s", &[(&[0xffff_ffff], Some(0xbf80_0000))]);
}

#[test]
fn integers_divide_rotate_and_count() {
    gives(
        "i32.div_s",
        &[
            (&[0xffff_fff9, 2], Some(0xffff_fffd)),
            (&[0x8000_0000, 0xffff_ffff], None),
            (&[1, 0], None),
        ],
    );
    gives(
        "i32.rem_s",
        &[
            (&[0xffff_fff9, 2], Some(0xffff_ffff)),
            (&[7, 0xffff_fffe], Some(1)),
            (&[0x8000_0000, 0xffff_ffff], Some(0)),
        ],
    );
    gives(
        "i64.div_s",
        &[(&[0x8000_0000_0000_0000, 0xffff_ffff_ffff_ffff], None)],
    );
    gives(
        "i32.rotl",
        &[
            (&[0x8000_0001, 1], Some(3)),
            (&[5, 32], Some(5)),
            (&[1, 33], Some(2)),
        ],
    );
    gives(
        "i32.rotr",
        &[
            (&[3, 1], Some(0x8000_0001)),
            (&[5, 0], Some(5)),
            (&[5, 64], Some(5)),
        ],
    );
    gives("i64.rotr", &[(&[1, 1], Some(0x8000_0000_0000_0000))]);
    gives(
        "i32.clz",
        &[
            (&[0], Some(32)),
            (&[1], Some(31)),
            (&[0x8000_0000], Some(0)),
        ],
    );
    gives("i64.ctz", &[(&[0], Some(64)), (&[8], Some(3))]);
    gives("i32.ctz", &[(&[0], Some(32))]);
    gives("i32.shl", &[(&[1, 33], Some(2))]);
    gives("i32.shr_s", &[(&[0x8000_0000, 31], Some(0xffff_ffff))]);
    gives("i64.extend8_s", &[(&[0x1280], Some(0xffff_ffff_ffff_ff80))]);
    gives("i32.load8_s", &[(&[0x1280], Some(0xffff_ff80))]);
}

#[test]
fn vectors_saturate_narrow_and_widen() {
    vectors(
        "i16x8.q15mulr_sat_s",
        16,
        &[&[0x8000, 0x4000, 0xffff], &[0x8000, 0x4000, 0x4000]],
        &[0x7fff, 0x2000, 0],
        16,
    );
    vectors(
        "i8x16.add_sat_s",
        8,
        &[&[0x7f, 0x80], &[1, 0xff]],
        &[0x7f, 0x80],
        8,
    );
    vectors("i8x16.sub_sat_u", 8, &[&[1, 9], &[2, 2]], &[0, 7], 8);
    vectors("i8x16.avgr_u", 8, &[&[255, 1], &[254, 2]], &[255, 2], 8);
    vectors("i8x16.abs", 8, &[&[0x80, 0xff]], &[0x80, 1], 8);
    // Lanes are signed in both forms.
    vectors(
        "i8x16.narrow_i16x8_s",
        16,
        &[&[0x7fff, 0x8000, 0xffff], &[]],
        &[0x7f, 0x80, 0xff],
        8,
    );
    vectors(
        "i8x16.narrow_i16x8_u",
        16,
        &[&[0x7fff, 0x8000, 0x00ff], &[]],
        &[0xff, 0, 0xff],
        8,
    );
    vectors(
        "i16x8.extadd_pairwise_i8x16_s",
        8,
        &[&[0x80, 0x80, 0xff, 1]],
        &[0xff00, 0],
        16,
    );
    vectors(
        "i16x8.extadd_pairwise_i8x16_u",
        8,
        &[&[0x80, 0x80, 0xff, 1]],
        &[0x100, 0x100],
        16,
    );
    vectors(
        "i16x8.extmul_low_i8x16_s",
        8,
        &[&[0xff], &[2]],
        &[0xfffe],
        16,
    );
    vectors(
        "i32x4.dot_i16x8_s",
        16,
        &[&[0x8000, 0x8000], &[0x8000, 0x8000]],
        &[0x8000_0000],
        32,
    );
    vectors(
        "i32x4.trunc_sat_f64x2_u_zero",
        64,
        &[&[(-1.0f64).to_bits(), 1e10f64.to_bits()]],
        &[0, 0xffff_ffff, 0, 0],
        32,
    );
    vectors(
        "i8x16.swizzle",
        8,
        &[&[7, 8, 9], &[2, 16, 0, 255]],
        &[9, 0, 7, 0],
        8,
    );
    vectors("i8x16.bitmask", 8, &[&[0x80, 0, 0xff]], &[5], 32);
    vectors("i16x8.shl", 16, &[&[0x8001], &[17]], &[2], 16);
}

#[test]
fn a_nan_is_a_class_only_where_the_specification_says_so() {
    let class = Compare::NanClass(32);
    assert_eq!(class.judge(0x7fc0_0000, 0xffc0_0001), Given::Right);
    assert_eq!(class.judge(0x7fc0_0000, 0x7fa0_0001), Given::Signalling);
    assert_eq!(class.judge(0x7fc0_0000, 0x7f80_0000), Given::Wrong);
    assert_eq!(class.judge(0, 0x8000_0000), Given::Wrong);
    assert_eq!(class.judge(0, 0x7fc0_0000), Given::Wrong);
    // A wrong lane is not hidden by one that is only signalling.
    let (due, given) = (vector(32, [0x7fc0_0000, 0]), vector(32, [0x7fa0_0001, 1]));
    assert_eq!(class.judge(due, given), Given::Wrong);
    let wide = Compare::NanClass(64);
    let due = 0x7ff8_0000_0000_0000;
    assert_eq!(wide.judge(due, 0xfff8_0000_0000_0001), Given::Right);
    assert_eq!(wide.judge(due, 0x7ff0_0000_0000_0001), Given::Signalling);
    assert_eq!(Compare::Bits.judge(0x7fc0_0000, 0xffc0_0000), Given::Wrong);
    for exact in [
        "f32.neg",
        "f64.abs",
        "f32.copysign",
        "f32.reinterpret_i32",
        "f64.load",
        "f32x4.pmin",
    ] {
        assert_eq!(
            with(exact, |operation| operation.compare),
            Compare::Bits,
            "{exact}"
        );
    }
}

#[test]
fn every_numeric_instruction_is_there_once_and_fits() {
    let plan = &*PLAN;
    let probes: Vec<_> = plan.modules.iter().flat_map(|part| &part.probes).collect();
    let names: BTreeSet<_> = probes
        .iter()
        .map(|probe| probe.operation.name.as_str())
        .collect();
    assert_eq!(names.len(), probes.len());
    // Immediates left out: i8x16.extract_lane_s counts once.
    let instructions = |feature: Option<&str>| {
        let parts = plan.modules.iter().filter(|part| part.feature == feature);
        let names: BTreeSet<_> = parts
            .flat_map(|part| &part.probes)
            .filter_map(|probe| probe.operation.name.split(' ').next())
            .collect();
        names.len()
    };
    // WebAssembly 1.0: the opcodes 0x45 to 0xbf, and 14 loads.
    assert_eq!(instructions(None), 0xbf - 0x45 + 1 + 14);
    assert_eq!(instructions(Some("sign-extension")), 5);
    assert_eq!(instructions(Some("saturating-float-to-int")), 8);
    // 236 instructions, without v128.const, v128.store, four load_lane and four store_lane.
    assert_eq!(instructions(Some("simd")), 226);
    let (mut scalar, mut simd) = (0, 0);
    for part in &plan.modules {
        for probe in &part.probes {
            let name = &probe.operation.name;
            assert!(probe.tuples.len() > 1, "{name}");
            assert!(probe.records(None).len() <= CONSTANTS as usize, "{name}");
            assert!(CONSTANTS + probe.constant_bytes() <= 65_536, "{name}");
            let work = if part.feature == Some("simd") {
                &mut simd
            } else {
                &mut scalar
            };
            // At most 15 instructions in the loop of an operation of two operands.
            *work += probe.tuples.len() * 15;
        }
    }
    // What a slow interpreter has to do.
    assert!(scalar < 500_000 && simd < 500_000, "{scalar} {simd}");
}

/// Constants in text give the bits that were asked for: the assembled module holds them.
#[test]
fn constants_are_exact() {
    let plan = &*PLAN;
    for part in &plan.modules {
        for probe in &part.probes {
            let wasm = module([probe]).unwrap();
            for &index in &probe.constants {
                for (bits, operand) in probe.tuples[index].iter().zip(&probe.operation.operands) {
                    let bytes = bits.to_le_bytes();
                    let (opcode, size) = match operand.kind {
                        super::operation::Type::F32 => (0x43, 4),
                        super::operation::Type::F64 => (0x44, 8),
                        _ => continue,
                    };
                    let wanted = [&[opcode], &bytes[..size]].concat();
                    assert!(
                        wasm.windows(wanted.len()).any(|window| window == wanted),
                        "{} {bits:x}",
                        probe.operation.name
                    );
                }
            }
        }
    }
}

#[test]
fn what_was_not_run_for_the_same_cause_is_one_reason_and_each_wrong_result_its_own() {
    let finding = |operation: &str, outcome, detail: &str| Finding {
        runtime: "engine".to_owned(),
        operation: operation.to_owned(),
        feature: None,
        outcome,
        cases: 1,
        detail: detail.to_owned(),
    };
    let findings = [
        finding("f32.min", Outcome::Fail, "wrong"),
        finding("f32.max", Outcome::Error, "no time"),
        finding("f32.add", Outcome::Error, "no time"),
        finding("f32.sub", Outcome::Fail, "wrong"),
        finding("f32.mul", Outcome::Error, "no memory"),
        finding("f32.div", Outcome::Error, "no time"),
    ];
    let summary = Summary::of(findings.len(), "engine", &findings);
    assert_eq!(
        summary.reasons(),
        [
            "numerics, f32.min: fail: wrong",
            "numerics, f32.max and 2 more: error: no time",
            "numerics, f32.sub: fail: wrong",
            "numerics, f32.mul: error: no memory",
        ]
    );
}
