//! Scripts read, and wrappers run on wasmi.

use super::{
    plan::{Due, What, class_of},
    *,
};
use runtime_api::Trap;

fn source(text: &str) -> Vec<Source> {
    vec![Source {
        file: "a.wast".to_owned(),
        text: text.to_owned(),
    }]
}

fn plan(text: &str) -> Plan {
    Plan::of(&source(text), &Filter::default()).unwrap()
}

fn refusal(text: &str) -> String {
    Plan::of(&source(text), &Filter::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn what_is_in_scope_is_decided_from_the_script() {
    let plan = plan(
        r#"(module $a
  (memory (export "memory") 1)
  (func (export "f") (param i32) (result i32) (local.get 0))
  (func (export "e") (param externref)))
(assert_return (invoke "f" (i32.const 1)) (i32.const 1))
(invoke "f" (i32.const 1))
(invoke "e" (ref.extern 1))
(register "a")
(assert_trap (invoke "f" (i32.const 1)) "unreachable")
(assert_exhaustion (invoke "f" (i32.const 1)) "call stack exhausted")
(assert_invalid (module (func (result i32))) "type mismatch")
(assert_invalid (module (memory 0) (memory 0)) "multiple memories")
(assert_invalid (module (import "x" "y" (func)) (func (result i32))) "type mismatch")
(assert_malformed (module quote "(func") "unexpected token")
(assert_malformed (module binary "\00asm\02\00\00\00") "unknown binary version")
(assert_unlinkable (module (import "x" "y" (func))) "unknown import")
(module $b (import "a" "memory" (memory 1)) (func (export "g")))
(invoke "g")
(assert_return (invoke $a "f" (i32.const 1)) (i32.const 1))
(module (memory i64 1))
(assert_trap (module (func $s (unreachable)) (start $s)) "unreachable")
(module (import "spectest" "global_i32" (global i32)) (export "x" (global 0)))
(assert_return (get "x") (i32.const 666))
"#,
    );
    let in_scope: Vec<_> = plan.in_scope.iter().map(|(kind, n)| (*kind, *n)).collect();
    assert_eq!(
        in_scope,
        [
            (Kind::Module, 2),
            (Kind::Action, 1),
            (Kind::AssertReturn, 2),
            (Kind::AssertTrap, 2),
            (Kind::AssertExhaustion, 1),
            (Kind::AssertInvalid, 1),
            (Kind::AssertMalformed, 1),
        ]
    );
    let out: Vec<_> = plan
        .out_of_scope
        .iter()
        .map(|(why, n)| (*why, *n))
        .collect();
    assert_eq!(
        out,
        [
            (OutOfScope::TextFormat, 1),
            // Of an invalid module, of `$b`, and what is done with `$b`.
            (OutOfScope::Imports, 3),
            (OutOfScope::Linking, 1),
            (OutOfScope::HostReferences, 1),
            (OutOfScope::Features, 1),
            // `$b` has the memory of `$a`.
            (OutOfScope::SharedState, 1),
            (OutOfScope::LaterVersions, 1),
        ]
    );
    assert_eq!(plan.checks(), 10);
}

#[test]
fn a_line_brings_what_leads_to_it() {
    let text = r#"(module (global $g (mut i32) (i32.const 0))
  (func (export "set") (global.set $g (i32.const 1))))
(invoke "set")
(assert_return (invoke "set"))
(assert_return (invoke "set"))
"#;
    let plan = Plan::of(&source(text), &Filter { line: Some(4) }).unwrap();
    assert_eq!(plan.checks(), 1);
    assert_eq!(plan.units[0].steps().len(), 2);
    let none = Plan::of(&source(text), &Filter { line: Some(2) }).unwrap();
    assert_eq!(none.checks(), 0);
}

#[test]
fn many_steps_are_run_in_parts_where_there_is_no_state() {
    let script = |state: &str| {
        let call = "(assert_return (invoke \"f\"))\n".repeat(600);
        plan(&format!("(module {state} (func (export \"f\")))\n{call}"))
    };
    let parts: Vec<_> = script("").units.iter().map(|u| u.steps().len()).collect();
    assert_eq!(parts, [250, 250, 100]);
    assert_eq!(script("").checks(), 601);
    assert_eq!(script("(memory 1)").units.len(), 1);
    assert_eq!(script("(memory 1)").checks(), 601);
}

