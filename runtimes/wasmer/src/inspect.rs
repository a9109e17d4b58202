//! What wasmer's LLVM compiler makes of a module, as text.

use crate::{engine, translate};
use runtime_api::{Error, Form, Options, Result};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use wasmer_compiler_llvm::LLVMCallbacks;

/// One text for all functions and trampolines, each headed by the name that wasmer gives it.
pub(crate) fn inspect(wasm: &[u8], options: &Options, form: Form) -> Result<String> {
    let ending = match form {
        Form::LlvmIrUnoptimized => ".preopt.ll",
        Form::LlvmIr => ".postopt.ll",
        Form::Asm => ".s",
        Form::Clif => return Err(Error::unsupported("wasmer.llvm does not use Cranelift")),
    };
    let unusable = |error: io::Error| Error::Adapter {
        message: format!("a folder for LLVM's output cannot be used: {error}"),
    };
    let folder = tempfile::tempdir().map_err(unusable)?;
    let callbacks = LLVMCallbacks::new(folder.path().to_owned()).map_err(unusable)?;
    translate(&engine(options, Some(callbacks)), wasm)?;
    collect(folder.path(), ending).map_err(unusable)
}

fn collect(folder: &Path, ending: &str) -> io::Result<String> {
    let mut files = Vec::new();
    // wasmer makes a folder for each module.
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if let Some(name) = name.strip_suffix(ending) {
                files.push((name.to_owned(), fs::read_to_string(entry.path())?));
            }
        }
    }
    files.sort();
    Ok(files
        .into_iter()
        .map(|(name, text)| format!("; {name}\n{text}\n"))
        .collect())
}
