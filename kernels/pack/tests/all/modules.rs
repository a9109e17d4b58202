//! What the pre-pass accepts, up to its limits, and what it finds out.

use std::collections::BTreeSet;

use crate::support::{self, altered, extended, tiny_module};
use kernel_pack::{Code, Feature, ModuleFacts, ModuleRules, Rejection, State, inspect_module};

fn inspect(bytes: &[u8]) -> Result<ModuleFacts, Rejection> {
    let rules = ModuleRules {
        entry_point: "kernel_forward",
        max_memory_pages: 4,
        max_table_elements: 16,
    };
    inspect_module(bytes, &rules)
}

fn code(bytes: &[u8]) -> Code {
    inspect(bytes).unwrap_err().code
}

#[test]
fn facts_are_those_of_the_module() {
    let facts = inspect(&tiny_module()).unwrap();
    assert_eq!(facts.heap_base, 1024);
    assert_eq!(
        (facts.memory_minimum_pages, facts.memory_maximum_pages),
        (1, Some(4))
    );
    assert_eq!(facts.table_elements, 2);
    assert!(!facts.has_backward && facts.features_used.is_empty());
    let backward = r#"(func (export "kernel_backward") (param i32) (result i32) i32.const 5)"#;
    assert!(inspect(&extended(backward)).unwrap().has_backward);
    let high = altered("(i32.const 1024)", "(i32.const 0xffff0000)");
    assert_eq!(inspect(&high).unwrap().heap_base, 0xffff_0000);
}

#[test]
fn state_outside_of_memory_is_noticed_and_refused_unless_it_is_declared() {
    for (state, text) in [
        (
            State::MemoryGrow,
            "(func (drop (memory.grow (i32.const 1))))",
        ),
        (
            State::Globals,
            "(global $kept (mut f32) (f32.const 0)) (func (global.set $kept (f32.const 1)))",
        ),
        // A counter is no address, and of two that may be stack pointers one is not.
        (
            State::Globals,
            "(global $count (mut i32) (i32.const 0)) (func (global.set $count (i32.const 1)))",
        ),
        (
            State::Globals,
            "(global $a (mut i32) (i32.const 1024)) (global $b (mut i32) (i32.const 2048))
             (func (global.set $a (i32.const 1)) (global.set $b (i32.const 1)))",
        ),
        (
            State::Globals,
            "(global $far (mut i32) (i32.const 65537)) (func (global.set $far (i32.const 1)))",
        ),
        (
            State::Tables,
            "(table $t 1 funcref) (func (table.set $t (i32.const 0) (ref.null func)))",
        ),
        (
            State::Tables,
            "(table $t 1 funcref) (func (drop (table.grow $t (ref.null func) (i32.const 1))))",
        ),
        (State::DataDrop, r#"(data $d "x") (func (data.drop $d))"#),
        (
            State::ElemDrop,
            "(func $f) (elem $e func $f) (func (elem.drop $e))",
        ),
    ] {
        let facts = inspect(&extended(text)).unwrap();
        assert_eq!(facts.state, BTreeSet::from([state]), "{text}");
        assert!(!facts.is_resettable());
        let refused = facts.check_state(&BTreeSet::new()).unwrap_err();
        assert_eq!(refused.code, Code::ModuleInvalid);
        assert!(refused.message.ends_with(state.as_str()), "{refused:?}");
        assert!(facts.check_state(&BTreeSet::from([state])).is_ok());
        assert_eq!(State::parse(state.as_str()), Some(state));
    }
}

#[test]
fn what_compilers_make_has_no_state() {
    for text in [
        // A stack pointer, as clang, Rust and Zig have it; AssemblyScript's has another place among globals.
        "(global $__stack_pointer (mut i32) (i32.const 65536))
         (func (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16))))",
        "(global $~lib/memory/__data_end i32 (i32.const 8)) (global $~lib/memory/__stack_pointer (mut i32) (i32.const 32776))
         (global $~argumentsLength (mut i32) (i32.const 0))
         (func (global.set $~lib/memory/__stack_pointer (i32.const 32776)))",
        // A global that nothing sets is a constant, whatever its type says.
        r#"(global (mut i32) (i32.const 0)) (global (export "g") (mut i64) (i64.const 0))"#,
        "(func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0)))",
    ] {
        let facts = inspect(&extended(text)).unwrap();
        assert!(facts.is_resettable(), "{text}: {:?}", facts.state);
    }
}

