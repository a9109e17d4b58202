//! The numeric instructions on the engines of this build.

use crate::support::{core_pack, json};
use serde_json::Value;
use std::fs;

#[test]
fn every_engine_of_the_build_computes_every_instruction() {
    let out = tempfile::tempdir().unwrap();
    let (exit, document) = json(&[
        "conform",
        core_pack().to_str().unwrap(),
        "--kernel",
        "kv_unpack_q8",
        "--cases",
        "1",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    let summaries = document["numerics"].as_array().unwrap();
    assert!(!summaries.is_empty());
    for summary in summaries {
        let number = |key: &str| summary[key].as_u64().unwrap();
        assert_eq!(
            number("held") + number("known_failures"),
            number("operations"),
            "{summary:#}"
        );
        assert_eq!(summary["holds"], true);
        assert!(number("cases") > 40_000, "{summary:#}");
    }
    assert_eq!(exit, 0);

    // The evidence has every instruction on every engine.
    let evidence = fs::read(out.path().join("numerics.json")).unwrap();
    let evidence: Value = serde_json::from_slice(&evidence).unwrap();
    let operations = summaries[0]["operations"].as_u64().unwrap() as usize;
    assert_eq!(
        evidence.as_array().unwrap().len(),
        summaries.len() * operations
    );
}

#[test]
fn a_command_that_repeats_one_case_leaves_them_out() {
    let out = tempfile::tempdir().unwrap();
    let (exit, document) = json(&[
        "conform",
        core_pack().to_str().unwrap(),
        "--kernel",
        "kv_unpack_q8",
        "--runtime",
        "wasmi",
        "--case",
        "generated:0",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    assert_eq!(exit, 0, "{document:#}");
    assert_eq!(document["numerics"], Value::Array(Vec::new()));
}