#[test]
fn a_value_that_only_a_host_has_takes_the_state_behind_it_out_of_scope() {
    let plan = plan(
        r#"(module (table 1 externref)
  (func (export "same") (param externref) (result externref) (local.get 0))
  (func (export "put") (param externref) (table.set 0 (i32.const 0) (local.get 0)))
  (func (export "null") (result i32) (ref.is_null (table.get 0 (i32.const 0)))))
(assert_return (invoke "same" (ref.extern 1)) (ref.extern 1))
(assert_return (invoke "null") (i32.const 1))
(invoke "put" (ref.extern 1))
(assert_return (invoke "null") (i32.const 0))
"#,
    );
    assert_eq!(plan.checks(), 2, "the module, and the first `null`");
    assert_eq!(plan.out_of_scope[&OutOfScope::HostReferences], 2);
    assert_eq!(plan.out_of_scope[&OutOfScope::SharedState], 1);
}

#[test]
fn what_is_no_script_says_where() {
    for (text, words) in [
        ("(module", "a.wast:1:"),
        (
            "(assert_return (invoke \"f\"))",
            "a.wast:1: there is no such module",
        ),
        (
            "(module)\n(invoke \"f\")",
            "a.wast:2: the module has no export `f`",
        ),
        (
            "(module (func (export \"f\") (param i32)))\n(invoke \"f\")",
            "a.wast:2: arguments or results",
        ),
        (
            "(module (func (export \"f\")))\n(assert_return (invoke \"f\") (i32.const 1))",
            "a.wast:2: arguments or results",
        ),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
}

#[test]
fn messages_of_traps_have_a_class_or_none() {
    for (message, class) in [
        ("unreachable", Some(Trap::Unreachable)),
        ("integer divide by zero", Some(Trap::IntegerDivideByZero)),
        ("uninitialized element 7", Some(Trap::NullFunction)),
        ("undefined element", Some(Trap::TableAccessViolation)),
        (
            "out of bounds memory access",
            Some(Trap::MemoryAccessViolation),
        ),
        ("out of bounds", None),
        ("integer overflow and more", None),
        ("", None),
    ] {
        assert_eq!(class_of(message), class, "{message}");
    }
    let plan = plan("(module (func (export \"f\")))\n(assert_trap (invoke \"f\") \"odd\")");
    assert_eq!(
        plan.units[0].steps()[0].due,
        Due::Unexplained("odd".to_owned())
    );
}

#[test]
fn the_official_scripts_are_all_there() {
    let sources = built_in();
    let mut names: Vec<_> = sources.iter().map(|source| &source.file).collect();
    names.dedup();
    assert_eq!(names.len(), sources.len(), "names are unique");
    assert_eq!(sources.len(), 149);
    assert!(sources.iter().any(|source| source.file == "simd_lane.wast"));
    let plan = Plan::of(&sources, &Filter::default()).unwrap();
    // A change here is a change of the crate or of the scope.
    assert_eq!(plan.checks(), 51_168);
    let unexplained = plan.units.iter().any(|unit| {
        let of_module = matches!(&unit.what, What::Traps(Due::Unexplained(_)));
        let of_steps = unit.steps().iter();
        of_module
            || of_steps
                .into_iter()
                .any(|step| matches!(step.due, Due::Unexplained(_)))
    });
    assert!(!unexplained, "every message has a class");
}

#[cfg(feature = "wasmi")]
mod on_wasmi {
    use super::super::{
        module::Survey,
        rewrite::{Target, Wrapper, bits_of, diagnose, rewrite},
        value::{Constant, Expected, all_of},
    };
    use proptest::prelude::*;
    use runtime_api::{Budget, BudgetKind, Limits, Options};
    use wasmparser::ValType;

    const IDENTITIES: &str = r#"(module
      (func (param i32) (result i32) (local.get 0))
      (func (param i64) (result i64) (local.get 0))
      (func (param f32) (result f32) (local.get 0))
      (func (param f64) (result f64) (local.get 0))
      (func (param v128) (result v128) (local.get 0))
      (func (param i32 v128) (result v128 i32) (local.get 1) (local.get 0)))"#;

    /// What the exports return, on one instance.
    fn call(wasm: &[u8], exports: &[String]) -> Vec<i32> {
        let options = Options {
            limits: Limits::default(),
            metering: BudgetKind::None,
        };
        let runtime = runtime_wasmi::runtime().unwrap();
        let module = runtime.compile(wasm, &options).unwrap();
        let mut instance = module.instantiate(Budget::None).unwrap();
        exports
            .iter()
            .map(|export| {
                let entry = instance.entry(export, 0).unwrap();
                instance.call(entry, &[], Budget::None).unwrap()
            })
            .collect()
    }

    fn constant(kind: u32, bits: u128) -> Constant {
        match kind {
            0 => Constant::I32(bits as i32),
            1 => Constant::I64(bits as i64),
            2 => Constant::F32(bits as u32),
            3 => Constant::F64(bits as u64),
            _ => Constant::V128(bits),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A wrapper is 1 for the right value, 0 for any other in the mask, and 1 for any other outside it; and what the
        /// function gave is told.
        #[test]
        fn a_wrapper_sees_every_bit_of_its_mask(kind in 0_u32..5, bits: u128, flipped in 0_u32..128) {
            let survey = Survey::of(wat::parse_str(IDENTITIES).unwrap()).unwrap();
            let argument = constant(kind, bits);
            let all = all_of(argument.kind());
            let flip = (1 << flipped) & all;
            prop_assume!(flip != 0);
            let wrapper = |name: &str, mask, value| Wrapper {
                export: name.to_owned(),
                target: Target::Function(kind),
                arguments: vec![argument],
                expected: Some(vec![Expected::Bits { kind: argument.kind(), mask, value }]),
            };
            let bits = bits & all;
            let wrappers = [
                wrapper("right", all, bits),
                wrapper("wrong", all, bits ^ flip),
                wrapper("outside", all & !flip, bits & !flip),
            ];
            let exports: Vec<_> = wrappers.iter().map(|w| w.export.clone()).collect();
            let wasm = rewrite(&survey, &wrappers).unwrap();
            prop_assert_eq!(call(&wasm, &exports), [1, 0, 1]);

            let told = diagnose(&survey, &wrappers).unwrap();
            let exports: Vec<_> = exports.into_iter().chain(told.words.clone()).collect();
            let words: Vec<u32> = call(&told.wasm, &exports)[3..].iter().map(|w| *w as u32).collect();
            prop_assert_eq!(bits_of(&told.results, &words), [bits]);
        }
    }

    #[test]
    fn each_of_several_results_counts() {
        let survey = Survey::of(wat::parse_str(IDENTITIES).unwrap()).unwrap();
        let wrapper = |name: &str, vector, number| Wrapper {
            export: name.to_owned(),
            target: Target::Function(5),
            arguments: vec![Constant::I32(3), Constant::V128(5 << 64)],
            expected: Some(vec![
                Expected::Bits {
                    kind: ValType::V128,
                    mask: u128::MAX,
                    value: vector,
                },
                Expected::Bits {
                    kind: ValType::I32,
                    mask: u32::MAX.into(),
                    value: number,
                },
            ]),
        };
        let wrappers = [
            wrapper("right", 5 << 64, 3),
            wrapper("first", 5, 3),
            wrapper("second", 5 << 64, 4),
        ];
        let exports: Vec<_> = wrappers.iter().map(|w| w.export.clone()).collect();
        let wasm = rewrite(&survey, &wrappers).unwrap();
        assert_eq!(call(&wasm, &exports), [1, 0, 0]);
    }

    #[test]
    fn references_are_null_or_not() {
        let survey = Survey::of(
            wat::parse_str(
                r#"(module (elem declare func 0)
                  (func (result funcref) (ref.func 0))
                  (func (param funcref externref) (result funcref externref) (local.get 0) (local.get 1)))"#,
            )
            .unwrap(),
        )
        .unwrap();
        let function = |name: &str, expected| Wrapper {
            export: name.to_owned(),
            target: Target::Function(0),
            arguments: vec![],
            expected: Some(vec![expected]),
        };
        let both = |name: &str, first, second| Wrapper {
            export: name.to_owned(),
            target: Target::Function(1),
            arguments: vec![Constant::NullFunction, Constant::NullExtern],
            expected: Some(vec![first, second]),
        };
        let wrappers = [
            function("a", Expected::NotNull),
            function("b", Expected::Null),
            both("c", Expected::Null, Expected::Null),
            both("d", Expected::Null, Expected::NotNull),
        ];
        let exports: Vec<_> = wrappers.iter().map(|w| w.export.clone()).collect();
        let wasm = rewrite(&survey, &wrappers).unwrap();
        assert_eq!(call(&wasm, &exports), [1, 0, 1, 0]);
    }
}
