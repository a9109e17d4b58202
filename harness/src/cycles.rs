//! No cycle among the top-level modules: what the imports of `src/` say is read here, and a circle fails the test.
//!
//! A module that another one needs can be read, moved and tested without it only while no way leads back.

#![allow(clippy::unwrap_used, reason = "a test whose helpers fail as tests do")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Module -> the modules that it names.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// The text without comments. Strings stay: none of this crate's names a path of it.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// First segments of a path, or of each path of a group in braces.
fn heads(path: &str) -> Vec<&str> {
    let path = path.trim_start();
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(word(group[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(word(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

/// What a file names of its crate's root: by `crate::`, or by as many `super::` as lead there. `depth` is how many modules deep the file
/// stands; modules within it only make that more.
fn named(text: &str, depth: usize) -> Vec<String> {
    let text = without_comments(text);
    let to_root = "super::".repeat(depth);
    ["crate::", to_root.as_str()]
        .into_iter()
        .flat_map(|prefix| text.split(prefix).skip(1))
        .flat_map(heads)
        .filter(|head| !head.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads a folder of sources, `depth` modules deep; `top` is the top-level module that it belongs to.
fn read(folder: &Path, top: Option<&str>, depth: usize, edges: &mut Edges) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let own = top.unwrap_or(&name);
        if path.is_dir() {
            read(&path, Some(own), depth + 1, edges);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let depth = if name == "mod" { depth } else { depth + 1 };
            edges
                .entry(own.to_owned())
                .or_default()
                .extend(named(&text, depth));
        }
    }
}

/// Only what leads from one top-level module to another.
fn between(mut edges: Edges) -> Edges {
    let roots: BTreeSet<String> = ["lib", "main", "bin"].map(str::to_owned).into();
    edges.retain(|from, _| !roots.contains(from));
    let modules: BTreeSet<String> = edges.keys().cloned().collect();
    for (from, to) in &mut edges {
        to.retain(|to| to != from && modules.contains(to));
    }
    edges
}

/// A circle, by its modules; `None` if there is none.
fn circle(edges: &Edges) -> Option<Vec<String>> {
    fn go(edges: &Edges, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let here = way[way.len() - 1].clone();
        for next in edges.get(&here).into_iter().flatten() {
            if let Some(first) = way.iter().position(|module| module == next) {
                way.drain(..first);
                return true;
            }
            if !done.contains(next) {
                way.push(next.clone());
                if go(edges, way, done) {
                    return true;
                }
                way.pop();
            }
        }
        done.insert(here);
        false
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|module| {
        let mut way = vec![module.clone()];
        (!done.contains(module) && go(edges, &mut way, &mut done)).then_some(way)
    })
}

#[test]
fn no_way_leads_back_among_top_level_modules() {
    let mut edges = Edges::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    read(&sources, None, 0, &mut edges);
    let edges = between(edges);
    assert!(edges.len() > 15, "the sources were not found: {edges:?}");
    assert_eq!(circle(&edges), None, "{edges:#?}");
}

#[test]
fn every_way_to_name_a_module_is_seen_and_a_circle_is_found() {
    let seen = |text: &str, depth| named(text, depth);
    assert_eq!(seen("use crate::one::Two;", 1), ["one"]);
    assert_eq!(
        seen(
            "use crate::{\n    one::{self, Two},\n    two,\n    three::*,\n};",
            2
        ),
        ["one", "two", "three"]
    );
    assert_eq!(seen("fn a() { crate::one::b() }", 1), ["one"]);
    assert_eq!(
        seen("// use crate::one;\nuse super::super::two::Three;", 2),
        ["two"]
    );
    let edges = |pairs: &[(&str, &str)]| {
        let mut edges = Edges::new();
        for (from, to) in pairs {
            edges
                .entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned());
            edges.entry((*to).to_owned()).or_default();
        }
        between(edges)
    };
    let straight = [("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")];
    assert_eq!(circle(&edges(&straight)), None);
    let round = [straight.as_slice(), &[("d", "b")]].concat();
    assert_eq!(circle(&edges(&round)).unwrap(), ["b", "c", "d"]);
}
