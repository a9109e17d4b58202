#![allow(clippy::unwrap_used, reason = "a test whose helpers fail as tests do")]

use super::{
    fault::Kind,
    mutant::{self, Mutant},
    search::{self, Draws},
};
use crate::{
    conform::{plan, run::Work, standard::Standard, subject::Subject},
    registry,
};
use fastrand::Rng;
use kernel_cases::edge;
use runtime_api::Budget;
use std::{collections::BTreeSet, fs, path::Path};

const KERNEL: &str = "kv_unpack_q8";

fn fixture(path: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    fs::read(fixtures.join(path)).unwrap()
}

fn module() -> Vec<u8> {
    fixture("packs/core/kernels/kv_unpack_q8.wasm")
}

fn work() -> Work {
    let facts = kernel_pack::inspect_module(
        &module(),
        &kernel_pack::ModuleRules {
            entry_point: "kernel_forward",
            max_memory_pages: 64,
            max_table_elements: 64,
        },
    );
    let facts = facts.unwrap();
    let subject = Subject {
        kernel: KERNEL.to_owned(),
        named: KERNEL.to_owned(),
        variant: "base".to_owned(),
        features: Vec::new(),
        wasm: module(),
        entry_point: "kernel_forward".to_owned(),
        heap_base: facts.heap_base,
        minimum_pages: facts.memory_minimum_pages,
        max_pages: 64,
        max_table_elements: 64,
        max_stack_bytes: plan::STACK_BYTES,
        ticks: 100,
        fuel: None,
        has_backward: false,
        code: None,
        state: BTreeSet::new(),
        flags: None,
        standard: Standard::of_source(KERNEL).into(),
    };
    Work::new(subject, edge::cases(KERNEL), 1)
}

fn drawn(seed: u64) -> Vec<Mutant> {
    mutant::draw(&module(), 60, &mut Rng::with_seed(seed)).unwrap()
}

#[test]
fn mutants_are_valid_differ_and_are_of_many_kinds() {
    let mutants = drawn(1);
    assert_eq!(mutants.len(), 60);
    let modules: BTreeSet<&[u8]> = mutants.iter().map(|one| one.wasm.as_slice()).collect();
    assert_eq!(modules.len(), 60);
    let kinds: BTreeSet<Kind> = mutants.iter().map(|one| one.place.kind).collect();
    assert!(kinds.len() >= 7, "{kinds:?}");
    for mutant in &mutants {
        assert_ne!(
            mutant.place.before, mutant.place.after,
            "{:?}",
            mutant.place
        );
        assert_ne!(mutant.place.before, "?");
    }
    let same = |a: &[Mutant], b: &[Mutant]| a.iter().zip(b).all(|(a, b)| a.wasm == b.wasm);
    assert!(same(&mutants, &drawn(1)) && !same(&mutants, &drawn(2)));
}

#[test]
fn a_call_tells_a_wrong_kernel_from_the_original_and_none_tells_the_original_from_itself() {
    let runtime = registry::open("wasmi").unwrap();
    let wrong = fixture("faulty/wrong_status.wasm");
    let original = module();
    let draws = Draws {
        seed: 1,
        calls: 400,
        budget: Budget::Epoch(100),
        limit: None,
    };
    let found = search::search(runtime.as_ref(), &work(), &[&wrong, &original], draws).unwrap();
    let found: Vec<_> = found.iter().map(|found| found.wrong.as_ref()).collect();
    let [Some(shown), None] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(
        shown.difference.contains("where the original returned"),
        "{shown:?}"
    );
    assert!(shown.call.contains("kernel_forward"), "{shown:?}");
}
