//! WAMR 2.4.3 behind the engine traits: `wamr.fast`, its fast interpreter, and `wamr.aot`, its runtime for modules that
//! the project's own build of WAMR's compiler turned into machine code.
//!
//! # How it is built, and what is absent without which command
//! The crate wamrx-sys builds WAMR's C sources with CMake and its bindings with libclang:
//! `apt-get install cmake libclang-dev`. That alone gives `wamr.fast` without SIMD.
//!
//! SIMD (through SIMDe) and the loader of ahead-of-time compiled modules are not among that crate's features. The
//! variable `CMAKE_TOOLCHAIN_FILE=<repository>/runtimes/wamr/toolchain.cmake` adds them: the loader always, SIMD if
//! `apt-get install libsimde-dev` has been there. What the linked library has is asked at run time and told in
//! [`Info`].
//!
//! `wamr.aot` also needs the compiler: the crate `wamr-compiler`, which needs LLVM 22 (`apt-get install llvm-22-dev`).
//!
//! # What differs from an embedding that uses WAMR as it comes
//! Modules are rewritten before WAMR sees them: `prepare.rs` says how and why. Calls are stopped by a watchdog thread
//! through `wasm_runtime_terminate`; loops, branches and calls look for its flag, in the interpreter as in machine code.
//! Hardware bounds checks, which need signal handlers of the process, are off. The runtime's state is one per process.

mod aot;
mod elsewhere;
mod exceptions;
mod ffi;
mod instance;
mod prepare;
mod tables;
mod watchdog;

