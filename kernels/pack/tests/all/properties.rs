//! Whatever the bytes are: no panic, no hang, and nothing but the signed pack is accepted.

use std::sync::LazyLock;

use crate::support::{self, Draft, altered, extended, fixtures, policy, tiny_module};
use kernel_pack::{
    HostCaps, Manifest, ModuleRules, Successor, TrustList, UntrustedPack, inspect_module,
    signature::{FurtherSignature, is_valid},
    verify,
};
use proptest::prelude::*;

static CORE: LazyLock<Vec<u8>> =
    LazyLock::new(|| std::fs::read(fixtures().join("packs/core/kernels.json")).unwrap());

static MODULES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut modules: Vec<_> = ["rope_f16", "lora_apply_f16", "kv_pack_q8"]
        .iter()
        .map(|id| std::fs::read(fixtures().join(format!("packs/core/kernels/{id}.wasm"))).unwrap())
        .collect();
    modules.push(tiny_module());
    modules.push(altered(
        "(table 2 funcref)",
        "(table 2 funcref) (elem (i32.const 0) func 0 1)",
    ));
    modules.push(extended("(data \"x\") (func (param v128) (result i32 i64) (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 0) (i64.const 0))"));
    modules
});

fn rules() -> ModuleRules<'static> {
    ModuleRules {
        entry_point: "kernel_forward",
        max_memory_pages: 4096,
        max_table_elements: 64,
    }
}

/// One small change of some bytes.
fn mutate(bytes: &[u8], at: prop::sample::Index, change: u8, with: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len());
    match change {
        0 => bytes[at] ^= with[0].max(1),
        1 => bytes.truncate(at),
        2 => drop(bytes.splice(at..at, with.iter().copied())),
        3 => {
            let end = (at + with.len()).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            let end = (at + with.len()).min(bytes.len());
            bytes.splice(at..end, with.iter().copied());
        }
    }
    bytes
}

fn change() -> impl Strategy<Value = (prop::sample::Index, u8, Vec<u8>)> {
    (
        any::<prop::sample::Index>(),
        0_u8..5,
        prop::collection::vec(any::<u8>(), 1..8),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_no_manifest(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(Manifest::parse(&bytes, &HostCaps::default()).is_err());
    }

    #[test]
    fn json_like_text_never_panics(text in "[\\[\\]{}\",:0-9eE.+\\-truefalsn \\\\u$]{0,200}") {
        prop_assert!(Manifest::parse(text.as_bytes(), &HostCaps::default()).is_err());
    }

    #[test]
    fn a_changed_manifest_never_panics((at, how, with) in change()) {
        let _ = Manifest::parse(&mutate(&CORE, at, how, &with), &HostCaps::default());
    }

    #[test]
    fn changed_further_signatures_hold_only_as_they_were((at, how, with) in change()) {
        let message = Draft::new().manifest_text();
        let lines = support::further(&support::unknown_key(), &message)
            + &support::further(&support::revoked_key(), &message);
        let changed = mutate(lines.as_bytes(), at, how, &with);
        if let Ok(entries) = FurtherSignature::parse_all(&changed) {
            for entry in entries {
                let line = format!("{} ", entry.key);
                // What still holds is one of the two lines, unchanged.
                if is_valid(entry.key.as_bytes(), &message, &entry.signature) {
                    prop_assert!(lines.contains(&line));
                }
            }
        }
    }

    #[test]
    fn a_changed_successor_statement_is_refused((at, how, with) in change()) {
        let text = Successor::sign(&support::trusted_key(), &support::unknown_key().public_key());
        let text = text.unwrap();
        let changed = mutate(text.as_bytes(), at, how, &with);
        prop_assert_eq!(Successor::parse(&changed).is_ok(), changed == text.as_bytes());
    }

    #[test]
    fn a_changed_trust_list_never_panics((at, how, with) in change()) {
        if let Ok(text) = String::from_utf8(mutate(support::trust_text().as_bytes(), at, how, &with)) {
            let _ = TrustList::parse(&text, "test");
        }
    }

    #[test]
    fn a_changed_module_never_panics(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut bytes = which.get(&MODULES).clone();
        for (at, how, with) in changes {
            if !bytes.is_empty() {
                bytes = mutate(&bytes, at, how, &with);
            }
        }
        let _ = inspect_module(&bytes, &rules());
    }

    #[test]
    fn any_bytes_behind_a_module_header_never_panic(tail in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = inspect_module(&[b"\0asm\x01\0\0\0".as_slice(), &tail].concat(), &rules());
    }
}

proptest! {
    // Each case writes a pack.
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_manifest_or_signature_never_verifies(
        (at, how, with) in change(),
        which in any::<bool>(),
    ) {
        let draft = Draft::new();
        let (text, signature) = (draft.manifest_text(), draft.sign());
        let draft = if which {
            draft.signature(mutate(&signature, at, how, &with))
        } else {
            draft.bytes(mutate(&text, at, how, &with)).signature(signature.clone())
        };
        let same = draft.manifest_text() == text && draft.sign() == signature;
        let folder = support::scratch();
        draft.write(folder.path());
        prop_assert_eq!(verify(folder.path(), &support::trust(), &policy()).is_ok(), same);
    }
}

#[test]
fn the_modules_that_are_changed_pass_unchanged() {
    for module in MODULES.iter() {
        inspect_module(module, &rules()).unwrap();
    }
}

/// Modules built to make validation slow.
#[test]
fn costly_modules_are_decided_in_bounded_time() {
    let results = "i32 ".repeat(1000);
    let values = "(i32.const 0)".repeat(1000);
    let table = "0 ".repeat(60_000);
    // Three tables are within the bound on operand checks, sixteen are beyond.
    let wide = |tables| {
        let tables = format!("(br_table {table} (i32.const 0))").repeat(tables);
        extended(&format!(
            "(func (result {results}) {values} {tables} unreachable)"
        ))
    };
    let nested = extended(&format!(
        "(func {} {})",
        "block ".repeat(200_000),
        "end ".repeat(200_000)
    ));
    let locals = extended(&"(func (local i32 i64 f32 f64 i32))".repeat(20_000));
    for module in [wide(3), wide(16), nested, locals] {
        let started = std::time::Instant::now();
        let _ = inspect_module(&module, &rules());
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}

#[test]
fn nothing_is_verified_with_an_empty_trust_list() {
    let core = fixtures().join("packs/core");
    let pack = UntrustedPack::read(&core).unwrap();
    assert!(pack.verify(&TrustList::empty(), &policy()).is_err());
}
