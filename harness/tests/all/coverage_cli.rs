//! Code that no case runs is named, and what a module keeps of a call is found.

use crate::support::{core_pack, json, pack_of};
use assay::{
    conform::coverage::digest,
    coverage::{Coverage, ledger::Ledger},
};
use serde_json::Value;
use std::{fs, path::Path};

pub(crate) const KERNEL: &str = "rope_f32";

fn module(kernel: &str, variant: &str) -> Vec<u8> {
    let end = if variant == "base" {
        "wasm"
    } else {
        "simd.wasm"
    };
    fs::read(core_pack().join(format!("kernels/{kernel}.{end}"))).unwrap()
}

/// The base module of [`KERNEL`] with instructions in front of those of `kernel_forward`.
pub(crate) fn with_prologue(code: &str) -> Vec<u8> {
    crate::support::with_prologue(&module(KERNEL, "base"), code, "")
}

/// The base module of a kernel with instructions in front of those of `kernel_forward`, and fields, which are told how that function is called in text.
pub(crate) fn with_prologue_of(
    kernel: &str,
    code: &str,
    fields: &dyn Fn(&str) -> String,
) -> Vec<u8> {
    let module = module(kernel, "base");
    let forward = crate::support::forward_of(&module);
    crate::support::with_prologue(&module, code, &fields(&forward))
}

fn conform(pack: &Path, out: &Path, more: &[&str]) -> (i32, Value) {
    judged("conform", pack, out, more)
}

fn judged(command: &str, pack: &Path, out: &Path, more: &[&str]) -> (i32, Value) {
    let (pack, out) = (pack.to_str().unwrap(), out.to_str().unwrap());
    let common = [
        command,
        pack,
        "--runtime",
        "wasmi",
        "--cases",
        "8",
        "--out",
        out,
    ];
    json(&[&common, more].concat())
}

fn coverage(document: &Value) -> Vec<Coverage> {
    serde_json::from_value(document["coverage"].clone()).unwrap()
}

fn of_module(module: &[u8]) -> (i32, Value, Coverage) {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack_of(folder.path(), KERNEL, module, None);
    let (exit, document) = conform(&pack, &folder.path().join("results"), &["--coverage"]);
    let coverage = coverage(&document).remove(0);
    (exit, document, coverage)
}

fn names(coverage: &Coverage, text: &str) -> bool {
    let mut uncovered = coverage.uncovered.iter();
    uncovered.any(|one| one.block.text.starts_with(text))
}

/// Where the first element of input a is a number that no case has, the status is 77; only where descriptor and input lie low, which is checked
/// because this comes before the kernel's own checks.
const BACKDOOR: &str = "local.get 0 i32.const 60000 i32.lt_u if
    local.get 0 i32.load i32.const 60000 i32.lt_u if
        local.get 0 i32.load i32.load i32.const 0x4abcdef1 i32.eq if i32.const 77 return end
    end
end";

/// The same where there are 23 positions.
const TRIGGER: &str = "local.get 0 i32.const 60000 i32.lt_u if
    local.get 0 i32.load offset=32 i32.const 60000 i32.lt_u if
        local.get 0 i32.load offset=32 i32.load offset=4 i32.const 23 i32.eq if i32.const 77 return end
    end
end";

