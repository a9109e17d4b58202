//! docs/pack.md against the code: what is added or renamed here fails until it stands there.

#[path = "../../abi/tests/markdown/mod.rs"]
mod markdown;

use std::collections::BTreeSet;

use kernel_abi::export;
use markdown::{code, fenced, rows, section};
use serde_json::Value;

use crate::fields::asked;
use crate::{Code, Feature, HostCaps, Manifest, SCHEMA};

const PACK: &str = include_str!("../../../docs/pack.md");

fn example() -> Value {
    serde_json::from_str(fenced(PACK, "json")).unwrap()
}

fn parse(manifest: &Value) -> Result<Manifest, crate::Rejection> {
    Manifest::parse(&serde_json::to_vec(manifest).unwrap(), &HostCaps::default())
}

/// The path of a field in the document: `kernels[].params.NAME.min`.
fn generic(path: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('.') {
        let named = parts
            .last()
            .is_some_and(|last| matches!(last.as_str(), "params" | "platforms" | "benchmarks"));
        parts.push(match part.split_once('[') {
            _ if named => "NAME".to_owned(),
            Some((list, _)) => format!("{list}[]"),
            None => part.to_owned(),
        });
    }
    parts.join(".")
}

/// Fields in the document, and whether each is needed.
fn listed() -> Vec<(String, bool)> {
    let mut listed = Vec::new();
    for row in rows(section(PACK, "### Fields")) {
        let needed = match row[1] {
            "yes" => true,
            "no" => false,
            other => panic!("{other} is neither yes nor no"),
        };
        listed.extend(
            code(row[0])
                .into_iter()
                .map(|field| (field.to_owned(), needed)),
        );
    }
    listed
}

/// The values that an example manifest has at a path of the document, each as the object that holds it, by JSON pointer.
fn holders(value: &Value, pointer: String, path: &str) -> Vec<String> {
    let Some((first, rest)) = path.split_once('.') else {
        return vec![pointer];
    };
    match (first.strip_suffix("[]"), value) {
        (Some(list), _) => match value.get(list) {
            Some(Value::Array(items)) => (0..items.len())
                .flat_map(|i| holders(&items[i], format!("{pointer}/{list}/{i}"), rest))
                .collect(),
            _ => Vec::new(),
        },
        (None, Value::Object(members)) if first == "NAME" => members
            .iter()
            .flat_map(|(name, value)| holders(value, format!("{pointer}/{name}"), rest))
            .collect(),
        (None, _) => value.get(first).map_or_else(Vec::new, |inner| {
            holders(inner, format!("{pointer}/{first}"), rest)
        }),
    }
}

#[test]
fn the_example_is_a_manifest_and_has_every_field() {
    asked::take();
    parse(&example()).unwrap();
    let known: BTreeSet<String> = asked::take().iter().map(|path| generic(path)).collect();
    let listed: BTreeSet<String> = listed().into_iter().map(|(field, _)| field).collect();
    assert_eq!(
        listed, known,
        "docs/pack.md lists what the code does not read, or not all it reads"
    );
    let example = example();
    for field in listed {
        let name = field.rsplit('.').next().unwrap();
        let is_there = holders(&example, String::new(), &field)
            .iter()
            .any(|holder| example.pointer(holder).unwrap().get(name).is_some());
        assert!(is_there, "the example has no {field}");
    }
}

#[test]
fn fields_are_needed_as_listed() {
    for (field, needed) in listed() {
        let name = field.rsplit('.').next().unwrap();
        for holder in holders(&example(), String::new(), &field) {
            let mut manifest = example();
            let members = manifest
                .pointer_mut(&holder)
                .unwrap()
                .as_object_mut()
                .unwrap();
            if members.remove(name).is_some() {
                let result = parse(&manifest);
                assert_eq!(
                    result.is_err(),
                    needed,
                    "{holder} without {name}: {result:?}"
                );
            }
        }
    }
}

