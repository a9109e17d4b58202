use super::{ledger::Ledger, *};
use crate::rewrite::FEATURES;
use wasmparser::Validator;

const TEXT: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "kernel_forward") (param i32) (result i32)
        (if (result i32) (i32.eq (local.get 0) (i32.const 7))
            (then (call $seldom))
            (else (i32.const 0))))
    (func $seldom (result i32) (i32.const 1))
    (func $panic (unreachable)))"#;

#[test]
fn a_module_with_flags_is_valid_whatever_its_size() {
    for blocks in [1, 31, 32, 33, 200] {
        let body = "local.get 0 if nop end ".repeat(blocks);
        let text = format!("(module (func (param i32) {body}))");
        let flagged = Flagged::of(&wat::parse_str(text).unwrap()).unwrap();
        let valid = Validator::new_with_features(FEATURES)
            .validate_all(&flagged.wasm)
            .map(drop);
        assert!(valid.is_ok(), "{blocks}: {valid:?}");
        assert_eq!(flagged.flags.words, (2 * blocks as u32 + 1).div_ceil(32));
    }
}

#[test]
fn flags_that_are_not_set_name_the_code() {
    let flagged = Flagged::of(&wat::parse_str(TEXT).unwrap()).unwrap();
    assert_eq!(flagged.flags.export, "assay_flags");
    // The blocks: the condition, then, else, the end; $seldom; $panic.
    let all = flagged.coverage("k", "base", &[0b011111]).unwrap();
    assert_eq!((all.blocks, all.ran), (5, 5));
    assert_eq!((all.only_traps, all.only_traps_ran), (1, 0));
    assert_eq!(all.gap(), None);
    let some = flagged.coverage("k", "base", &[0b001101]).unwrap();
    let open: Vec<_> = some.open().map(|block| block.text.as_str()).collect();
    assert_eq!(open, ["call $seldom; else", "i32.const 1; end"]);
    let reason = some.gap().unwrap();
    assert!(reason.contains("2 of 5 basic blocks"), "{reason}");
    assert!(reason.contains("kernel_forward at byte"), "{reason}");
    let none = flagged.coverage("k", "base", &[]).unwrap();
    assert_eq!(none.ran, 0);
}

#[test]
fn an_entry_of_the_ledger_is_about_blocks_of_one_module() {
    let flagged = Flagged::of(&wat::parse_str(TEXT).unwrap()).unwrap();
    let coverage = || flagged.coverage("k", "base", &[0b001111]).unwrap();
    let offset = coverage().uncovered[0].block.offset;
    let ledger = |offset: u64| -> Ledger {
        let entry = format!(
            "[[unreachable]]\nsha256 = 'ab'\nkernel = 'k'\nvariant = 'base'\noffsets = [{offset}]\nproof = 'never called with 7'"
        );
        toml::from_str(&entry).unwrap()
    };
    let mut other = coverage();
    ledger(offset).mark(&mut other, "cd");
    assert!(other.gap().is_some());
    let mut known = coverage();
    ledger(offset).mark(&mut known, "ab");
    assert_eq!(known.gap(), None);
    assert!(ledger(offset).stale(&known, "ab").is_empty());
    assert_eq!(ledger(1).stale(&known, "ab"), [1]);
    assert!(Ledger::built_in().is_ok());
}

/// What decides without a block of its own: a `select`, a mask of lanes, and an `if` without an `else`.
const CHOICES: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "scalar") (param i32) (result i32)
        (select (i32.const 1) (i32.const 2) (i32.eq (local.get 0) (i32.const 77))))
    (func (export "lanes") (param v128) (result v128)
        (i32x4.eq (local.get 0) (v128.const i32x4 88 88 88 88)))
    (func (export "alone") (param i32)
        (if (i32.ne (local.get 0) (i32.const 99)) (then nop)))
    (func (export "sizes") (param i32 i32)
        (if (i32.lt_u (local.get 0) (local.get 1)) (then nop))))"#;

#[test]
fn comparisons_that_came_out_one_way_only_lead_a_search() {
    let flagged = Flagged::of(&wat::parse_str(CHOICES).unwrap()).unwrap();
    let valid = Validator::new_with_features(FEATURES)
        .validate_all(&flagged.wasm)
        .map(drop);
    assert!(valid.is_ok(), "{valid:?}");
    // Both words of flags: all blocks, and the outcomes of three comparisons; sizes that are compared with each other have blocks.
    assert_eq!(flagged.flags.words, 2);
    let nothing = BTreeSet::new();
    let leading = |outcomes: u32| flagged.leading(&[u32::MAX, outcomes], &nothing).unwrap();
    let all = leading(0);
    assert!(all.of_blocks.is_empty());
    // Nearest first, with what stands beside it.
    assert_eq!(all.of_comparisons, [77, 2, 1, 88, 99]);
    assert_eq!(leading(0b11_01_11).of_comparisons, [88]);
    assert_eq!(leading(0b10_11_11).of_comparisons, [99]);
    assert!(leading(0b11_11_11).of_comparisons.is_empty());
    let coverage = flagged.coverage("k", "base", &[u32::MAX, 0b11_01_11]);
    let coverage = coverage.unwrap();
    assert_eq!(
        (coverage.comparisons, coverage.comparisons_both_ways),
        (3, 2)
    );
}

#[test]
fn outcomes_are_kept_and_answers_stay() {
    let flagged = Flagged::of(&wat::parse_str(CHOICES).unwrap()).unwrap();
    let runtime = runtime_wasmi::runtime().unwrap();
    let options = runtime_api::Options {
        limits: runtime_api::Limits {
            max_memory_pages: 1,
            max_table_elements: 0,
            max_stack_bytes: 1 << 16,
        },
        metering: runtime_api::BudgetKind::None,
    };
    let module = runtime.compile(&flagged.wasm, &options).unwrap();
    let none = runtime_api::Budget::None;
    let mut instance = module.instantiate(none).unwrap();
    let scalar = instance.entry("scalar", 1).unwrap();
    let told = instance.entry(&flagged.flags.export, 1).unwrap();
    let mut outcomes = Vec::new();
    for (argument, answer) in [(5, 2), (77, 1)] {
        assert_eq!(instance.call(scalar, &[argument], none).unwrap(), answer);
        outcomes.push(instance.call(told, &[1], none).unwrap());
    }
    assert_eq!(outcomes, [0b01, 0b11]);
}