use crate::{
    aot::Compiler, elsewhere::Folder, instance::Module, prepare::Prepared, watchdog::Watchdog,
};
use runtime_api::{
    BudgetKind, CODE_TARGET, Capabilities, Error, Info, Kind, Options, Result, Stage, TrustedCode,
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

/// The fast interpreter.
///
/// # Errors
/// [`Error::Adapter`] if WAMR cannot be set up.
pub fn fast() -> Result<Box<dyn runtime_api::Runtime>> {
    let engine = Wamr::new("wamr.fast", Kind::Interpreter, None)?;
    Ok(Box::new(engine))
}

/// Machine code made by `compiler`, and run by WAMR: an `assay-wamrc`, or a folder of what one made on another machine.
///
/// # Errors
/// [`Error::Unsupported`] if the linked WAMR has no loader for it, [`Error::Adapter`] if WAMR cannot be set up, the
/// compiler does not answer, or the folder lacks what tells the features of the engine.
pub fn aot(compiler: &Path) -> Result<Box<dyn runtime_api::Runtime>> {
    if !start()?.loads_aot() {
        return Err(Error::unsupported(
            "this build of WAMR has no loader for machine code: build with runtimes/wamr/toolchain.cmake, as .cargo/config.toml does",
        ));
    }
    let origin = if compiler.is_dir() {
        Origin::Elsewhere(Folder::open(compiler)?)
    } else {
        // What the interpreter can do is what the library was built with, and what the loader takes.
        let simd = Wamr::new("wamr.fast", Kind::Interpreter, None)?.has("simd");
        Origin::Here(Compiler::new(compiler, simd)?)
    };
    let engine = Wamr::new("wamr.aot", Kind::Aot, Some(origin))?;
    // An engine of which it was not asked whether it has a feature must not pass for one without it.
    if let Some(Origin::Elsewhere(folder)) = &engine.origin
        && folder.missed()
    {
        return Err(adapter(format!(
            "{}: the modules that tell the engine's features were not compiled",
            compiler.display()
        )));
    }
    Ok(Box::new(engine))
}

/// What machine code is for, as manifests and compilers say it.
pub(crate) const MACHINE: &str = if cfg!(target_arch = "arm") {
    "armv7"
} else {
    std::env::consts::ARCH
};

/// Where machine code comes from.
enum Origin {
    /// A compiler on this machine.
    Here(Compiler),
    /// Another machine.
    Elsewhere(Folder),
}

impl Origin {
    fn description(&self) -> [(String, String); 2] {
        match self {
            Origin::Here(compiler) => compiler.description(),
            Origin::Elsewhere(folder) => folder.description(),
        }
    }
}

fn start() -> Result<ffi::Runtime> {
    ffi::Runtime::new().map_err(adapter)
}

fn rejected(message: String) -> Error {
    Error::Rejected {
        stage: Stage::Compile,
        message,
    }
}

fn adapter(message: impl ToString) -> Error {
    Error::Adapter {
        message: message.to_string(),
    }
}

/// The loader for bytecode, which validates, is asked first, because a compiler's process is dear.
fn machine_code(runtime: ffi::Runtime, origin: &Origin, prepared: &Prepared) -> Result<Vec<u8>> {
    runtime.load(prepared.wasm.clone()).map_err(rejected)?;
    match origin {
        Origin::Here(compiler) => compiler.compile(&prepared.wasm),
        Origin::Elsewhere(folder) => folder.code(&prepared.wasm),
    }
}

struct Wamr {
    runtime: ffi::Runtime,
    /// Where its machine code comes from; `None` for the interpreter.
    origin: Option<Origin>,
    /// Starts with the first module that has budgets in time: until then this process has one thread, and can give up its rights.
    watchdog: OnceLock<Arc<Watchdog>>,
    info: Info,
}

impl Wamr {
    fn new(id: &str, kind: Kind, origin: Option<Origin>) -> Result<Self> {
        let runtime = start()?;
        let mut build: BTreeMap<String, String> = [
            ("bindings", "wamrx-sys 0.3.0"),
            ("hardware bounds checks", "off"),
            ("thread manager", "on"),
            ("native heap in linear memory", "none"),
            (
                "module",
                "rewritten: exports renamed, start called by the adapter, maxima lowered to the limits",
            ),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        let loads = if runtime.loads_aot() { "on" } else { "off" };
        build.insert("loader for machine code".to_owned(), loads.to_owned());
        match &origin {
            Some(origin) => {
                build.extend(origin.description());
                build.insert(CODE_TARGET.to_owned(), MACHINE.to_owned());
            }
            None => {
                build.insert("interpreter".to_owned(), "fast".to_owned());
            }
        }
        let mut engine = Self {
            runtime,
            origin,
            watchdog: OnceLock::new(),
            info: Info {
                id: id.to_owned(),
                engine: "wamr".to_owned(),
                version: runtime.version(),
                kind,
                build,
                capabilities: Capabilities {
                    features: Vec::new(),
                    budgets: vec![BudgetKind::None, BudgetKind::Epoch],
                    interruption: "a watchdog thread calls wasm_runtime_terminate".to_owned(),
                    memory_limit: true,
                    table_limit: true,
                    stack_limit: true,
                },
            },
        };
        engine.info.capabilities.features = runtime_api::probe_features(&engine);
        let simd = if engine.has("simd") { "on" } else { "off" };
        engine.info.build.insert("SIMD".to_owned(), simd.to_owned());
        Ok(engine)
    }

    fn has(&self, feature: &str) -> bool {
        let features = &self.info.capabilities.features;
        features.iter().any(|known| known == feature)
    }
}

impl runtime_api::Runtime for Wamr {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn runtime_api::Module>> {
        let prepared = self.prepare(wasm, options)?;
        match &self.origin {
            None => {
                let loaded = self.runtime.load(prepared.wasm.clone()).map_err(rejected)?;
                self.module(prepared, loaded, None, options)
            }
            Some(origin) => {
                let code = machine_code(self.runtime, origin, &prepared)?;
                self.load_machine_code(prepared, code, options)
            }
        }
    }

    fn precompile(&self, wasm: &[u8], options: &Options) -> Result<Vec<u8>> {
        let origin = self.origin()?;
        machine_code(self.runtime, origin, &self.prepare(wasm, options)?)
    }

    fn precompile_for(&self, target: &str, wasm: &[u8], options: &Options) -> Result<Vec<u8>> {
        let origin = match self.origin()? {
            Origin::Here(compiler) => Origin::Here(compiler.for_target(target)?),
            Origin::Elsewhere(_) => {
                return Err(Error::unsupported(
                    "no compiler is here, but what one made on another machine",
                ));
            }
        };
        machine_code(self.runtime, &origin, &self.prepare(wasm, options)?)
    }

    fn code_identity(&self, _options: &Options) -> Result<Vec<u8>> {
        match self.origin()? {
            Origin::Here(compiler) => compiler.identity(),
            Origin::Elsewhere(folder) => Ok(folder.identity()),
        }
    }

    fn load_code(
        &self,
        wasm: &[u8],
        code: TrustedCode<'_>,
        options: &Options,
    ) -> Result<Box<dyn runtime_api::Module>> {
        self.origin()?;
        let prepared = self.prepare(wasm, options)?;
        self.load_machine_code(prepared, code.bytes().to_vec(), options)
    }
}

impl Wamr {
    fn prepare(&self, wasm: &[u8], options: &Options) -> Result<Prepared> {
        if !self.info.capabilities.budgets.contains(&options.metering) {
            return Err(Error::unsupported(
                "WAMR counts instructions in a special build of its slower interpreter only",
            ));
        }
        prepare::prepare(wasm, &options.limits).map_err(rejected)
    }

    fn origin(&self) -> Result<&Origin> {
        self.origin
            .as_ref()
            .ok_or_else(|| Error::unsupported("the interpreter has no compiled form to keep"))
    }

    fn load_machine_code(
        &self,
        prepared: Prepared,
        code: Vec<u8>,
        options: &Options,
    ) -> Result<Box<dyn runtime_api::Module>> {
        let code_bytes = Some(code.len() as u64);
        let loaded = self.runtime.load(code).map_err(rejected)?;
        self.module(prepared, loaded, code_bytes, options)
    }

    fn module(
        &self,
        prepared: Prepared,
        loaded: Arc<ffi::Module>,
        code_bytes: Option<u64>,
        options: &Options,
    ) -> Result<Box<dyn runtime_api::Module>> {
        if loaded.import_count() != 0 || loaded.is_aot() != self.origin.is_some() {
            return Err(rejected("WAMR took the module for another".to_owned()));
        }
        let watchdog = match options.metering {
            BudgetKind::Epoch => Some(self.watchdog()?),
            BudgetKind::None | BudgetKind::Fuel => None,
        };
        Ok(Box::new(Module {
            loaded,
            code_bytes,
            prepared: Arc::new(prepared),
            limits: options.limits,
            metering: options.metering,
            watchdog,
            engine: self.info.id.clone(),
        }))
    }

    fn watchdog(&self) -> Result<Arc<Watchdog>> {
        if let Some(watchdog) = self.watchdog.get() {
            return Ok(Arc::clone(watchdog));
        }
        let started = Arc::new(Watchdog::start().map_err(adapter)?);
        Ok(Arc::clone(self.watchdog.get_or_init(|| started)))
    }
}
