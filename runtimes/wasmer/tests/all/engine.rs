//! What is particular to this engine.

use runtime_api::{
    Budget, BudgetKind, Error, Instance, Limits, Module, Options, Result, Stage, Trap,
};

fn compile_with(text: &str, options: &Options) -> Result<Box<dyn Module>> {
    let wasm = wat::parse_str(text).unwrap();
    runtime_wasmer::llvm().unwrap().compile(&wasm, options)
}

fn options(metering: BudgetKind) -> Options {
    Options {
        limits: Limits::default(),
        metering,
    }
}

fn call(instance: &mut dyn Instance, export: &str, budget: Budget) -> Result<i32> {
    let entry = instance.entry(export, 0)?;
    instance.call(entry, &[], budget)
}

/// Features that wasmer has on by default, or has at all, and that packs must not use.
#[test]
fn what_packs_must_not_use_is_refused() {
    for (feature, text) in [
        ("threads", "(module (memory 1 1 shared))"),
        (
            "atomics",
            "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
        ),
        ("exceptions", "(module (tag $e) (func (throw $e)))"),
        (
            "relaxed SIMD",
            "(module (func (param v128) (drop (f32x4.relaxed_min (local.get 0) (local.get 0)))))",
        ),
        ("tail calls", "(module (func $f (return_call $f)))"),
        ("64-bit memory", "(module (memory i64 1))"),
        ("several memories", "(module (memory 1) (memory 1))"),
        (
            "extended constants",
            "(module (global i32 (i32.add (i32.const 1) (i32.const 1))))",
        ),
        (
            "wide arithmetic",
            "(module (func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 1))))",
        ),
        ("garbage collection", "(module (type (struct)))"),
        (
            "function references",
            "(module (type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0))))",
        ),
    ] {
        let rejected = compile_with(text, &options(BudgetKind::None)).err();
        let Some(Error::Rejected {
            stage: Stage::Compile,
            message,
        }) = rejected
        else {
            panic!("{feature}: {rejected:?}");
        };
        assert!(
            message.starts_with("Validation error"),
            "{feature}: {message}"
        );
    }
}

/// A frame larger than the guard page must not step over it.
#[test]
fn large_frames_overflow_the_stack_as_small_ones_do() {
    let locals = 2000;
    let sets: String = (0..locals)
        .map(|i| format!("(local.set {i} (i64.load (i32.const {})))", i * 8))
        .collect();
    let sum: String = (0..locals)
        .map(|i| format!("(local.get {i}) (i64.add)"))
        .collect();
    let text = format!(
        r#"(module (memory (export "memory") 1)
             (func $deep (export "deep") (result i32)
               (local {}) {sets} (drop (call $deep)) (i64.const 0) {sum} (i32.wrap_i64)))"#,
        "i64 ".repeat(locals)
    );
    let module = compile_with(&text, &options(BudgetKind::None)).unwrap();
    for _ in 0..100 {
        let mut instance = module.instantiate(Budget::None).unwrap();
        let error = call(&mut *instance, "deep", Budget::None).unwrap_err();
        assert_eq!(error, Error::trap(Stage::Call, Trap::StackOverflow));
    }
}

/// A fused multiply-add would give 2^-46 here, and reassociation or reciprocals other last bits.
#[test]
fn float_operations_round_one_by_one() {
    let text = r#"(module
      (memory (export "memory") 1)
      (data (i32.const 0) "\01\00\80\3f")
      (func (export "fused") (result i32)
        (local $x f32) (local.set $x (f32.load (i32.const 0)))
        (i32.reinterpret_f32
          (f32.sub (f32.mul (local.get $x) (local.get $x))
                   (f32.add (f32.const 1) (f32.mul (f32.const 2) (f32.sub (local.get $x) (f32.const 1)))))))
      (func (export "reassociated") (result i32)
        (local $x f32) (local.set $x (f32.load (i32.const 0)))
        (i32.reinterpret_f32
          (f32.sub (f32.add (local.get $x) (f32.const 16777216)) (f32.const 16777216))))
      (func (export "reciprocal") (result i32)
        (local $x f32) (local.set $x (f32.load (i32.const 0)))
        (i32.reinterpret_f32 (f32.div (local.get $x) (f32.const 49)))))"#;
    let module = compile_with(text, &options(BudgetKind::None)).unwrap();
    let mut instance = module.instantiate(Budget::None).unwrap();
    let x = std::hint::black_box(f32::from_bits(0x3f80_0001));
    for (export, expected) in [
        ("fused", x * x - (1.0 + 2.0 * (x - 1.0))),
        ("reassociated", (x + 16_777_216.0) - 16_777_216.0),
        ("reciprocal", x / 49.0),
    ] {
        let bits = call(&mut *instance, export, Budget::None).unwrap();
        assert_eq!(bits as u32, expected.to_bits(), "{export}");
    }
    assert_eq!(
        x * x - (1.0 + 2.0 * (x - 1.0)),
        0.0,
        "the case tells a fused operation"
    );
    assert_ne!(
        x.mul_add(x, -(1.0 + 2.0 * (x - 1.0))),
        0.0,
        "the case tells a fused operation"
    );
}

