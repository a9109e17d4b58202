//! `assay pack new`: from an empty folder to a verdict, with nothing of this repository but the executable.

use crate::support::Home;
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

fn new(home: &Home, folder: &Path, language: &str) -> assert_cmd::assert::Assert {
    let mut command = home.assay();
    command.args(["pack", "new", "--language", language]);
    command.arg(folder).assert()
}

#[test]
fn a_new_folder_has_all_that_an_author_needs() {
    for (language, source) in [
        ("c", "scaled_square.c"),
        ("rust", "Cargo.toml"),
        ("zig", "kernel.zig"),
        ("assemblyscript", "scaled_square.ts"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("my-kernels");
        new(&Home::new(), &folder, language)
            .code(0)
            .stdout(contains("./build"));
        for file in ["README.md", "compile", "author.pub", source] {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            assert!(!text.contains("{{"), "{language}: {file}");
        }
        let mode = |file: &str| {
            fs::metadata(folder.join(file))
                .unwrap()
                .permissions()
                .mode()
        };
        assert_eq!(mode("build") & 0o100, 0o100);
        assert_eq!(mode("author.key") & 0o077, 0);
    }
}

#[test]
fn what_is_there_is_not_touched() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("notes"), "mine").unwrap();
    let home = Home::new();
    let full = place.path().to_owned();
    let bad_name = place.path().join("my kernels");
    for (folder, what) in [(&full, "pack"), (&bad_name, "name of the pack")] {
        // The name of a temporary folder may begin with a dot, which is no name of a pack.
        new(&home, folder, "c")
            .code(2)
            .stderr(contains(what).or(contains("not empty")));
    }
    new(&home, &place.path().join("other"), "cobol").code(2);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

mod needs_clang {
    use super::*;

    fn build(folder: &Path) {
        let output = std::process::Command::new(folder.join("build"))
            .env("ASSAY", env!("CARGO_BIN_EXE_assay"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn conform(home: &Home, folder: &Path) -> assert_cmd::assert::Assert {
        let mut command = home.assay();
        command
            .current_dir(folder)
            .args(["conform", "pack", "--trust", "author.pub"]);
        let engines = ["--runtime", "wasmtime.cranelift", "--runtime", "wasmi"];
        command.args(engines).args(["--cases", "16"]).assert()
    }

    #[test]
    #[ignore = "needs clang and lld"]
    fn from_an_empty_folder_to_a_verdict_and_to_another_formula() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("my-kernels");
        let home = Home::new();
        new(&home, &folder, "c").code(0);
        build(&folder);
        conform(&home, &folder)
            .code(0)
            .stdout(contains("the author's reference module"));

        // Another formula in the kernel alone is not what the reference says; in both it is a kernel of its own.
        let source = folder.join("scaled_square.c");
        let text = fs::read_to_string(&source).unwrap();
        let kernel = text.replace("return scale * x * x;", "return scale * x;");
        let both = kernel.replace("(double)scale * x * x", "(double)scale * x");
        assert!(kernel != text && both != kernel);
        for (text, exit, what) in [(kernel, 1, "L4"), (both, 0, "pass")] {
            fs::write(&source, text).unwrap();
            build(&folder);
            conform(&home, &folder).code(exit).stdout(contains(what));
        }
    }
}
