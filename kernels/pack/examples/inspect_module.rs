//! `inspect_module MODULE.wasm [ENTRY_POINT]`: what the pre-pass says of a module, with the host's own limits.

use std::process::ExitCode;

use kernel_pack::{HostCaps, LARGEST_FILE, ModuleRules, inspect_module};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: inspect_module MODULE.wasm [ENTRY_POINT]");
        return ExitCode::from(2);
    };
    let entry_point = arguments.next();
    let caps = HostCaps::default();
    let rules = ModuleRules {
        entry_point: entry_point
            .as_deref()
            .unwrap_or(kernel_abi::export::FORWARD),
        max_memory_pages: caps.max_memory_pages,
        max_table_elements: caps.max_table_elements,
    };
    match std::fs::metadata(&path).and_then(|metadata| match metadata.len() {
        0..=LARGEST_FILE => std::fs::read(&path),
        _ => Err(std::io::ErrorKind::FileTooLarge.into()),
    }) {
        Ok(bytes) => match inspect_module(&bytes, &rules) {
            Ok(facts) => {
                println!("{facts:#?}");
                ExitCode::SUCCESS
            }
            Err(rejection) => {
                println!("{rejection}");
                ExitCode::from(3)
            }
        },
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::from(2)
        }
    }
}
