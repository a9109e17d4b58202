//! The adapter for [wasmer](https://docs.rs/wasmer) with its LLVM compiler: engine `wasmer.llvm`.
//!
//! Licence: `wasmer-compiler-llvm` is under the Business Source License 1.1 (no production use without
//! sponsorship of Wasmer), unlike the rest of wasmer (MIT). Nothing depends on this crate by default.
//!
//! Building needs LLVM 22.1, found as `llvm-config-22` on the path or through `LLVM_SYS_221_PREFIX`; its static libraries
//! are preferred. The code it generates is exact: no fast-math flags, no contraction into fused multiply-add;
//! memory accesses are volatile (wasmer's default), so LLVM neither removes nor merges any.
//!
//! Budgets:
//! - `fuel` is metering, in modules compiled for it: one point for each operator, charged by basic block before it runs.
//! - `epoch` is a deadline: a watchdog thread has wasmer interrupt the call by a signal (`SIGUSR1`), which costs running
//!   code nothing. wasmer calls this experimental and best effort, so whoever must be certain kills the process
//!   some time after the deadline.
//!
//! Every memory reserves 8 GiB of address space, whatever its limit: a limit on the process has to be one on memory in
//! use, not on addresses.

mod comparisons;
mod deadline;
mod fuel;
mod globals;
mod inspect;
mod limits;
#[cfg(target_arch = "aarch64")]
mod negation;
mod tables;
mod trap;