/// Whether a table may grow is decided by the sum, also when the request is large enough to wrap around.
#[test]
fn tables_grow_to_their_limit_in_sum() {
    let text = r#"(module
      (table $a 1 funcref) (table $b 1 externref) (table $c 1 2 funcref)
      (func (export "a") (param i32) (result i32) (table.grow $a (ref.null func) (local.get 0)))
      (func (export "b") (param i32) (result i32) (table.grow $b (ref.null extern) (local.get 0)))
      (func (export "c") (param i32) (result i32) (table.grow $c (ref.null func) (local.get 0))))"#;
    for metering in [BudgetKind::None, BudgetKind::Fuel] {
        let mut options = options(metering);
        options.limits.max_table_elements = 10;
        let mut instance = compile_with(text, &options)
            .unwrap()
            .instantiate(Budget::None)
            .unwrap();
        for (export, by, result) in [
            ("a", u32::MAX, -1),
            ("a", 8, -1),
            ("a", 4, 1),
            ("b", 4, -1),
            ("c", 2, -1),
            ("c", 1, 1),
            ("b", 2, 1),
            ("a", 1, -1),
            ("a", 0, 5),
        ] {
            let entry = instance.entry(export, 1).unwrap();
            assert_eq!(
                instance.call(entry, &[by], Budget::None),
                Ok(result),
                "{export} by {by}"
            );
        }
    }
}

/// The start function is taken from the engine and run under fuel: exactly once, and its traps are its own.
#[test]
fn start_functions_run_once_under_fuel() {
    let text = r#"(module
      (global $runs (export "runs") (mut i32) (i32.const 0))
      (func (export "assay deferred start") (param i32))
      (func $start (global.set $runs (i32.add (global.get $runs) (i32.const 1))))
      (start $start))"#;
    let module = compile_with(text, &options(BudgetKind::Fuel)).unwrap();
    let mut instance = module.instantiate(Budget::Fuel(100)).unwrap();
    assert_eq!(instance.global("runs"), Ok(1));
    assert_eq!(
        module.instantiate(Budget::Fuel(1)).err(),
        Some(Error::trap(Stage::Instantiate, Trap::FuelExhausted))
    );
    let text = "(module (func $start unreachable) (start $start))";
    assert_eq!(
        compile_with(text, &options(BudgetKind::Fuel))
            .unwrap()
            .instantiate(Budget::Fuel(100))
            .err(),
        Some(Error::trap(Stage::Instantiate, Trap::Unreachable))
    );
}

/// No NaN is greater or less than anything, and the zeros are equal, so the other value is chosen. On aarch64 LLVM would choose by an
/// instruction for which that holds of quiet NaNs only, and not of zeros.
#[test]
fn neither_a_signalling_nan_nor_the_other_zero_is_chosen() {
    let mut text = String::from("(module (memory 1)");
    let mut exports = Vec::new();
    let mut add = |ty: &str, x: &str, constant: &str, chosen: &str| {
        let bits = if ty == "f32" { "i32" } else { "i64" };
        let export = exports.len().to_string();
        // In memory, so that no compiler knows it.
        text += &format!(
            "(func (export \"{export}\") (result i32) (local $x {ty})
                ({ty}.store (i32.const 0) ({ty}.const {x}))
                (local.set $x ({ty}.load (i32.const 0)))
                ({bits}.eq ({bits}.reinterpret_{ty} {chosen}) ({bits}.reinterpret_{ty} {constant})))"
        );
        exports.push((export, format!("{chosen} of {x}")));
    };
    for (ty, lanes) in [("f32", "f32x4"), ("f64", "f64x2")] {
        for (x, constants, comparisons) in [
            (
                "nan:0x1",
                &["0", "1.5", "-3"][..],
                &["gt", "lt", "ge", "le"][..],
            ),
            ("-0", &["0"], &["gt", "lt"]),
            ("0", &["-0"], &["gt", "lt"]),
        ] {
            for constant in constants
                .iter()
                .map(|value| format!("({ty}.const {value})"))
            {
                let mut add = |chosen: &str| add(ty, x, &constant, chosen);
                for comparison in comparisons {
                    for operands in [
                        format!("(local.get $x) {constant}"),
                        format!("{constant} (local.get $x)"),
                    ] {
                        let condition = format!("({ty}.{comparison} {operands})");
                        add(&format!("(select (local.get $x) {constant} {condition})"));
                        add(&format!(
                            "(if (result {ty}) {condition} (then (local.get $x)) (else {constant}))"
                        ));
                    }
                }
                for chosen in ["pmin", "pmax"] {
                    add(&format!(
                        "({lanes}.extract_lane 1 ({lanes}.{chosen} ({lanes}.splat {constant}) ({lanes}.splat (local.get $x))))"
                    ));
                }
            }
        }
    }
    text.push(')');
    let options = options(BudgetKind::None);
    let module = compile_with(&text, &options).unwrap();
    let mut instance = module.instantiate(Budget::None).unwrap();
    let wrong: Vec<_> = exports
        .iter()
        .filter(|(export, _)| call(&mut *instance, export, Budget::None) != Ok(1))
        .map(|(_, what)| what)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
