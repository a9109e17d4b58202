//! Tells the program with what it was built.

use std::{env, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    println!(
        "cargo:rustc-env=LLM_RUSTC={}",
        version.as_deref().unwrap_or("unknown").trim()
    );
    println!("cargo:rerun-if-env-changed=CARGO_PROFILE_RELEASE_LTO");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut flags = vec![flags.replace('\u{1f}', " ")];
    flags.extend(env::var("CARGO_PROFILE_RELEASE_LTO").map(|lto| format!("lto={lto}")));
    flags.retain(|flag| !flag.is_empty());
    println!("cargo:rustc-env=LLM_FLAGS={}", flags.join(" "));
}
