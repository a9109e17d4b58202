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
