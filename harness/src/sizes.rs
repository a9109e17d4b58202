//! No file above 500 lines and no function above 100: what is longer does more than one thing. The sources of all crates are read here.
//!
//! Sources are formatted, so a function ends at the first `}` that stands as deep as its first line.

#![allow(clippy::unwrap_used, reason = "a test whose helpers fail as tests do")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 100;

/// What may be longer, and why. An entry that is not longer any more fails the test: the list only shrinks.
const LONGER: &[(&str, &str)] = &[
    // Tables: a row for each case, check or message.
    ("harness/src/basics.rs: checks", "table"),
    ("kernels/cases/src/edge/kv.rs: pack_rows", "table"),
    ("kernels/cases/src/edge/lora.rs: rows", "table"),
    ("kernels/cases/src/edge/regions.rs: rows", "table"),
    ("kernels/cases/src/edge/rmsnorm.rs: rows", "table"),
    ("kernels/cases/src/edge/rope.rs", "tables"),
    ("kernels/cases/src/edge/rope.rs: angle_rows", "table"),
    ("kernels/cases/src/edge/rope.rs: parameter_rows", "table"),
    ("kernels/cases/src/edge/swiglu.rs: rows", "table"),
    (
        "kernels/pack/src/contract/tests.rs: what_is_wrong_is_refused_with_place_and_reason",
        "table",
    ),
    ("kernels/cases/src/truth/tests.rs: ordinary", "table"),
    ("kernels/cases/src/truth/tests/tolerances.rs", "tables"),
    (
        "kernels/cases/src/vectors/tests/damage.rs: each_damage_is_refused_with_the_case_and_what_is_wrong",
        "table",
    ),
    (
        "runtimes/api/src/suite/traps/cases.rs: memory_cases",
        "table",
    ),
    (
        "runtimes/worker/src/protocol/tests.rs: the_lines_are_those_of_the_documentation",
        "table",
    ),
    // Functions of modules are ordered by their paths: another place gives other bytes of the signed pack.
    ("kernels/core/src/rope.rs", "its modules are signed"),
];

/// All `.rs` files of a folder and those below it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}

/// The name of the function that a line begins, if it begins one with a body.
fn function(line: &str) -> Option<&str> {
    let words = line.trim_start();
    let (before, after) = words.split_once("fn ")?;
    let is_modifier = |word: &str| {
        ["pub", "const", "async", "unsafe", "extern"].contains(&word)
            || word.starts_with("pub(")
            || word.starts_with('"')
            || word.ends_with(')')
    };
    let declares = before.split_whitespace().all(is_modifier) && !line.trim_end().ends_with(';');
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_');
    declares.then_some(&after[..end.unwrap_or(after.len())])
}

/// What is too long in a file, as entries of [`LONGER`].
fn too_long(name: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    if lines.len() > LONGEST_FILE {
        found.push(name.to_owned());
    }
    for (start, line) in lines.iter().enumerate() {
        let Some(function) = function(line) else {
            continue;
        };
        let depth = line.len() - line.trim_start().len();
        let ends = |line: &&&str| line.get(depth..) == Some("}") && line.trim() == "}";
        let one_line = line.ends_with('}');
        let length = match lines[start..].iter().position(|line| ends(&line)) {
            Some(last) if !one_line => last + 1,
            _ => 1,
        };
        if length > LONGEST_FUNCTION {
            found.push(format!("{name}: {function}"));
        }
    }
    found
}

#[test]
fn files_and_functions_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("harness/src")];
    for group in ["runtimes", "kernels"] {
        let crates = fs::read_dir(root.join(group)).unwrap().map(Result::unwrap);
        folders.extend(crates.map(|entry| entry.path().join("src")));
    }
    folders.retain(|folder| folder.is_dir());
    assert!(folders.len() > 10, "the sources were not found");
    let mut found = BTreeSet::new();
    for path in folders.iter().flat_map(|folder| sources(folder)) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        found.extend(too_long(&name.replace('\\', "/"), &text));
    }
    let allowed: BTreeSet<String> = LONGER.iter().map(|(what, _)| (*what).to_owned()).collect();
    let more: Vec<_> = found.difference(&allowed).collect();
    assert!(more.is_empty(), "split what is too long: {more:#?}");
    let shorter: Vec<_> = allowed.difference(&found).collect();
    assert!(shorter.is_empty(), "take out of LONGER: {shorter:#?}");
}

#[test]
fn what_is_too_long_is_found() {
    let body = "    let x = 1;\n".repeat(LONGEST_FUNCTION);
    let long = format!("pub(crate) const fn long(\n    a: u8,\n) {{\n{body}}}\n");
    assert_eq!(too_long("a.rs", &long), ["a.rs: long"]);
    let inner = format!("impl A {{\n    unsafe fn inner() {{\n{body}    }}\n}}\n");
    assert_eq!(too_long("a.rs", &inner), ["a.rs: inner"]);
    let exactly = "    1;\n".repeat(LONGEST_FUNCTION - 2);
    let short = format!("fn fits() {{\n{exactly}}}\nfn one() {{}}\n");
    assert!(too_long("a.rs", &short).is_empty());
    let many = "// a\n".repeat(LONGEST_FILE + 1);
    assert_eq!(too_long("a.rs", &many), ["a.rs"]);
    assert_eq!(function("    let it = fn_pointer;"), None);
    assert_eq!(function("    fn declared(&self) -> u8;"), None);
}
