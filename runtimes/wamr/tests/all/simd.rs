//! Every 128-bit vector operation of packs, interpreter against machine code: SIMDe's portable code and LLVM know
//! nothing of each other. NaNs compare equal, because their bits are not fixed.

use runtime_api::{Budget, BudgetKind, Limits, Options, Runtime};

/// How result bits compare.
#[derive(Clone, Copy)]
enum Lanes {
    Bits,
    F32,
    F64,
}

struct Operation {
    name: String,
    /// Expression of type v128 over `$a` and `$b`.
    expression: String,
    lanes: Lanes,
}

fn lanes_of(shape: &str) -> Lanes {
    match shape {
        "f32x4" => Lanes::F32,
        "f64x2" => Lanes::F64,
        _ => Lanes::Bits,
    }
}

const A: &str = "(local.get $a)";
const B: &str = "(local.get $b)";

fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    let mut add = |name: &str, expression: String, lanes| {
        all.push(Operation {
            name: name.to_owned(),
            expression,
            lanes,
        });
    };
    let unary = [
        ("i8x16", "abs neg popcnt"),
        (
            "i16x8",
            "abs neg extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u",
        ),
        (
            "i32x4",
            "abs neg extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u trunc_sat_f32x4_s trunc_sat_f32x4_u trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero",
        ),
        (
            "i64x2",
            "abs neg extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u",
        ),
        (
            "f32x4",
            "abs neg sqrt ceil floor trunc nearest convert_i32x4_s convert_i32x4_u demote_f64x2_zero",
        ),
        (
            "f64x2",
            "abs neg sqrt ceil floor trunc nearest convert_low_i32x4_s convert_low_i32x4_u promote_low_f32x4",
        ),
        ("v128", "not"),
    ];
    const COMPARE: &str = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
    const FLOAT: &str = "add sub mul div min max pmin pmax eq ne lt gt le ge";
    let binary = [
        (
            "i8x16",
            "add sub add_sat_s add_sat_u sub_sat_s sub_sat_u min_s min_u max_s max_u avgr_u narrow_i16x8_s narrow_i16x8_u swizzle",
        ),
        ("i8x16", COMPARE),
        (
            "i16x8",
            "add sub mul add_sat_s add_sat_u sub_sat_s sub_sat_u min_s min_u max_s max_u avgr_u narrow_i32x4_s narrow_i32x4_u q15mulr_sat_s extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u",
        ),
        ("i16x8", COMPARE),
        (
            "i32x4",
            "add sub mul min_s min_u max_s max_u dot_i16x8_s extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u",
        ),
        ("i32x4", COMPARE),
        (
            "i64x2",
            "add sub mul eq ne lt_s gt_s le_s ge_s extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u",
        ),
        ("f32x4", FLOAT),
        ("f64x2", FLOAT),
        ("v128", "and or xor andnot"),
    ];
    for (shape, names) in unary {
        for name in names.split(' ') {
            let name = format!("{shape}.{name}");
            add(&name, format!("({name} {A})"), lanes_of(shape));
        }
    }
    for (shape, names) in binary {
        for name in names.split(' ') {
            let comparison = matches!(name, "eq" | "ne" | "lt" | "gt" | "le" | "ge");
            let lanes = if comparison {
                Lanes::Bits
            } else {
                lanes_of(shape)
            };
            let name = format!("{shape}.{name}");
            add(&name, format!("({name} {A} {B})"), lanes);
        }
    }
    for shape in ["i8x16", "i16x8", "i32x4", "i64x2"] {
        for name in ["shl", "shr_s", "shr_u"] {
            let name = format!("{shape}.{name}");
            let amount = format!("(i32x4.extract_lane 0 {B})");
            add(&name, format!("({name} {A} {amount})"), Lanes::Bits);
        }
        for name in ["all_true", "bitmask"] {
            let name = format!("{shape}.{name}");
            add(&name, format!("(i32x4.splat ({name} {A}))"), Lanes::Bits);
        }
    }
    add(
        "v128.any_true",
        format!("(i32x4.splat (v128.any_true {A}))"),
        Lanes::Bits,
    );
    add(
        "v128.bitselect",
        format!("(v128.bitselect {A} {B} (i8x16.popcnt {A}))"),
        Lanes::Bits,
    );
    add(
        "i8x16.shuffle",
        format!("(i8x16.shuffle 0 31 2 29 4 27 6 25 8 23 10 21 12 19 14 17 {A} {B})"),
        Lanes::Bits,
    );
    for (shape, last, suffixes) in [
        ("i8x16", 15, &["_s", "_u"][..]),
        ("i16x8", 7, &["_s", "_u"]),
        ("i32x4", 3, &[""]),
        ("i64x2", 1, &[""]),
        ("f32x4", 3, &[""]),
        ("f64x2", 1, &[""]),
    ] {
        for suffix in suffixes {
            let extract = format!("({shape}.extract_lane{suffix} {last} {A})");
            add(
                &format!("{shape}.extract_lane{suffix}"),
                format!("({shape}.replace_lane 0 {B} {extract})"),
                Lanes::Bits,
            );
            add(
                &format!("{shape}.splat of extract_lane{suffix}"),
                format!("({shape}.splat {extract})"),
                Lanes::Bits,
            );
        }
    }
    // Input $a stands at address 0.
    for name in [
        "load",
        "load8x8_s",
        "load8x8_u",
        "load16x4_s",
        "load16x4_u",
        "load32x2_s",
        "load32x2_u",
        "load8_splat",
        "load16_splat",
        "load32_splat",
        "load64_splat",
        "load32_zero",
        "load64_zero",
    ] {
        let name = format!("v128.{name}");
        add(
            &name,
            format!("({name} offset=3 (i32.const 0))"),
            Lanes::Bits,
        );
    }
    for (width, lane) in [(8, 9), (16, 5), (32, 2), (64, 1)] {
        add(
            &format!("v128.load{width}_lane"),
            format!("(v128.load{width}_lane {lane} (i32.const 1) {B})"),
            Lanes::Bits,
        );
        add(
            &format!("v128.store{width}_lane"),
            format!(
                "(block (result v128) (v128.store{width}_lane {lane} (i32.const 48) {A}) (v128.load (i32.const 48)))"
            ),
            Lanes::Bits,
        );
    }
    all
}

