//! `wasi-runner [--dir FOLDER]... MODULE [ARGUMENT]...`: runs a WASI program under wasmtime.
//!
//! The program sees, each under its own path, the folders that are named, and the checkout: the nearest folder from the current one
//! upwards that has a `Cargo.lock`. The current folder is its current folder, and `/tmp` is an empty folder that ends with it. It
//! gets stdin, stdout, stderr, the arguments, and the environment variables of this project's tests. Its exit code is passed on; 134
//! stands for a trap, 125 for a failure of the runner itself.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};
use wasmtime::{Config, Engine, Linker, Module, Result, Store, Strategy, bail, error::Context};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder, p1};

/// Beginnings of the names of variables that are passed on.
const VARIABLES: [&str; 5] = ["ASSAY_", "CARGO_", "INSTA_", "PROPTEST_", "RUST_"];
/// Bytes of stack for the program's calls, as much as a process has usually.
const STACK: usize = 8 << 20;

const TRAPPED: u8 = 134;
const FAILED: u8 = 125;

fn main() -> ExitCode {
    // The stack of the main thread may be smaller than what the program is promised.
    let ran = thread::Builder::new()
        .stack_size(STACK * 2)
        .spawn(run)
        .map(|thread| thread.join());
    match ran {
        Ok(Ok(Ok(code))) => code,
        Ok(Ok(Err(error))) => {
            eprintln!("wasi-runner: {error:#}");
            ExitCode::from(FAILED)
        }
        Ok(Err(_)) => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("wasi-runner: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = env::args();
    arguments.next();
    let mut folders = Vec::new();
    let path = loop {
        match arguments.next() {
            None => bail!("usage: wasi-runner [--dir FOLDER]... MODULE [ARGUMENT]..."),
            Some(option) if option == "--dir" => match arguments.next() {
                Some(folder) => folders.push(PathBuf::from(folder)),
                None => bail!("--dir takes a folder"),
            },
            Some(path) => break path,
        }
    };

    let mut config = Config::new();
    // Each module runs once, and is large: what counts is how soon it runs. Winch was tried on x86_64 only.
    if cfg!(target_arch = "x86_64") {
        config.strategy(Strategy::Winch);
    }
    config.max_wasm_stack(STACK).async_stack_size(STACK * 2);
    let engine = Engine::new(&config)?;
    let module =
        Module::from_file(&engine, &path).with_context(|| format!("failed to compile `{path}`"))?;
    if module.imports().any(|import| import.module() == "assay") {
        bail!(
            "`{path}` was built with the feature `browser` of assay: it needs a page around it, and this is none"
        );
    }

    let scratch = tempfile::tempdir()?;
    let current = env::current_dir()?;
    let checkout = current
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file())
        .unwrap_or(&current);
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio()
        .arg(&path)
        .args(&arguments.collect::<Vec<_>>());
    let mut see = |host: &Path, guest: &str| -> Result<()> {
        wasi.preopened_dir(host, guest, FsPerms::ReadWrite)
            .with_context(|| format!("failed to open `{}`", host.display()))?;
        Ok(())
    };
    see(&current, ".")?;
    see(scratch.path(), "/tmp")?;
    for folder in folders.iter().map(PathBuf::as_path).chain([checkout]) {
        let folder = std::path::absolute(folder)?;
        let Some(guest) = folder.to_str() else {
            bail!("`{}` is not UTF-8", folder.display());
        };
        see(&folder, guest)?;
    }
    for (name, value) in env::vars() {
        if VARIABLES.iter().any(|prefix| name.starts_with(prefix)) {
            wasi.env(&name, &value);
        }
    }
    // insta would ask cargo for it, which cannot be started.
    if env::var_os("INSTA_WORKSPACE_ROOT").is_none() {
        wasi.env("INSTA_WORKSPACE_ROOT", &checkout.to_string_lossy());
    }

    let mut linker = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |context| context)?;
    let mut store = Store::new(&engine, wasi.build_p1());
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    match start.call(&mut store, ()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(ExitCode::from(u8::try_from(exit.0).unwrap_or(FAILED))),
            None => {
                eprintln!("wasi-runner: {error:?}");
                Ok(ExitCode::from(TRAPPED))
            }
        },
    }
}
