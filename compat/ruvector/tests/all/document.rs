//! `docs/compatibility.md` names the tests that its statements rest on.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

/// The tests of this folder, as the page names them.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all");
    let mut names = BTreeSet::new();
    for file in read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        for item in read_to_string(&path)
            .unwrap()
            .split("\n#[test]\nfn ")
            .skip(1)
        {
            names.insert(format!("{module}::{}", item.split('(').next().unwrap()));
        }
    }
    names
}

#[test]
fn the_page_names_every_test_and_no_other() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    let page = read_to_string(page).unwrap();
    let modules: BTreeSet<_> = tests()
        .iter()
        .map(|name| name.split("::").next().unwrap().to_owned())
        .collect();
    // What stands in `code` is every second part.
    let named: BTreeSet<_> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| {
            code.split_once("::")
                .is_some_and(|(module, _)| modules.contains(module))
        })
        .map(str::to_owned)
        .collect();
    let mut asserted = tests();
    assert!(asserted.remove("document::the_page_names_every_test_and_no_other"));
    assert_eq!(named, asserted);
}