fn module(operations: &[Operation]) -> String {
    let mut text = r#"(module (memory (export "memory") 1)"#.to_owned();
    for (index, operation) in operations.iter().enumerate() {
        text.push_str(&format!(
            r#"(func (export "{index}") (result i32) (local $a v128) (local $b v128)
              (local.set $a (v128.load (i32.const 0))) (local.set $b (v128.load (i32.const 16)))
              (v128.store (i32.const 32) {}) (i32.const 0))"#,
            operation.expression
        ));
    }
    text + ")"
}

/// Bytes of two vectors: lanes that are special for one shape or another, and arbitrary ones.
fn inputs() -> Vec<[u8; 32]> {
    const SPECIAL_WIDE: [f64; 12] = [
        0.0,
        -0.0,
        -0.0,
        0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        2_147_483_648.0,
        -2_147_483_649.0,
        4_294_967_296.0,
        1e300,
    ];
    const SPECIAL: [u32; 24] = [
        0,
        1,
        0x8000_0000,
        0x7fff_ffff,
        u32::MAX,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0x3f80_0000,
        0xbf80_0000,
        0x4f00_0000,
        0xcf00_0000,
        0x4f80_0000,
        0x8000_8000,
        0x7fff_8000,
        0x8080_8080,
        0x7f7f_7f7f,
        0x007f_ffff,
        0x3fe0_0000,
        0x41e0_0000,
        0,
        0x8000_0000,
        0,
        0x8000_0000,
    ];
    let mut state = 0x1234_5678_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..600)
        .map(|round| {
            let mut bytes = [0; 32];
            let (narrow, wide) = (next() % 3, round % 2 == 0);
            for lane in bytes.chunks_exact_mut(8) {
                let value = match (next() % 2 + narrow, wide) {
                    (0, true) => u64::from(next()) << 32 | u64::from(next()),
                    // Signed zeros, infinities and numbers around the ties of rounding.
                    (1, true) => (SPECIAL_WIDE[next() as usize % SPECIAL_WIDE.len()]).to_bits(),
                    (_, true) => (f64::from(next() % 32) / 4.0 - 4.0).to_bits(),
                    (0, false) => u64::from(next()) << 32 | u64::from(next()),
                    (1, false) => {
                        let [low, high] =
                            [(); 2].map(|()| SPECIAL[next() as usize % SPECIAL.len()]);
                        u64::from(high) << 32 | u64::from(low)
                    }
                    (_, false) => {
                        let [low, high] =
                            [(); 2].map(|()| ((next() % 32) as f32 / 4.0 - 4.0).to_bits());
                        u64::from(high) << 32 | u64::from(low)
                    }
                };
                // A negative zero is what arithmetic does not give.
                let value = match (value, wide) {
                    (0, true) if next() % 2 == 0 => 1 << 63,
                    (value, _) => value,
                };
                lane.copy_from_slice(&value.to_le_bytes());
            }
            bytes
        })
        .collect()
}

