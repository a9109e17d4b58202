//! Hands to the crate what measurements must state: the compiler, the build and, in release builds, the commit.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=ASSAY_RUSTC={version}");

    let variable = |name: &str| env::var(name).unwrap_or_default();
    println!("cargo::rustc-env=ASSAY_TARGET={}", variable("TARGET"));
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let flags = variable("CARGO_ENCODED_RUSTFLAGS").replace('\x1f', " ");
    println!(
        "cargo::rustc-env=ASSAY_BUILD={}, optimisation level {}, for {}, flags `{flags}`",
        variable("PROFILE"),
        variable("OPT_LEVEL"),
        variable("TARGET"),
    );

    // Looking at the tree makes every change of it a reason to build again, which developers' builds are spared.
    if variable("PROFILE") != "release" {
        return;
    }
    for path in ["../harness", "../runtimes", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    // Modules for WebAssembly are built beside their sources, in folders whose changes are none of the tree.
    for package in ["abi", "cases", "core", "pack", "reference", "guest/src"] {
        println!("cargo::rerun-if-changed=../kernels/{package}");
    }
    if let Some(folder) = output("git", &["rev-parse", "--absolute-git-dir"]) {
        println!("cargo::rerun-if-changed={folder}/HEAD");
        println!("cargo::rerun-if-changed={folder}/logs/HEAD");
    }
    if let Some(commit) = output("git", &["rev-parse", "HEAD"]) {
        println!("cargo::rustc-env=ASSAY_COMMIT={commit}");
        if let Some(status) = output("git", &["status", "--porcelain", "--", ".."]) {
            println!("cargo::rustc-env=ASSAY_CLEAN={}", status.is_empty());
        }
    }
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
