//! wasmtime as three engines: `wasmtime.cranelift` and `wasmtime.winch` compile to machine code, `wasmtime.pulley`
//! compiles with Cranelift to a portable bytecode and interprets it.
//!
//! The configuration is explicit: exactly the pack features are on. Metering is a property of wasmtime's `Engine`, so
//! there is one per budget kind and stack size, made when first asked for and kept.
//!
//! On WebAssembly this crate is empty: wasmtime is not built for it.
#![cfg(not(target_family = "wasm"))]

mod code;
mod config;
mod guest;
mod inspect;
mod instance;
mod limiter;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod pool;
mod ticker;
mod traps;

use config::Strategy;
use guest::CompiledGuest;
use instance::{CompiledModule, metered};
use runtime_api::{
    BudgetKind, Capabilities, Error, Form, Guest, Imports, Info, Kind, Module, Options, Result,
    Runtime, Stage, TrustedCode, check_lengths, probe_features,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use wasmtime::Engine;

/// The pinned version, which a test compares with the lock file.
const VERSION: &str = "48.0.8";

/// Cranelift compiling to this machine's code.
///
/// # Errors
/// [`Error::Unsupported`] where Cranelift has no backend for this machine.
pub fn cranelift() -> Result<Box<dyn Runtime>> {
    WasmtimeRuntime::boxed(Strategy::Cranelift)
}

/// Cranelift compiling to this machine's code, in instances of a pool: the same code as [`cranelift`], made and dropped faster.
/// At most 128 instances at a time, and 4 GiB of address space for each.
///
/// # Errors
/// As [`cranelift`]; [`Error::Adapter`] where the machine has not the address space.
pub fn pooling() -> Result<Box<dyn Runtime>> {
    WasmtimeRuntime::boxed(Strategy::Pooling)
}

/// Cranelift compiling to Pulley bytecode, interpreted; the same on every machine.
///
/// # Errors
/// [`Error::Adapter`] if the engine cannot be made.
pub fn pulley() -> Result<Box<dyn Runtime>> {
    WasmtimeRuntime::boxed(Strategy::Pulley)
}

/// The baseline compiler Winch, for x86_64 and aarch64.
///
/// # Errors
/// [`Error::Unsupported`] on other machines.
pub fn winch() -> Result<Box<dyn Runtime>> {
    WasmtimeRuntime::boxed(Strategy::Winch)
}

/// wasmtime with one compiler.
struct WasmtimeRuntime {
    strategy: Strategy,
    info: Info,
    engines: Mutex<BTreeMap<(BudgetKind, u32), Engine>>,
}

impl WasmtimeRuntime {
    fn boxed(strategy: Strategy) -> Result<Box<dyn Runtime>> {
        let mut runtime = Self {
            strategy,
            info: info(strategy),
            engines: Mutex::default(),
        };
        // A machine that the compiler cannot serve shows here, not at the first module.
        runtime.engine(
            BudgetKind::None,
            runtime_api::Limits::default().max_stack_bytes,
        )?;
        runtime.info.capabilities.features = probe_features(&runtime);
        Ok(Box::new(runtime))
    }

    fn engine(&self, metering: BudgetKind, max_stack_bytes: u32) -> Result<Engine> {
        let key = (metering, max_stack_bytes);
        // Held while an engine is made, so that there is one of each kind.
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = engines.get(&key) {
            return Ok(engine.clone());
        }
        let engine = config::engine(self.strategy, metering, max_stack_bytes, None)?;
        if metering == BudgetKind::Epoch {
            ticker::start(&engine)?;
        }
        engines.insert(key, engine.clone());
        Ok(engine)
    }
}

impl Runtime for WasmtimeRuntime {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        let engine = self.engine(options.metering, options.limits.max_stack_bytes)?;
        let module = translate(&engine, wasm)?;
        Ok(Box::new(CompiledModule::new(
            module,
            *options,
            self.strategy,
        )?))
    }

    fn compile_guest(
        &self,
        wasm: &[u8],
        options: &Options,
        imports: &Imports,
    ) -> Result<Box<dyn Guest>> {
        let engine = self.engine(options.metering, options.limits.max_stack_bytes)?;
        let module = compiled(&engine, wasm)?;
        let guest = CompiledGuest::new(&module, *options, self.strategy, imports)?;
        Ok(Box::new(guest))
    }

    fn precompile(&self, wasm: &[u8], options: &Options) -> Result<Vec<u8>> {
        let engine = self.engine(options.metering, options.limits.max_stack_bytes)?;
        code::precompile(&engine, wasm)
    }

    fn precompile_for(&self, target: &str, wasm: &[u8], options: &Options) -> Result<Vec<u8>> {
        code::precompile_for(self.strategy, target, wasm, options)
    }

    fn code_identity(&self, options: &Options) -> Result<Vec<u8>> {
        let engine = self.engine(options.metering, options.limits.max_stack_bytes)?;
        Ok(code::identity(&engine))
    }

    fn load_code(
        &self,
        _wasm: &[u8],
        code: TrustedCode<'_>,
        options: &Options,
    ) -> Result<Box<dyn Module>> {
        let engine = self.engine(options.metering, options.limits.max_stack_bytes)?;
        let module = code::load(&engine, code)?;
        Ok(Box::new(CompiledModule::new(
            module,
            *options,
            self.strategy,
        )?))
    }

    fn validate(&self, wasm: &[u8]) -> Result<()> {
        let engine = self.engine(
            BudgetKind::None,
            runtime_api::Limits::default().max_stack_bytes,
        )?;
        check_lengths(wasm)?;
        wasmtime::Module::validate(&engine, wasm).map_err(|error| Error::Rejected {
            stage: Stage::Compile,
            message: format!("{error:#}"),
        })
    }

    fn inspect(&self, wasm: &[u8], options: &Options, form: Form) -> Result<String> {
        match form {
            Form::Clif => inspect::clif(self.strategy, wasm, options),
            Form::Asm => {
                let engine = self.engine(options.metering, options.limits.max_stack_bytes)?;
                inspect::asm(self.strategy, &translate(&engine, wasm)?)
            }
            Form::LlvmIr | Form::LlvmIrUnoptimized => {
                Err(Error::unsupported("wasmtime does not use LLVM"))
            }
        }
    }
}