/// Results by operation and input.
fn results(runtime: &dyn Runtime, wasm: &[u8], operations: &[Operation]) -> Vec<Vec<[u8; 16]>> {
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::None,
    };
    let module = runtime.compile(wasm, &options).unwrap();
    let mut instance = module.instantiate(Budget::None).unwrap();
    let inputs = inputs();
    (0..operations.len())
        .map(|index| {
            let entry = instance.entry(&index.to_string(), 0).unwrap();
            inputs
                .iter()
                .map(|bytes| {
                    instance.write(0, bytes).unwrap();
                    instance.write(32, &[0; 32]).unwrap();
                    instance.call(entry, &[], Budget::None).unwrap();
                    let mut result = [0; 16];
                    instance.read(32, &mut result).unwrap();
                    result
                })
                .collect()
        })
        .collect()
}

fn equal(one: &[u8; 16], other: &[u8; 16], lanes: Lanes) -> bool {
    let f32s = |bytes: &[u8; 16], at: usize| {
        f32::from_le_bytes(bytes[4 * at..4 * at + 4].try_into().unwrap())
    };
    let f64s = |bytes: &[u8; 16], at: usize| {
        f64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().unwrap())
    };
    match lanes {
        Lanes::Bits => one == other,
        Lanes::F32 => (0..4).all(|at| {
            let (one, other) = (f32s(one, at), f32s(other, at));
            one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan()
        }),
        Lanes::F64 => (0..2).all(|at| {
            let (one, other) = (f64s(one, at), f64s(other, at));
            one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan()
        }),
    }
}

mod needs_simde_and_wamrc {
    use super::{equal, module, operations, results};
    use crate::common;

    #[test]
    #[ignore = "needs assay-wamrc, and a WAMR that was built with SIMDe"]
    fn interpreter_and_machine_code_agree() {
        let aot = common::aot();
        let fast = runtime_wamr::fast().unwrap();
        for engine in [&fast, &aot] {
            let info = engine.info();
            let features = &info.capabilities.features;
            assert!(
                features.iter().any(|feature| feature == "simd"),
                "{} was built without SIMD",
                info.id
            );
        }
        let operations = operations();
        let wasm = wat::parse_str(module(&operations)).unwrap();
        let one = results(&*fast, &wasm, &operations);
        let other = results(&*aot, &wasm, &operations);
        let mut differences = Vec::new();
        for ((operation, one), other) in operations.iter().zip(&one).zip(&other) {
            let count = one
                .iter()
                .zip(other)
                .filter(|(one, other)| !equal(one, other, operation.lanes))
                .count();
            if count > 0 {
                differences.push(format!("{}: {count} of {}", operation.name, one.len()));
            }
        }
        assert!(differences.is_empty(), "{differences:#?}");
    }
}
