//! The command as others start it.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// `(module (func (export "f") (param i32) (result i32) local.get 0))`
const MODULE: &[u8] =
    b"\0asm\x01\0\0\0\x01\x06\x01`\x01\x7f\x01\x7f\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x06\x01\x04\0\x20\0\x0b";

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay-wamrc"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn every_target_gives_the_same_code_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("in.wasm"), MODULE).unwrap();
    let mut codes = Vec::new();
    for target in ["x86_64", "aarch64", "armv7"] {
        let compile = |output: &str| {
            let done = run(&["--target", target, "--simd", "in.wasm", output], path);
            assert!(done.status.success(), "{target}: {done:?}");
            assert!(done.stdout.is_empty() && done.stderr.is_empty(), "{done:?}");
            fs::read(path.join(output)).unwrap()
        };
        let code = compile("one.aot");
        assert!(code.starts_with(b"\0aot"));
        assert!(
            code == compile("two.aot"),
            "{target}: code differs from run to run"
        );
        codes.push(code);
    }
    assert!(codes[0] != codes[1] && codes[1] != codes[2]);
    assert_eq!(files(path), ["in.wasm", "one.aot", "two.aot"]);
}

/// Unchanged, WAMR's compiler ended with an abort of LLVM for targets other than x86_64.
#[test]
fn vectors_are_narrowed_on_targets_that_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // `(module (func (export "f") (param v128 v128) (result v128) local.get 0 local.get 1 NARROW))`
    let instructions = [
        ("i8x16.narrow_i16x8_s", 0x65),
        ("i8x16.narrow_i16x8_u", 0x66),
        ("i16x8.narrow_i32x4_s", 0x85),
        ("i16x8.narrow_i32x4_u", 0x86),
    ];
    for (name, code) in instructions {
        let mut module = b"\0asm\x01\0\0\0\x01\x07\x01\x60\x02\x7b\x7b\x01\x7b\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x0b\x01\x09\0\x20\0\x20\x01\xfd".to_vec();
        module.extend([code | 0x80, code >> 7, 0x0b]);
        fs::write(path.join("in.wasm"), module).unwrap();
        for target in ["x86_64", "aarch64"] {
            let done = run(&["--target", target, "--simd", "in.wasm", "out.aot"], path);
            assert!(done.status.success(), "{name}, {target}: {done:?}");
        }
    }
}

#[test]
fn bad_input_is_one_line_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut invalid = MODULE.to_vec();
    let last = invalid.len() - 3;
    invalid[last] = 0x41; // i32.const for local.get, whose operand then is too short
    invalid[last + 1] = 0x80;
    for (name, bytes) in [
        ("empty.wasm", &b""[..]),
        ("text.wasm", b"(module)"),
        ("code.wasm", b"\0aot\x05\0\0\0"),
        ("component.wasm", b"\0asm\x0d\0\x01\0"),
        ("cut.wasm", &MODULE[..20]),
        ("huge.wasm", b"\0asm\x01\0\0\0\x01\x05\xff\xff\xff\xff\x0f"),
        ("invalid.wasm", &invalid),
    ] {
        fs::write(path.join(name), bytes).unwrap();
        let done = run(&[name, "out.aot"], path);
        assert_eq!(done.status.code(), Some(1), "{name}: {done:?}");
        let words = String::from_utf8(done.stderr).unwrap();
        assert!(
            words.starts_with(name) && words.lines().count() == 1,
            "{words}"
        );
        assert!(done.stdout.is_empty());
        assert_eq!(files(path), [name]);
        fs::remove_file(path.join(name)).unwrap();
    }
    let done = run(&["absent.wasm", "out.aot"], path);
    assert_eq!(done.status.code(), Some(1));
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["in.wasm"],
        &["in.wasm", "out.aot", "more"],
        &["--target", "z80", "in.wasm", "out.aot"],
        &["--target"],
        &["--fast", "in.wasm", "out.aot"],
    ] {
        let done = run(arguments, folder.path());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
    }
}