#[test]
fn every_code_and_no_other_is_listed() {
    let table = rows(section(PACK, "## Rejection codes"));
    let mut listed: Vec<&str> = table.iter().flat_map(|row| code(row[0])).collect();
    listed.sort();
    let mut known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    known.sort();
    assert_eq!(listed, known);
    for row in rows(section(PACK, "## Rules for modules"))
        .iter()
        .filter(|row| row[0].contains('-'))
    {
        assert!(
            code(row[0]).iter().all(|code| known.contains(code)),
            "{row:?}"
        );
    }
}

#[test]
fn every_feature_and_no_other_is_listed() {
    let listed: Vec<&str> = code(section(PACK, "### Features"));
    let features: Vec<&str> = listed
        .into_iter()
        .filter(|name| *name != "platforms")
        .collect();
    let known: Vec<&str> = Feature::ALL
        .iter()
        .map(|feature| feature.as_str())
        .collect();
    assert_eq!(features, known);
}

#[test]
fn every_export_that_is_required_is_named() {
    let rules = section(PACK, "## Rules for modules");
    for name in export::ALL.iter().filter(|name| **name != export::FORWARD) {
        assert!(code(rules).contains(name), "{name}");
    }
    for name in crate::module::RUN_BY_ENGINES {
        assert!(code(rules).contains(&name), "{name}");
    }
}

#[test]
fn every_native_reference_and_no_other_is_listed() {
    let listed: BTreeSet<&str> = code(PACK)
        .into_iter()
        .filter(|name| name.ends_with("_reference"))
        .collect();
    let known: BTreeSet<&str> = crate::fallback::NATIVE_REFERENCES
        .iter()
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn limits_stand_in_the_text() {
    let caps = HostCaps::default();
    for text in [
        format!("`{SCHEMA}`"),
        format!("`{}`", crate::MANIFEST_FILE),
        format!("`{}`", crate::SIGNATURE_FILE),
        format!(
            "at most {} bytes, nested at most {} deep",
            crate::LARGEST_MANIFEST,
            crate::json::DEEPEST
        ),
        format!(
            "at most {} bytes, all listed files together at most {}",
            crate::LARGEST_FILE,
            crate::LARGEST_PACK
        ),
        format!(
            "at most {} bytes, parts of ASCII",
            crate::path::LONGEST_PATH
        ),
        format!("is exactly {} bytes", crate::signature::SIGNATURE_BYTES),
        format!("1 to {} pages of 64 KiB", caps.max_memory_pages),
        format!("1 to {} ticks", caps.max_epoch_ticks),
        format!("0 to {}, all tables together", caps.max_table_elements),
        format!(
            "| `kernels` | yes | 1 to {} |",
            crate::manifest::MOST_KERNELS
        ),
        format!(
            "tensors that are read, at most {}",
            crate::manifest::MOST_TENSORS
        ),
        format!(
            "tensors that are written, 1 to {}",
            crate::manifest::MOST_TENSORS
        ),
        format!("at most {} dimensions", crate::manifest::MOST_DIMENSIONS),
        format!("have at most {} entries", crate::manifest::MOST_NAMES),
        format!(
            "built with more features, at most {};",
            crate::manifest::MOST_VARIANTS
        ),
        format!("compiled forms, at most {}", crate::manifest::MOST_FILES),
        format!(
            "(vectors.md), at most {} files",
            crate::manifest::MOST_FILES
        ),
        format!(
            "more than {} parameters or {} locals",
            crate::module::MOST_PARAMETERS,
            crate::module::MOST_LOCALS
        ),
        format!(
            "or {} targets in a `br_table`",
            crate::module::MOST_BRANCH_TARGETS
        ),
        format!("is beyond {} |", crate::module::MOST_OPERAND_CHECKS),
    ] {
        assert!(PACK.contains(&text), "docs/pack.md does not say `{text}`");
    }
}