#[test]
fn qualify_searches_and_finds_a_backdoor_on_one_value_and_a_trigger_on_one_shape() {
    for (name, code) in [("value", BACKDOOR), ("shape", TRIGGER)] {
        let folder = tempfile::tempdir().unwrap();
        let pack = pack_of(folder.path(), KERNEL, &with_prologue(code), None);
        // What a search begins with follows from it, and to which lengths axes grow.
        let own_seed = ["--own-seed", "5"];
        let run = |name: &str, more: &[&str]| {
            let more = [&own_seed[..], more].concat();
            conform(&pack, &folder.path().join(name), &more)
        };
        let (exit, document) = run("without", &[]);
        assert_eq!(exit, 0, "{name}: {document:#}");
        let out = folder.path().join("qualify");
        let more = [&own_seed[..], &["--interruptions", "0"]].concat();
        let (exit, document) = judged("qualify", &pack, &out, &more);
        assert_eq!(exit, 1, "{name}");
        assert!(document["conform"]["search"]["draws"].as_u64().unwrap() > 50);
        let results = document["conform"]["results"].as_array().unwrap();
        let found = results.iter().find(|entry| {
            let case = entry["case"].as_str().unwrap_or_default();
            case.starts_with("search:") && entry["layer"] == "L1"
        });
        let found = found.unwrap_or_else(|| panic!("{name}: {document:#}"));
        assert!(
            found["detail"].as_str().unwrap().contains("status 77"),
            "{found}"
        );
        // The case has a name by which it is made again, without the search.
        let case = found["case"].as_str().unwrap();
        let (exit, again) = run("again", &["--case", case]);
        assert_eq!(exit, 1, "{again:#}");
        let results = again["results"].as_array().unwrap().iter();
        let failing: Vec<&Value> = results
            .filter(|entry| entry["case"].is_string() && entry["outcome"] == "fail")
            .collect();
        // What concerns the module is asked with its parameters too.
        let of_case: Vec<_> = failing
            .iter()
            .filter(|entry| entry["case"] == case && entry["layer"] == "L1")
            .collect();
        assert_eq!(of_case.len(), 1, "{failing:#?}");
        let others = failing.iter().filter(|entry| entry["case"] != case);
        assert!(
            others.clone().all(|entry| entry["case"] == "edge:module"),
            "{failing:#?}"
        );
    }
}

/// The last line of a qualification without a search says so.
#[test]
fn what_was_not_searched_stands_in_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack_of(folder.path(), KERNEL, &with_prologue(BACKDOOR), None);
    let out = folder.path().join("qualify");
    let more = ["--interruptions", "0", "--search", "0"];
    let (exit, document) = judged("qualify", &pack, &out, &more);
    assert_eq!(exit, 0, "{document:#}");
    let words = document["words"].to_string();
    assert!(
        words.contains("nobody searched for calls that run more of the code"),
        "{words}"
    );
}

#[test]
fn a_backdoor_on_one_input_value_is_code_that_no_case_ran() {
    let backdoor = with_prologue(BACKDOOR);
    let (exit, document, coverage) = of_module(&backdoor);
    assert_eq!(exit, 1);
    assert!(names(&coverage, "i32.const 77; return"), "{document:#}");
    let reasons = document["reasons"].to_string();
    assert!(reasons.contains("no case ran"), "{reasons}");
    // Every layer of every case holds: only the code shows it.
    assert_eq!(document["counts"]["fail"], 0);

    let (_, _, honest) = of_module(&module(KERNEL, "base"));
    assert!(!names(&honest, "i32.const 77"));
    assert!(honest.ran > 100 && honest.globals_changed.is_empty());
}

#[test]
fn a_stack_pointer_that_is_not_restored_is_found() {
    let leaking = with_prologue("global.get 0 i32.const 16 i32.sub global.set 0");
    let (exit, document, coverage) = of_module(&leaking);
    assert_eq!((exit, coverage.globals_changed), (1, vec![0]));
    let reasons = document["reasons"].to_string();
    assert!(reasons.contains("left global 0 changed"), "{reasons}");
}

#[test]
fn the_ledger_of_unreachable_code_is_about_the_core_pack_as_it_is() {
    let out = tempfile::tempdir().unwrap();
    let (_, document) = conform(&core_pack(), out.path(), &["--coverage"]);
    let ledger = Ledger::built_in().unwrap();
    let mut known = Vec::new();
    for coverage in coverage(&document) {
        assert_eq!(coverage.error, "");
        let sha256 = digest(&module(&coverage.kernel, &coverage.variant));
        let stale = ledger.stale(&coverage, &sha256);
        assert!(stale.is_empty(), "{}: {stale:?} ran", coverage.kernel);
        known.push(sha256);
    }
    for entry in &ledger.unreachable {
        assert!(
            known.contains(&entry.sha256),
            "no module of the core pack is the one of {} ({})",
            entry.kernel,
            entry.variant
        );
        assert!(entry.proof.len() > 20, "{}: no proof", entry.kernel);
    }
}
