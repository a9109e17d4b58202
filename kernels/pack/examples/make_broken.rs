//! Writes the broken packs into a new folder: `cargo run -p kernel-pack --example make_broken DIR`. Its `index.json` is what
//! `fixtures/packs/broken.json` has to hold.
#![allow(missing_docs, clippy::unwrap_used)] // a generator of fixtures

#[path = "../tests/support/mod.rs"]
mod support;

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [folder] = arguments.as_slice() else {
        eprintln!("usage: make_broken DIR");
        return ExitCode::from(2);
    };
    let folder = Path::new(folder);
    if folder.exists() {
        eprintln!("make_broken: {} exists", folder.display());
        return ExitCode::from(2);
    }
    let index = support::defects::write_all(folder);
    println!("{} broken packs", index.as_array().unwrap().len());
    ExitCode::SUCCESS
}
