//! `wamr.aot` without a compiler: a folder of what one made on another machine. Here the other machine is this one.

#![cfg(unix)]

use crate::common;
use runtime_api::{Budget, BudgetKind, COMPILED_ELSEWHERE, Error, Limits, Options, Runtime};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

fn options() -> Options {
    Options {
        limits: Limits::default(),
        metering: BudgetKind::None,
    }
}

fn answering(value: i32) -> Vec<u8> {
    let text = format!(r#"(module (func (export "run") (result i32) (i32.const {value})))"#);
    wat::parse_str(text).unwrap()
}

fn run(engine: &dyn Runtime, wasm: &[u8]) -> Result<i32, Error> {
    let module = engine.compile(wasm, &options())?;
    let mut instance = module.instantiate(Budget::None)?;
    let entry = instance.entry("run", 0)?;
    instance.call(entry, &[], Budget::None)
}

fn hex(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

/// A compiler that keeps what it is given in `modules`.
fn recorder(compiler: &Path, folder: &Path) -> PathBuf {
    let modules = folder.join("modules");
    fs::create_dir(&modules).unwrap();
    let script = folder.join("recorder");
    let text = format!(
        "#!/bin/sh\nfor word; do case $word in *.wasm) cp \"$word\" \"$(mktemp '{}/XXXXXX')\";; esac; done\nexec '{}' \"$@\"\n",
        modules.display(),
        compiler.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

/// The index of all modules that were kept, whose code is compiled into the folder.
fn index(compiler: &Path, folder: &Path) -> String {
    let mut index = format!("compiler of the test\ntarget {}\n", std::env::consts::ARCH);
    for module in fs::read_dir(folder.join("modules")).unwrap() {
        let module = module.unwrap().path();
        let name = hex(&module);
        let code = folder.join(format!("{name}.aot"));
        let done = Command::new(compiler)
            .arg("--simd")
            .args([&module, &code])
            .status()
            .unwrap();
        assert!(done.success());
        writeln!(index, "{name} {}", hex(&code)).unwrap();
    }
    index
}

mod needs_wamrc {
    use super::*;

    #[test]
    #[ignore = "needs assay-wamrc"]
    fn a_folder_takes_the_compilers_place_for_what_is_in_it() {
        let (with_compiler, compiler) = (common::aot(), common::compiler());
        let files = tempfile::tempdir().unwrap();
        let folder = files.path();
        let recording = runtime_wamr::aot(&recorder(&compiler, folder)).unwrap();
        assert_eq!(run(&*recording, &answering(7)), Ok(7));
        let index = index(&compiler, folder);
        fs::write(folder.join("index"), &index).unwrap();

        let engine = runtime_wamr::aot(folder).unwrap();
        assert_eq!(run(&*engine, &answering(7)), Ok(7));
        let info = engine.info();
        assert!(info.build.contains_key(COMPILED_ELSEWHERE));
        assert_eq!(info.capabilities, with_compiler.info().capabilities);
        // Not "unsupported", which a verdict could leave out.
        let missing = run(&*engine, &answering(8)).unwrap_err();
        assert!(matches!(missing, Error::Adapter { .. }), "{missing}");
        // What no engine takes is refused as ever.
        let invalid = run(&*engine, b"\0asm\x01\0\0\0\x0b").unwrap_err();
        assert!(matches!(invalid, Error::Rejected { .. }), "{invalid}");
        let other = engine.precompile_for("armv7", &answering(7), &options());
        assert!(matches!(other, Err(Error::Unsupported { .. })), "{other:?}");

        // An engine that cannot tell its features does not start with fewer.
        let nothing: String = index
            .lines()
            .take(2)
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(folder.join("index"), nothing).unwrap();
        let opened = runtime_wamr::aot(folder).err().unwrap();
        assert!(matches!(opened, Error::Adapter { .. }), "{opened}");
    }
}
