//! The C kernel of docs/writing-kernels.md: what stands there is the file, its command line compiles it, and the pre-pass takes
//! the module. Tests that compile are ignored; scripts/test-ignored runs them where clang and its linker for wasm32 are.

#![allow(clippy::unwrap_used)] // tests say what they expect by unwrapping

#[path = "../../abi/tests/markdown/mod.rs"]
mod markdown;

use std::path::{Path, PathBuf};
use std::process::Command;

use kernel_pack::{Code, ModuleFacts, ModuleRules, Rejection, inspect_module};

type Failed = Box<dyn std::error::Error>;

const DOCUMENT: &str = include_str!("../../../docs/writing-kernels.md");
const SOURCE: &str = include_str!("../../examples/c/scaled_residual_add_f32.c");

#[test]
fn the_document_shows_the_source() {
    assert_eq!(markdown::fenced(DOCUMENT, "c"), SOURCE);
}

mod needs_clang {
    use super::*;

    #[test]
    #[ignore = "needs clang and lld"]
    fn the_pre_pass_takes_the_module() -> Result<(), Failed> {
        let facts = inspect("as-documented", |_| {})??;
        // All of it lies in the stack and the name, two pages, and clang's empty table.
        assert_eq!((facts.memory_minimum_pages, facts.table_elements), (2, 1));
        assert!(!facts.has_backward && facts.features_used.is_empty());
        Ok(())
    }

    #[test]
    #[ignore = "needs clang and lld"]
    fn each_switch_avoids_its_refusal() -> Result<(), Failed> {
        refused("-Wl,--export=__heap_base", "", Code::ExportMissing)?;
        for (by, code) in [
            ("-Wl,--no-entry,--import-memory", Code::ImportForbidden),
            ("-Wl,--no-entry,--export-all", Code::ModuleInvalid),
            (
                "-Wl,--no-entry,--shared-memory,--max-memory=131072 -matomics -mbulk-memory",
                Code::ModuleInvalid,
            ),
            ("-Wl,--no-entry,-z,stack-size=1048576", Code::LimitExceeded),
        ] {
            refused("-Wl,--no-entry", by, code)?;
        }
        Ok(())
    }
}

/// Compiles with one switch replaced by others, and expects this refusal.
fn refused(switch: &str, by: &str, code: Code) -> Result<(), Failed> {
    let name = format!("{switch}-{by}").replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let result = inspect(&name, |words| {
        let at = words.iter().position(|word| word == switch).unwrap();
        words.splice(at..=at, by.split_whitespace().map(str::to_owned));
    })?;
    match result {
        Err(rejection) if rejection.code == code => Ok(()),
        other => Err(format!("`{by}` in place of `{switch}`: {other:?}, not {code}").into()),
    }
}

/// What the pre-pass says of the module that the document's command line, changed, makes.
fn inspect(
    name: &str,
    change: impl FnOnce(&mut Vec<String>),
) -> Result<Result<ModuleFacts, Rejection>, Failed> {
    let commands = markdown::fenced(DOCUMENT, "sh").replace("\\\n", " ");
    let line = commands
        .lines()
        .find(|line| line.starts_with("clang "))
        .unwrap();
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_kernel");
    std::fs::create_dir_all(&folder)?;
    let module: PathBuf = folder.join(name).with_extension("wasm");
    let output = words.iter().position(|word| word == "-o").unwrap() + 1;
    words[output] = module.display().to_string();
    change(&mut words);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let compiler = Command::new(&words[0])
        .args(&words[1..])
        .current_dir(root)
        .output()?;
    // -Wall and -Wextra have nothing to say.
    if !compiler.status.success() || !compiler.stderr.is_empty() {
        return Err(String::from_utf8_lossy(&compiler.stderr)
            .into_owned()
            .into());
    }
    let rules = ModuleRules {
        entry_point: kernel_abi::export::FORWARD,
        max_memory_pages: 4,
        max_table_elements: 1,
    };
    Ok(inspect_module(&std::fs::read(module)?, &rules))
}
