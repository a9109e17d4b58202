//! What wasmtime makes of a module, as text.

use crate::{
    config::{self, Strategy},
    translate,
};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use capstone::{Capstone, arch, arch::BuildsCapstone as _};
use pulley_interpreter::disas::Disassembler;
use runtime_api::{Error, Options, Result};
use std::{fmt::Write as _, fs, io};
use wasmtime::Module;

/// The CLIF of every function and trampoline.
pub(crate) fn clif(strategy: Strategy, wasm: &[u8], options: &Options) -> Result<String> {
    if strategy == Strategy::Winch {
        return Err(Error::unsupported(
            "Winch compiles in one pass, without an intermediate representation",
        ));
    }
    let folder = tempfile::tempdir().map_err(|error| unreadable(&error))?;
    let engine = config::engine(
        strategy,
        options.metering,
        options.limits.max_stack_bytes,
        Some(folder.path()),
    )?;
    translate(&engine, wasm)?;
    let texts = (|| {
        let mut texts = Vec::new();
        for entry in fs::read_dir(folder.path())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            texts.push((name, fs::read_to_string(entry.path())?));
        }
        io::Result::Ok(texts)
    })();
    let mut texts = texts.map_err(|error| unreadable(&error))?;
    texts.sort();
    Ok(texts
        .into_iter()
        .map(|(name, text)| format!(";; {name}\n{text}\n"))
        .collect())
}

fn unreadable(error: &io::Error) -> Error {
    Error::Adapter {
        message: format!("a folder for Cranelift's output cannot be used: {error}"),
    }
}

/// The instructions of every function, with their offsets in the module's code.
pub(crate) fn asm(strategy: Strategy, module: &Module) -> Result<String> {
    let code = module.text();
    let mut text = String::new();
    for function in module.functions() {
        let bytes = code
            .get(function.offset..function.offset + function.len)
            .unwrap_or_default();
        let index = function.index.as_u32();
        let name = function.name.as_deref().unwrap_or("without a name");
        // Writing to a string cannot fail.
        let _ = writeln!(text, ";; function {index}, {name}, {} bytes", bytes.len());
        text.push_str(&instructions(strategy, bytes, function.offset)?);
        text.push('\n');
    }
    Ok(text)
}

fn instructions(strategy: Strategy, code: &[u8], offset: usize) -> Result<String> {
    if strategy == Strategy::Pulley {
        let failed = |error| Error::Adapter {
            message: format!("Pulley's own bytecode cannot be decoded: {error:?}"),
        };
        let mut disassembler = Disassembler::new(code);
        disassembler
            .offsets(true)
            .hexdump(false)
            .start_offset(offset);
        pulley_interpreter::decode::Decoder::decode_all(&mut disassembler).map_err(failed)?;
        return Ok(disassembler.disas().to_owned());
    }
    machine_instructions(code, offset)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn machine_instructions(_: &[u8], _: usize) -> Result<String> {
    Err(Error::unsupported(
        "the disassembler knows x86_64 and aarch64 only",
    ))
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn machine_instructions(code: &[u8], offset: usize) -> Result<String> {
    let failed = |error: capstone::Error| Error::Adapter {
        message: format!("the code cannot be disassembled: {error}"),
    };
    let mut disassembler = if cfg!(target_arch = "x86_64") {
        Capstone::new()
            .x86()
            .mode(arch::x86::ArchMode::Mode64)
            .build()
            .map_err(failed)?
    } else {
        Capstone::new()
            .arm64()
            .mode(arch::arm64::ArchMode::Arm)
            .build()
            .map_err(failed)?
    };
    // Constants stand between instructions.
    disassembler.set_skipdata(true).map_err(failed)?;
    let mut text = String::new();
    for instruction in disassembler
        .disasm_all(code, offset as u64)
        .map_err(failed)?
        .iter()
    {
        let line = format!(
            "{:8x}: {} {}",
            instruction.address(),
            instruction.mnemonic().unwrap_or("?"),
            instruction.op_str().unwrap_or("")
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(text)
}
