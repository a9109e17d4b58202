//! wasmi, an interpreter: `wasmi` with its portable dispatch loop, `wasmi.fast` with tail calls; which of the two is
//! chosen by the feature `portable-dispatch` at build time.
//!
//! wasmi meters fuel and has no interruption. An epoch budget is honoured by fuel slices: code runs until a slice is
//! used up, the clock is asked, and the call is resumed or given up (`slices`).
#![forbid(unsafe_code)]

mod config;
mod guest;
mod instance;
mod limiter;
mod prepare;
mod slices;
mod traps;

use guest::CompiledGuest;
use instance::CompiledModule;
use runtime_api::{
    BudgetKind, Capabilities, Error, Guest, Imports, Info, Kind, Module, Options, Result, Runtime,
    Stage, check_lengths, probe_features,
};
use std::borrow::Cow;
use wasmi::Engine;

/// The pinned version, which a test compares with the lock file.
const VERSION: &str = "2.0.0";

/// Engine identity of this build.
const ID: &str = if cfg!(feature = "portable-dispatch") {
    "wasmi"
} else {
    "wasmi.fast"
};

/// wasmi with the dispatch of this build.
///
/// # Errors
/// None today; the signature is that of the other adapters.
pub fn runtime() -> Result<Box<dyn Runtime>> {
    let mut runtime = WasmiRuntime { info: info() };
    runtime.info.capabilities.features = probe_features(&runtime);
    Ok(Box::new(runtime))
}

struct WasmiRuntime {
    info: Info,
}

impl Runtime for WasmiRuntime {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        let module = translate(wasm, options)?;
        if let Some(import) = module.imports().next() {
            return Err(rejected(format!(
                "import of `{}` from `{}`: nothing is provided",
                import.name(),
                import.module()
            )));
        }
        Ok(Box::new(CompiledModule::new(module, *options)))
    }

    fn compile_guest(
        &self,
        wasm: &[u8],
        options: &Options,
        imports: &Imports,
    ) -> Result<Box<dyn Guest>> {
        let module = translate(wasm, options)?;
        Ok(Box::new(CompiledGuest::new(module, *options, imports)?))
    }

    fn validate(&self, wasm: &[u8]) -> Result<()> {
        let options = Options {
            limits: runtime_api::Limits::default(),
            metering: BudgetKind::None,
        };
        let engine = Engine::new(&config::config(&options));
        check_lengths(wasm)?;
        wasmi::Module::validate(&engine, wasm).map_err(|error| rejected(error.to_string()))
    }
}

fn rejected(message: String) -> Error {
    Error::Rejected {
        stage: Stage::Compile,
        message,
    }
}

fn translate(wasm: &[u8], options: &Options) -> Result<wasmi::Module> {
    // An engine of its own for each module: wasmi's engine keeps the code of every module it has ever seen.
    let engine = Engine::new(&config::config(options));
    check_lengths(wasm)?;
    let prepared = prepare::prepare(wasm);
    if matches!(prepared, Cow::Owned(_)) {
        // What is written anew must have been valid before.
        wasmi::Module::validate(&engine, wasm).map_err(|error| rejected(error.to_string()))?;
    }
    wasmi::Module::new(&engine, &prepared).map_err(|error| rejected(error.to_string()))
}

fn info() -> Info {
    Info {
        id: ID.to_owned(),
        engine: "wasmi".to_owned(),
        version: VERSION.to_owned(),
        kind: Kind::Interpreter,
        build: config::description(),
        capabilities: Capabilities {
            features: Vec::new(), // probed once the runtime is there
            budgets: vec![BudgetKind::None, BudgetKind::Epoch, BudgetKind::Fuel],
            interruption: "fuel slices of about 1 ms, the clock asked after each; a start function is run again \
                from its beginning with twice the fuel; table.grow answers -1 meanwhile"
                .to_owned(),
            memory_limit: true,
            table_limit: true,
            stack_limit: true,
        },
    }
}
