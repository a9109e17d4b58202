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

/// A module with the function `f`: one type, one function without locals, these instructions and the end.
fn module(kind: &[u8], instructions: &[u8]) -> Vec<u8> {
    let section = |id: u8, content: &[u8]| {
        let mut bytes = vec![id, u8::try_from(content.len()).unwrap()];
        bytes.extend(content);
        assert!(content.len() < 0x80, "its length is one byte");
        bytes
    };
    let mut code = vec![1, u8::try_from(instructions.len() + 2).unwrap(), 0];
    code.extend(instructions);
    code.push(0x0b);
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[&[1, 0x60], kind].concat()),
        section(3, &[1, 0]),
        section(7, &[1, 1, b'f', 0, 0]),
        section(10, &code),
    ]
    .concat()
}

/// FMAXNM and FMINNM of the A64 instruction set, of scalars, then of vectors of 32 and 64 bits; the registers are masked out.
///
/// ```text
/// 0001_1110 ft1m_mmmm 0110_10nn_nnnd_dddd  FMAXNM, 0111_10 FMINNM; ft: 00 single, 01 double
/// 0q00_1110 0s1m_mmmm 1100_01nn_nnnd_dddd  FMAXNM.4S, FMAXNM.2D; 1s1 FMINNM; q: 128 bits
/// ```
fn is_fmaxnm_or_fminnm(word: u32) -> bool {
    (word & 0xffa0_ec00) == 0x1e20_6800 || (word & 0xbf20_fc00) == 0x0e20_c400
}

/// Those two give a NaN for a signalling NaN and a number, and order -0 before 0; the choice by a comparison gives the number, and
/// holds the zeros equal. Unchanged, WAMR's compiler lets LLVM take them for a choice between a value and a constant.
#[test]
fn a_choice_by_a_comparison_is_no_maximum_on_aarch64() {
    assert!(is_fmaxnm_or_fminnm(0x1e21_6800) && is_fmaxnm_or_fminnm(0x1e61_7800)); // s0, s0, s1; d0, d0, d1
    assert!(is_fmaxnm_or_fminnm(0x4e21_c400) && is_fmaxnm_or_fminnm(0x4ee1_c400)); // v0.4s, v0.4s, v1.4s; 2d, minimum
    assert!(!is_fmaxnm_or_fminnm(0x1e21_4800)); // fmax s0, s0, s1
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let choices = |kind: u8, constant: &[u8], comparisons: [u8; 4]| {
        let mut modules = Vec::new();
        for comparison in comparisons {
            let value = [0x20, 0]; // local.get 0
            let condition = [&value, constant, &[comparison]].concat();
            let select = [&value, constant, &condition, &[0x1b]].concat();
            let swapped = [constant, &value, &condition, &[0x1b]].concat();
            let negated = [constant, &value, &condition, &[0x45, 0x1b]].concat(); // i32.eqz
            let branches = [
                &condition,
                &[0x04, kind][..], // if (result f32 or f64)
                &value,
                &[0x05],
                constant,
                &[0x0b],
            ]
            .concat();
            for (name, code) in [
                ("select", select),
                ("select, swapped", swapped),
                ("select, negated", negated),
                ("if", branches),
            ] {
                modules.push((
                    format!("{name} {comparison:#x} {constant:x?}"),
                    module(&[1, kind, 1, kind], &code),
                ));
            }
        }
        modules
    };
    let mut modules = Vec::new();
    for constant in [0.0_f32, 1.5] {
        let bytes = [&[0x43], &constant.to_le_bytes()[..]].concat(); // f32.const
        modules.extend(choices(0x7d, &bytes, [0x5d, 0x5e, 0x5f, 0x60])); // f32.lt gt le ge
        let bytes = [&[0x44], &f64::from(constant).to_le_bytes()[..]].concat(); // f64.const
        modules.extend(choices(0x7c, &bytes, [0x63, 0x64, 0x65, 0x66])); // f64.lt gt le ge
        let singles = constant.to_le_bytes().repeat(4);
        let doubles = f64::from(constant).to_le_bytes().repeat(2);
        for (name, lanes, code) in [
            ("f32x4.pmin", &singles, [0xfd, 0xea, 0x01]),
            ("f32x4.pmax", &singles, [0xfd, 0xeb, 0x01]),
            ("f64x2.pmin", &doubles, [0xfd, 0xf6, 0x01]),
            ("f64x2.pmax", &doubles, [0xfd, 0xf7, 0x01]),
        ] {
            let constant_first = [&[0xfd, 0x0c], &lanes[..], &[0x20, 0], &code].concat(); // v128.const, local.get 0
            modules.push((
                name.to_owned(),
                module(&[1, 0x7b, 1, 0x7b], &constant_first),
            ));
        }
    }
    let mut found = Vec::new();
    for (name, bytes) in modules {
        fs::write(path.join("in.wasm"), bytes).unwrap();
        let done = run(
            &["--target", "aarch64", "--simd", "in.wasm", "out.aot"],
            path,
        );
        assert!(done.status.success(), "{name}: {done:?}");
        // The file is little but code, and no text or table in it has such words.
        let code = fs::read(path.join("out.aot")).unwrap();
        if code
            .chunks_exact(4)
            .any(|word| is_fmaxnm_or_fminnm(u32::from_le_bytes(word.try_into().unwrap())))
        {
            found.push(name);
        }
    }
    assert!(found.is_empty(), "{found:?}");
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