#[test]
fn each_feature_is_noticed_where_it_is_used() {
    use Feature::*;
    for (feature, text) in [
        (
            MutableGlobals,
            r#"(global (export "g") (mut i32) (i32.const 0))"#,
        ),
        (SignExtension, "(func (drop (i32.extend8_s (i32.const 0))))"),
        (
            SaturatingFloatToInt,
            "(func (drop (i32.trunc_sat_f32_s (f32.const 0))))",
        ),
        (
            MultiValue,
            "(func (result i32 i32) i32.const 0 i32.const 0)",
        ),
        (MultiValue, "(func i32.const 0 (block (param i32) drop))"),
        (
            BulkMemory,
            "(func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
        ),
        (BulkMemory, r#"(data "passive")"#),
        (BulkMemory, "(elem func 0)"),
        (ReferenceTypes, "(table 1 externref)"),
        (ReferenceTypes, "(func (param externref))"),
        (ReferenceTypes, "(func (drop (table.size 0)))"),
        (ReferenceTypes, "(elem declare func 0)"),
        (Simd, "(func (param v128))"),
        (Simd, "(func (local v128))"),
        (Simd, "(global v128 (v128.const i64x2 0 0))"),
        (Simd, "(func (drop (v128.const i64x2 0 0)))"),
        (Simd, "(func (block (result v128) unreachable) drop)"),
    ] {
        let used = inspect(&extended(text)).unwrap().features_used;
        assert_eq!(used, BTreeSet::from([feature]), "{text}");
    }
    // A mutable global that is not exported, the stack pointer, say, is in the first version of WebAssembly.
    let global = extended("(global (mut i32) (i32.const 0))");
    assert!(inspect(&global).unwrap().features_used.is_empty());
}

#[test]
fn limits_are_inclusive() {
    for (text, within) in [
        (format!("(func (local {}))", "i32 ".repeat(50_000)), true),
        (format!("(func (local {}))", "i32 ".repeat(50_001)), false),
        (format!("(func (param {}))", "i32 ".repeat(1000)), true),
        (format!("(func (param {}))", "i32 ".repeat(1001)), false),
        // The last target is the default, which does not count.
        (
            format!("(func (br_table {} (i32.const 0)))", "0 ".repeat(65_521)),
            true,
        ),
        (
            format!("(func (br_table {} (i32.const 0)))", "0 ".repeat(65_522)),
            false,
        ),
    ] {
        let result = inspect(&extended(&text));
        match within {
            true => drop(result.unwrap()),
            false => assert_eq!(result.unwrap_err().code, Code::ModuleInvalid),
        }
    }
    for (pages, within) in [(4, true), (5, false)] {
        let module = altered("1 4)", &format!("{pages})"));
        assert_eq!(inspect(&module).is_ok(), within, "{pages}");
    }
    for (elements, within) in [(16, true), (17, false)] {
        let module = altered("(table 2 funcref)", &format!("(table {elements} funcref)"));
        assert_eq!(inspect(&module).is_ok(), within, "{elements}");
    }
    // Locals of many functions do not add up: the limit is of one function.
    let functions = format!("(func (local {}))", "i64 ".repeat(30_000)).repeat(2);
    assert!(inspect(&extended(&functions)).is_ok());
}

#[test]
fn a_huge_memory_or_table_is_a_limit_not_an_overflow() {
    assert_eq!(code(&altered("1 4)", "65536)")), Code::LimitExceeded);
    let tables = "(table 4294967295 funcref)".repeat(2);
    assert_eq!(
        code(&altered("(table 2 funcref)", &tables)),
        Code::LimitExceeded
    );
}

#[test]
fn custom_sections_do_not_matter() {
    let module = wat::parse_str(
        support::TINY.trim_end_matches(')').to_owned() + "(@custom \"name\" \"\\ff\\ff\\ff\"))",
    )
    .unwrap();
    assert!(inspect(&module).is_ok());
}

#[test]
fn only_the_entry_point_of_the_manifest_counts() {
    let module = altered("kernel_forward", "rope_forward");
    assert_eq!(code(&module), Code::ExportMissing);
    let rules = ModuleRules {
        entry_point: "rope_forward",
        max_memory_pages: 4,
        max_table_elements: 16,
    };
    assert!(inspect_module(&module, &rules).is_ok());
}

#[test]
fn refusals_name_the_switch_of_the_tool() {
    for (text, said) in [
        (r#"(import "env" "abort" (func))"#, "--use abort="),
        (r#"(import "env" "memory" (memory 1))"#, "--import-memory"),
        (r#"(import "env" "expf" (func))"#, "--allow-undefined"),
        (
            r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#,
            "wasm32-freestanding",
        ),
        (
            r#"(import "wasi_ephemeral_nn" "compute" (func (param i32) (result i32)))"#,
            "`assay nn`",
        ),
    ] {
        let module = wat::parse_str(format!("(module {text})")).unwrap();
        let refused = inspect(&module).unwrap_err();
        assert_eq!(refused.code, Code::ImportForbidden);
        assert!(refused.message.contains(said), "{refused}");
    }
    for (module, code, said) in [
        (
            altered(r#"(export "__heap_base")"#, ""),
            Code::ExportMissing,
            "-Wl,--export=__heap_base",
        ),
        (
            altered("kernel_init", "init"),
            Code::ExportMissing,
            "-rdynamic",
        ),
        (altered("1 4)", "17)"), Code::LimitExceeded, "stack-size"),
        (
            extended("(func $begin) (start $begin)"),
            Code::ModuleInvalid,
            "--runtime stub",
        ),
        (
            extended(
                "(func (result v128) (i32x4.relaxed_trunc_f32x4_s (v128.const i32x4 0 0 0 0)))",
            ),
            Code::ModuleInvalid,
            "-mrelaxed-simd",
        ),
        (
            extended("(func (atomic.fence))"),
            Code::ModuleInvalid,
            "-pthread",
        ),
        (
            extended("(func $f (return_call $f))"),
            Code::ModuleInvalid,
            "-mtail-call",
        ),
        (
            extended("(tag $t) (func (throw $t))"),
            Code::ModuleInvalid,
            "-mexception-handling",
        ),
    ] {
        let refused = inspect(&module).unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
        assert!(refused.message.contains(said), "{refused}");
    }
}