fn translate(engine: &Engine, wasm: &[u8]) -> Result<wasmtime::Module> {
    without_imports(compiled(engine, wasm)?)
}

fn compiled(engine: &Engine, wasm: &[u8]) -> Result<wasmtime::Module> {
    check_lengths(wasm)?;
    wasmtime::Module::new(engine, wasm).map_err(|error| Error::Rejected {
        stage: Stage::Compile,
        message: format!("{error:#}"),
    })
}

fn without_imports(module: wasmtime::Module) -> Result<wasmtime::Module> {
    if let Some(import) = module.imports().next() {
        return Err(Error::Rejected {
            stage: Stage::Compile,
            message: format!(
                "import of `{}` from `{}`: nothing is provided",
                import.name(),
                import.module()
            ),
        });
    }
    Ok(module)
}

fn info(strategy: Strategy) -> Info {
    Info {
        id: strategy.id().to_owned(),
        engine: "wasmtime".to_owned(),
        version: VERSION.to_owned(),
        kind: match strategy {
            Strategy::Cranelift | Strategy::Pooling | Strategy::Winch => Kind::Jit,
            Strategy::Pulley => Kind::Interpreter,
        },
        build: config::description(strategy),
        capabilities: Capabilities {
            features: Vec::new(), // probed once the engine is there
            budgets: metered().to_vec(),
            interruption:
                "epoch checks in function entries and loop headers; a ticker thread of 10 ms"
                    .to_owned(),
            memory_limit: true,
            table_limit: true,
            stack_limit: true,
        },
    }
}