use crate::{
    comparisons::Comparisons, deadline::Watch, fuel::Fuel, limits::Limiting, tables::TableSum,
};
use runtime_api::{
    Budget, BudgetKind, Capabilities, Entry, Error, Form, Info, Instance, Kind, Module, Options,
    Result, Runtime, Stage, Stopped, Trap, call_each, probe_features,
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use wasmer::{
    Memory, Pages, RuntimeError, Store, Type, TypedFunction, Value, imports,
    sys::{CompilerConfig, EngineBuilder, Features, LLVM, Target},
};
use wasmer_compiler_llvm::LLVMCallbacks;

/// Identity of the engine.
const ID: &str = "wasmer.llvm";

/// The first bytes of every core module, format version 1.
const MODULE_MAGIC: &[u8] = b"\0asm\x01\0\0\0";

/// Wasmer with its LLVM compiler.
///
/// # Errors
/// None today; the signature is that of every adapter.
pub fn llvm() -> Result<Box<dyn Runtime>> {
    let info = Info {
        id: ID.to_owned(),
        engine: "wasmer".to_owned(),
        version: wasmer::sys::vm::VERSION.to_owned(),
        kind: Kind::Jit,
        build: build(),
        capabilities: Capabilities {
            features: Vec::new(),
            budgets: vec![BudgetKind::None, BudgetKind::Epoch, BudgetKind::Fuel],
            interruption: "signal to the calling thread at the deadline, best effort".to_owned(),
            memory_limit: true,
            table_limit: true,
            stack_limit: true,
        },
    };
    let mut runtime = Llvm { info };
    runtime.info.capabilities.features = probe_features(&runtime);
    Ok(Box::new(runtime))
}

/// What may change results or speed.
fn build() -> BTreeMap<String, String> {
    let cpu_features: Vec<String> = Target::default()
        .cpu_features()
        .iter()
        .map(|feature| feature.to_string())
        .collect();
    [
        ("compiler", "LLVM 22.1".to_owned()),
        ("optimization", "aggressive".to_owned()),
        ("cpu-features", cpu_features.join(",")),
        ("nan-canonicalization", "off".to_owned()),
        ("memory-accesses", "volatile".to_owned()),
        ("bounds-checks", "guard pages".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// An engine for one module: the middlewares cannot be used for a second one.
///
/// With `callbacks`, the compiler writes its intermediate representation into their folder.
fn engine(options: &Options, callbacks: Option<LLVMCallbacks>) -> wasmer::sys::engine::Engine {
    let mut compiler = LLVM::new();
    compiler.callbacks(callbacks);
    if options.metering == BudgetKind::Fuel {
        compiler.push_middleware(Arc::new(Fuel::new()));
    }
    // After metering, so that what it inserts costs no fuel.
    let table_sum = TableSum::new(options.limits.max_table_elements);
    compiler.push_middleware(Arc::new(table_sum));
    if cfg!(target_arch = "aarch64") {
        compiler.push_middleware(Arc::new(Comparisons::default()));
    }
    EngineBuilder::new(compiler)
        .set_features(Some(features()))
        .engine()
}

/// What packs may use and nothing else. Mutable globals, sign extension and saturating conversions cannot be turned off.
fn features() -> Features {
    Features {
        reference_types: true,
        simd: true,
        bulk_memory: true,
        multi_value: true,
        ..Features::none()
    }
}

struct Llvm {
    info: Info,
}

impl Runtime for Llvm {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        let mut engine = engine(options, None);
        let module = translate(&engine, wasm)?;
        engine.set_tunables(Limiting::new(&options.limits, module.info()));
        Ok(Box::new(Compiled {
            engine: engine.into(),
            module,
            options: *options,
        }))
    }

    fn validate(&self, wasm: &[u8]) -> Result<()> {
        let options = Options {
            limits: runtime_api::Limits::default(),
            metering: BudgetKind::None,
        };
        let engine = engine(&options, None);
        wasmer::Module::validate(&wasmer::Engine::from(&engine), wasm).map_err(|error| {
            Error::Rejected {
                stage: Stage::Compile,
                message: error.to_string(),
            }
        })
    }

    fn inspect(&self, wasm: &[u8], options: &Options, form: Form) -> Result<String> {
        inspect::inspect(wasm, options, form)
    }
}

fn translate(engine: &wasmer::sys::engine::Engine, wasm: &[u8]) -> Result<wasmer::Module> {
    let rejected = |message: String| Error::Rejected {
        stage: Stage::Compile,
        message,
    };
    if !wasm.starts_with(MODULE_MAGIC) {
        return Err(rejected("not a binary core module".to_owned()));
    }
    wasmer::Module::from_binary(&wasmer::Engine::from(engine), wasm)
        .map_err(|error| rejected(error.to_string()))
}

struct Compiled {
    /// Carries the limits, as tunables.
    engine: wasmer::Engine,
    module: wasmer::Module,
    options: Options,
}

impl Module for Compiled {
    fn instantiate(&self, budget: Budget) -> Result<Box<dyn Instance>> {
        const STAGE: Stage = Stage::Instantiate;
        budget.require(self.options.metering)?;
        limits::fit_stack(self.options.limits.max_stack_bytes);
        let mut store = Store::new(self.engine.clone());
        let instance = within_deadline(STAGE, &mut store, budget, |store| {
            wasmer::Instance::new(store, &self.module, &imports! {})
                .map_err(trap::of_instantiation_error)
        })?;
        let mut instance = Instantiated {
            memory: instance.exports.get_memory("memory").ok().cloned(),
            live: Live {
                store,
                instance,
                options: self.options,
            },
            entries: Vec::new(),
        };
        if self.options.metering == BudgetKind::Fuel {
            instance.live.enter(STAGE, budget, |store, instance| {
                fuel::run_start(store, instance)
            })?;
        }
        Ok(Box::new(instance))
    }
}

struct Instantiated {
    live: Live,
    memory: Option<Memory>,
    entries: Vec<Function>,
}

/// What calls change; apart from the entries, so that a call can borrow its own.
struct Live {
    store: Store,
    instance: wasmer::Instance,
    options: Options,
}

enum Function {
    Nullary(TypedFunction<(), i32>),
    Unary(TypedFunction<u32, i32>),
    Binary(TypedFunction<(u32, u32), i32>),
}

impl Live {
    /// Runs wasm code under `budget`.
    fn enter<T>(
        &mut self,
        stage: Stage,
        budget: Budget,
        run: impl FnOnce(&mut Store, &wasmer::Instance) -> std::result::Result<T, RuntimeError>,
    ) -> Result<T> {
        budget.require(self.options.metering)?;
        limits::fit_stack(self.options.limits.max_stack_bytes);
        let metered = self.options.metering == BudgetKind::Fuel;
        let (store, instance) = (&mut self.store, &self.instance);
        if metered {
            let points = match budget {
                Budget::Fuel(points) => points,
                Budget::None | Budget::Epoch(_) => u64::MAX,
            };
            fuel::set(store, instance, points);
        }
        within_deadline(stage, store, budget, |store| match run(store, instance) {
            Ok(value) => Ok(value),
            Err(error) => Err(stopped(stage, &error, || {
                metered && fuel::exhausted(store, instance)
            })),
        })
    }
}

#[cold]
fn stopped(stage: Stage, error: &RuntimeError, exhausted: impl FnOnce() -> bool) -> Error {
    let trap = match trap::of_runtime_error(error) {
        Trap::Unreachable if exhausted() => Trap::FuelExhausted,
        trap => trap,
    };
    Error::trap(stage, trap)
}

impl Instantiated {
    fn memory(&self) -> Result<&Memory> {
        self.memory.as_ref().ok_or_else(|| Error::Export {
            name: "memory".to_owned(),
            message: "no such memory".to_owned(),
        })
    }

    fn outside(&self, at: u32, length: usize) -> Result<Error> {
        Ok(Error::Access {
            at,
            length: length as u64,
            memory_bytes: self.memory()?.view(&self.live.store).data_size(),
        })
    }
}

impl Instance for Instantiated {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        let error = |message: &str| Error::Export {
            name: export.to_owned(),
            message: message.to_owned(),
        };
        let function = self
            .live
            .instance
            .exports
            .get_function(export)
            .map_err(|_| error("no such function"))?;
        let ty = function.ty(&self.live.store);
        if ty.params() != vec![Type::I32; parameters] || ty.results() != [Type::I32] {
            return Err(error(&format!("its type is {ty}")));
        }
        let wrong = |_: RuntimeError| error("its type is another");
        let function = match parameters {
            0 => Function::Nullary(function.typed(&self.live.store).map_err(wrong)?),
            1 => Function::Unary(function.typed(&self.live.store).map_err(wrong)?),
            2 => Function::Binary(function.typed(&self.live.store).map_err(wrong)?),
            _ => return Err(error("entries have at most two parameters")),
        };
        self.entries.push(function);
        Ok(Entry(self.entries.len() - 1))
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32> {
        let live = &mut self.live;
        match (self.entries.get(entry.0), arguments) {
            (Some(Function::Nullary(function)), []) => {
                live.enter(Stage::Call, budget, |store, _| function.call(store))
            }
            (Some(Function::Unary(function)), &[a]) => {
                live.enter(Stage::Call, budget, |store, _| function.call(store, a))
            }
            (Some(Function::Binary(function)), &[a, b]) => {
                live.enter(Stage::Call, budget, |store, _| function.call(store, a, b))
            }
            _ => Err(Error::Adapter {
                message: format!(
                    "entry {} called with {} arguments",
                    entry.0,
                    arguments.len()
                ),
            }),
        }
    }

    fn call_batch(
        &mut self,
        entry: Entry,
        arguments: &[u32],
        budget: Budget,
    ) -> std::result::Result<(), Stopped> {
        match self.entries.get(entry.0) {
            // What all calls have in common is found once.
            Some(Function::Unary(function)) => call_each(arguments, |argument| {
                self.live.enter(Stage::Call, budget, |store, _| {
                    function.call(store, argument)
                })
            }),
            _ => call_each(arguments, |argument| self.call(entry, &[argument], budget)),
        }
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        let error = |message: &str| Error::Export {
            name: export.to_owned(),
            message: message.to_owned(),
        };
        let global = self
            .live
            .instance
            .exports
            .get_global(export)
            .map_err(|_| error("no such global"))?;
        match global.get(&mut self.live.store) {
            Value::I32(value) => Ok(value),
            other => Err(error(&format!("its type is {}", other.ty()))),
        }
    }

    fn memory_pages(&mut self) -> Result<u32> {
        Ok(self.memory()?.size(&self.live.store).0)
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        let memory = self.memory()?.clone();
        memory
            .grow(&mut self.live.store, Pages(pages))
            .map_err(|_| Error::trap(Stage::Call, Trap::ResourceLimit))?;
        Ok(())
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        match self.memory()?.view(&self.live.store).read(at.into(), into) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.outside(at, into.len())?),
        }
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        match self
            .memory()?
            .view(&self.live.store)
            .write(at.into(), bytes)
        {
            Ok(()) => Ok(()),
            Err(_) => Err(self.outside(at, bytes.len())?),
        }
    }

    fn with_memory(&mut self, at: u32, length: u32, work: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        let outside = self.outside(at, length as usize)?;
        let view = self.memory()?.view(&self.live.store);
        // SAFETY: packs have no shared memories, so nothing but this instance's code and methods accesses these bytes; `self` is
        // borrowed exclusively until `work` has returned, so neither runs, and memory neither moves nor shrinks meanwhile.
        #[allow(unsafe_code)]
        let memory = unsafe { view.data_unchecked_mut() };
        let start = at as usize;
        let end = start.checked_add(length as usize);
        match end.and_then(|end| memory.get_mut(start..end)) {
            Some(bytes) => {
                work(bytes);
                Ok(())
            }
            None => Err(outside),
        }
    }

    fn fuel_left(&mut self) -> Option<u64> {
        (self.live.options.metering == BudgetKind::Fuel)
            .then(|| fuel::left(&mut self.live.store, &self.live.instance))
    }

    fn call_by_hand(
        &mut self,
        entry: Entry,
        arguments: &[u32],
        budget: Budget,
        iterations: u64,
    ) -> Result<(Duration, i32)> {
        let (Some(Function::Unary(function)), &[argument]) = (self.entries.get(entry.0), arguments)
        else {
            return Err(Error::unsupported("a call by hand takes one argument"));
        };
        budget.require(self.live.options.metering)?;
        let points = match (self.live.options.metering, budget) {
            (BudgetKind::Fuel, Budget::Fuel(points)) => Some(points),
            (BudgetKind::Fuel, _) => Some(u64::MAX),
            (_, Budget::None) => None,
            _ => {
                return Err(Error::unsupported(
                    "wasmer has no deadlines: watching the time is this adapter's own work",
                ));
            }
        };
        let mut returned = 0;
        let start = Instant::now();
        for _ in 0..iterations {
            if let Some(points) = points {
                fuel::set(&mut self.live.store, &self.live.instance, points);
            }
            returned |= function
                .call(&mut self.live.store, argument)
                .map_err(|error| Error::trap(Stage::Call, trap::of_runtime_error(&error)))?;
        }
        Ok((start.elapsed(), returned))
    }
}

/// Runs `run`, and interrupts it at the deadline of an epoch budget.
fn within_deadline<T>(
    stage: Stage,
    store: &mut Store,
    budget: Budget,
    run: impl FnOnce(&mut Store) -> Result<T>,
) -> Result<T> {
    let Some(time) = budget.time() else {
        return run(store);
    };
    let overdue = Error::trap(stage, Trap::EpochDeadline);
    if time.is_zero() {
        return Err(overdue);
    }
    let Some(deadline) = Instant::now().checked_add(time) else {
        return run(store);
    };
    let watch = Watch::begin(store.interrupter(), deadline).map_err(|error| Error::Adapter {
        message: format!("no thread to watch the deadline from: {error}"),
    })?;
    let result = run(store);
    let interrupted = watch.end();
    match result {
        Ok(_) if interrupted => Err(overdue),
        result => result,
    }
}
