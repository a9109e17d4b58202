//! The C header of the ABI: it compiles without a warning, its layout is the crate's, and its checks give the status that the
//! kernels give. Tests that need a compiler are ignored; scripts/test-ignored runs those whose compiler is here.

#![allow(clippy::unwrap_used)] // tests say what they expect by unwrapping

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kernel_abi::{Descriptor, Region, params::Lora};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

type Failed = Box<dyn std::error::Error>;

const HEADER: &str = include_str!("../../../abi/include/kernel_abi.h");
const CHECKS: &str = include_str!("lora_checks.c");
const EMPTY: &str = "#include \"kernel_abi.h\"\nint nothing;\n";
const WARNINGS: [&str; 4] = ["-std=c11", "-Wall", "-Wextra", "-Werror"];

const NATIVE: &[&str] = &["cc"];
const WASM32: &[&str] = &["clang", "--target=wasm32", "-ffreestanding"];

mod needs_cc {
    use super::*;

    #[test]
    #[ignore = "needs cc"]
    fn it_takes_the_header() -> Result<(), Failed> {
        compile("native", NATIVE, HEADER)
    }

    #[test]
    #[ignore = "needs cc"]
    fn another_layout_does_not_compile() {
        for (index, (from, to)) in [
            ("uint32_t hidden;", "uint64_t hidden;"),
            ("    /* First input. */\n    KernelRegion input_a;\n", ""),
            (
                "#define KERNEL_INFO_SIZE 20u",
                "#define KERNEL_INFO_SIZE 24u",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let planted = replaced(from, to);
            let compiled = compile(&format!("layout{index}"), NATIVE, &planted);
            assert!(compiled.is_err(), "`{to}` in place of `{from}` compiles");
        }
    }

    #[test]
    #[ignore = "needs cc"]
    fn checks_give_the_statuses_of_the_kernel() -> Result<(), Failed> {
        let (cases, differing) = compare("checks", HEADER)?;
        assert_eq!(differing, 0, "of {cases} calls");
        Ok(())
    }

    #[test]
    #[ignore = "needs cc"]
    fn wrong_checks_are_found() -> Result<(), Failed> {
        for (index, (from, to)) in [
            (
                "region.size <= memory.end)",
                "region.size <= memory.end + 1)",
            ),
            (
                "(uint64_t)region.offset + region.size",
                "region.offset + region.size",
            ),
            (
                "region.offset >= memory.heap_base",
                "region.offset + 16 >= memory.heap_base",
            ),
            ("% KERNEL_REGION_ALIGNMENT == 0", "% 8 == 0"),
            (
                "one.offset < (uint64_t)other.offset + other.size",
                "one.offset <= other.offset",
            ),
            (
                "bytes > UINT32_MAX || bytes * count > UINT32_MAX ? KERNEL_NO_SIZE : bytes * count",
                "(uint32_t)(bytes * count)",
            ),
            ("j < i; j++", "j + 1 < i; j++"),
            ("scratch.size >= scratch", "scratch.size > scratch"),
            (
                "return KERNEL_INVALID_PARAMS;",
                "return KERNEL_INVALID_INPUT;",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let (_, differing) = compare(&format!("planted{index}"), &replaced(from, to))?;
            assert!(differing > 0, "`{to}` in place of `{from}` was not noticed");
        }
        Ok(())
    }
}

mod needs_clang {
    use super::*;

    #[test]
    #[ignore = "needs clang"]
    fn it_takes_the_header_for_wasm32() -> Result<(), Failed> {
        compile("wasm32", WASM32, HEADER)
    }
}

fn replaced(from: &str, to: &str) -> String {
    assert!(HEADER.contains(from), "{from}");
    HEADER.replacen(from, to, 1)
}

/// A folder for the files of a test, with the header in it.
fn folder(name: &str, header: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("c_header")
        .join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("kernel_abi.h"), header).unwrap();
    folder
}

fn compile(name: &str, compiler: &[&str], header: &str) -> Result<(), Failed> {
    let folder = folder(name, header);
    std::fs::write(folder.join("empty.c"), EMPTY)?;
    run(Command::new(compiler[0])
        .args(&compiler[1..])
        .args(WARNINGS)
        .args(["-c", "-o", "empty.o", "empty.c"])
        .current_dir(folder))
}

fn run(command: &mut Command) -> Result<(), Failed> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// One call: everything that its status depends on.
struct Call {
    memory: Vec<u8>,
    heap_base: u32,
    address: u32,
}

/// The number of calls, and of those whose status by the header differs from the kernel's.
fn compare(name: &str, header: &str) -> Result<(usize, usize), Failed> {
    let folder = folder(name, header);
    std::fs::write(folder.join("lora_checks.c"), CHECKS)?;
    run(Command::new("cc")
        .args(["-std=c11", "-O1", "-o", "lora_checks", "lora_checks.c"])
        .current_dir(&folder))?;
    let mut calls = calls();
    let mut input = Vec::new();
    for call in &calls {
        for word in [call.memory.len() as u32, call.heap_base, call.address] {
            input.extend(word.to_ne_bytes());
        }
        input.extend(&call.memory);
    }
    let mut program = Command::new(folder.join("lora_checks"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = program.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = program.wait_with_output()?;
    let written = writer.join().unwrap();
    if !output.status.success() {
        // Checks that let a call pass too far.
        return Ok((calls.len(), calls.len()));
    }
    written?;
    let statuses = output.stdout;
    assert_eq!(statuses.len(), calls.len());

    let kernel = kernel_core::kernel("lora_apply_f32").unwrap();
    let mut seen = [0; 5];
    let mut differing = 0;
    for (call, status) in calls.iter_mut().zip(statuses) {
        let expected = kernel.forward(&mut call.memory, call.heap_base, call.address);
        seen[expected.0 as usize] += 1;
        differing += usize::from(expected.0 != i32::from(status));
    }
    // What never happens is not compared.
    assert!(seen.iter().all(|count| *count >= 50), "{seen:?}");
    Ok((calls.len(), differing))
}

/// Calls with up to three words changed that a kernel would take otherwise; always the same.
fn calls() -> Vec<Call> {
    let mut runner = TestRunner::deterministic();
    // Ten words of the descriptor, five of the parameters, the address, the heap base.
    let change = (0..17usize, word());
    let changes = proptest::collection::vec(change, 0..=3);
    (0..20_000)
        .map(|_| call(&changes.new_tree(&mut runner).unwrap().current()))
        .collect()
}

const HEAP_BASE: u32 = 64;
const PAGES_END: u32 = 1024;

/// Values near those of a good call, near the ends of memory and of the numbers, and others.
fn word() -> impl Strategy<Value = u32> {
    let near = prop_oneof![
        Just(0),
        Just(16),
        Just(HEAP_BASE),
        Just(PAGES_END),
        Just(1 << 16),
        Just(1 << 31),
        (4..60u32).prop_map(|sixteenths| sixteenths * 16),
    ];
    let off = prop_oneof![
        Just(0),
        Just(0),
        Just(0),
        Just(2),
        Just(8),
        Just(16),
        Just(1),
        Just(u32::MAX),
        Just(u32::MAX - 15)
    ];
    prop_oneof![
        6 => (near, off).prop_map(|(near, off): (u32, u32)| near.wrapping_add(off)),
        2 => 0..40u32,
        1 => any::<u32>(),
    ]
}

/// A call that the kernel takes, but for the changes.
fn call(changes: &[(usize, u32)]) -> Call {
    let params = Lora {
        rows: 2,
        in_features: 4,
        rank: 2,
        out_features: 6,
        scale: 0.5,
    };
    let mut descriptor = Descriptor {
        input_a: Region::new(192, 32),
        input_b: Region::new(256, 80),
        output: Region::new(368, 48),
        scratch: Region::new(PAGES_END - 16, 16),
        params: Region::new(128, 20),
    }
    .to_le_bytes();
    let mut params = params.to_le_bytes();
    let (mut address, mut heap_base) = (HEAP_BASE, HEAP_BASE);
    for &(index, value) in changes {
        let bytes = value.to_le_bytes();
        match index {
            0..10 => descriptor[index * 4..][..4].copy_from_slice(&bytes),
            10..15 => params[(index - 10) * 4..][..4].copy_from_slice(&bytes),
            15 => address = value,
            _ => heap_base = value,
        }
    }
    let mut memory = vec![0; PAGES_END as usize];
    // Where the descriptor points, so that the change of a place alone does not make the parameters wrong.
    let word = |index: usize| u32::from_le_bytes(descriptor[index * 4..][..4].try_into().unwrap());
    for (at, bytes) in [(word(8), &params[..]), (address, &descriptor[..])] {
        if let Some(place) = memory
            .get_mut(at as usize..)
            .and_then(|m| m.get_mut(..bytes.len()))
        {
            place.copy_from_slice(bytes);
        }
    }
    Call {
        memory,
        heap_base,
        address,
    }
}
