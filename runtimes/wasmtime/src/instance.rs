use crate::{
    config::Strategy,
    guest::{Embedder, Ended},
    limiter::Limiter,
    traps,
};
use runtime_api::{
    Budget, BudgetKind, Entry, Error, Instance, Module, Options, Result, Stage, Stopped, Trap,
    call_each, inside,
};
use std::time::{Duration, Instant};
use wasmtime::{Extern, InstancePre, Linker, Memory, Store, TypedFunc};

/// Ticks that no process lives to see. wasmtime adds them to the current epoch without checking.
const ENDLESS: u64 = u64::MAX / 2;

/// The budgets that all strategies honour.
pub(crate) const fn metered() -> [BudgetKind; 3] {
    [BudgetKind::None, BudgetKind::Epoch, BudgetKind::Fuel]
}

pub(crate) struct CompiledModule {
    /// The module, type-checked against its (no) imports once and for all.
    module: InstancePre<Limiter>,
    options: Options,
    strategy: Strategy,
}

impl CompiledModule {
    pub(crate) fn new(
        module: wasmtime::Module,
        options: Options,
        strategy: Strategy,
    ) -> Result<Self> {
        // Compiled modules have no imports.
        let module = Linker::new(module.engine())
            .instantiate_pre(&module)
            .map_err(|error| Error::Rejected {
                stage: Stage::Compile,
                message: format!("{error:#}"),
            })?;
        Ok(Self {
            module,
            options,
            strategy,
        })
    }
}

impl Module for CompiledModule {
    fn instantiate_movable(&self, budget: Budget) -> Result<Box<dyn Instance + Send>> {
        live(&self.module, &self.options, self.strategy, None, budget)
    }

    fn code_bytes(&self) -> Option<u64> {
        Some(self.module.module().text().len() as u64)
    }
}

/// Makes an instance: of a kernel, or of a guest with its embedder.
pub(crate) fn live(
    module: &InstancePre<Limiter>,
    options: &Options,
    strategy: Strategy,
    embedder: Option<Embedder>,
    budget: Budget,
) -> Result<Box<dyn Instance + Send>> {
    let mut limiter = Limiter::new(&options.limits);
    limiter.embedder = embedder;
    let mut store = Store::new(module.module().engine(), limiter);
    store.limiter(|limiter| limiter);
    let metering = options.metering;
    set_budget(&mut store, metering, budget)?;
    let instance = module
        .instantiate(&mut store)
        .map_err(|error| not_instantiated(&store, strategy, &error))?;
    let memory = instance.get_memory(&mut store, "memory");
    Ok(Box::new(LiveInstance {
        store,
        instance,
        memory,
        entries: Vec::new(),
        metering,
        strategy,
    }))
}

/// A refusal of the limiter is known from the limiter: wasmtime's error for it has no type.
fn not_instantiated(store: &Store<Limiter>, strategy: Strategy, error: &wasmtime::Error) -> Error {
    if error.is::<wasmtime::Trap>() || error.is::<Ended>() {
        traps::stopped(Stage::Instantiate, strategy.id(), error)
    } else if store.data().refused() {
        Error::trap(Stage::Instantiate, Trap::ResourceLimit)
    } else {
        // Imports are refused at compile: what is left is a machine that has no memory to give.
        Error::Adapter {
            message: format!("instantiation failed: {error:#}"),
        }
    }
}

/// Sets what the next entry into wasm may cost: a store starts with a deadline of 0 and no fuel.
fn set_budget(store: &mut Store<Limiter>, metering: BudgetKind, budget: Budget) -> Result<()> {
    budget.require(metering)?;
    let fuel = match (metering, budget) {
        (BudgetKind::None, _) => return Ok(()),
        (BudgetKind::Epoch, Budget::Epoch(ticks)) => {
            store.set_epoch_deadline(ticks.min(ENDLESS));
            return Ok(());
        }
        (BudgetKind::Epoch, _) => {
            store.set_epoch_deadline(ENDLESS);
            return Ok(());
        }
        (BudgetKind::Fuel, Budget::Fuel(fuel)) => fuel,
        (BudgetKind::Fuel, _) => u64::MAX,
    };
    store.set_fuel(fuel).map_err(|error| Error::Adapter {
        message: format!("fuel is not taken: {error:#}"),
    })
}

enum Function {
    Nullary(TypedFunc<(), i32>),
    Unary(TypedFunc<u32, i32>),
    Binary(TypedFunc<(u32, u32), i32>),
}

struct LiveInstance {
    store: Store<Limiter>,
    instance: wasmtime::Instance,
    memory: Option<Memory>,
    entries: Vec<Function>,
    metering: BudgetKind,
    strategy: Strategy,
}

impl LiveInstance {
    fn memory(&self) -> Result<Memory> {
        self.memory
            .ok_or_else(|| no_export("memory", "no memory is exported by this name"))
    }
}

impl Instance for LiveInstance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        let function = self
            .instance
            .get_func(&mut self.store, export)
            .ok_or_else(|| no_export(export, "no function is exported by this name"))?;
        let typed = match parameters {
            0 => function.typed(&self.store).map(Function::Nullary),
            1 => function.typed(&self.store).map(Function::Unary),
            2 => function.typed(&self.store).map(Function::Binary),
            _ => return Err(no_export(export, "an entry has at most two parameters")),
        };
        let function = typed.map_err(|error| no_export(export, &format!("{error:#}")))?;
        self.entries.push(function);
        Ok(Entry(self.entries.len() - 1))
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32> {
        let function = self.entries.get(entry.0).ok_or_else(|| Error::Adapter {
            message: format!("there is no entry {}", entry.0),
        })?;
        set_budget(&mut self.store, self.metering, budget)?;
        let result = match (function, arguments) {
            (Function::Nullary(function), []) => function.call(&mut self.store, ()),
            (Function::Unary(function), [first]) => function.call(&mut self.store, *first),
            (Function::Binary(function), [first, second]) => {
                function.call(&mut self.store, (*first, *second))
            }
            _ => {
                return Err(Error::Adapter {
                    message: format!("the entry does not take {} arguments", arguments.len()),
                });
            }
        };
        result.map_err(|error| traps::stopped(Stage::Call, self.strategy.id(), &error))
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
                set_budget(&mut self.store, self.metering, budget)?;
                function
                    .call(&mut self.store, argument)
                    .map_err(|error| traps::stopped(Stage::Call, self.strategy.id(), &error))
            }),
            _ => call_each(arguments, |argument| self.call(entry, &[argument], budget)),
        }
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        let found = self.instance.get_export(&mut self.store, export);
        let Some(Extern::Global(global)) = found else {
            return Err(no_export(export, "no global is exported by this name"));
        };
        global
            .get(&mut self.store)
            .i32()
            .ok_or_else(|| no_export(export, "the global is not an i32"))
    }

    fn memory_pages(&mut self) -> Result<u32> {
        let pages = self.memory()?.size(&self.store);
        // A 32-bit memory has at most 2^16 pages.
        Ok(pages as u32)
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        // The type leaves one cause: a limit, the memory's own, the instance's or the machine's.
        match self.memory()?.grow(&mut self.store, u64::from(pages)) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::trap(Stage::Call, Trap::ResourceLimit)),
        }
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        let memory = self.memory()?;
        let bytes = memory.data(&self.store);
        into.copy_from_slice(&bytes[inside(at, into.len() as u64, bytes.len() as u64)?]);
        Ok(())
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let memory = self.memory()?;
        let all = memory.data_mut(&mut self.store);
        let range = inside(at, bytes.len() as u64, all.len() as u64)?;
        all[range].copy_from_slice(bytes);
        Ok(())
    }

    fn with_memory(&mut self, at: u32, length: u32, work: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        let memory = self.memory()?;
        // Asked for once: for short calls each look at the memory counts.
        let all = memory.data_mut(&mut self.store);
        let range = inside(at, length.into(), all.len() as u64)?;
        work(&mut all[range]);
        Ok(())
    }

    fn fuel_left(&mut self) -> Option<u64> {
        self.store.get_fuel().ok()
    }

    fn call_by_hand(
        &mut self,
        entry: Entry,
        arguments: &[u32],
        budget: Budget,
        iterations: u64,
    ) -> Result<(Duration, i32)> {
        let (Some(Function::Unary(function)), [argument]) = (self.entries.get(entry.0), arguments)
        else {
            return Err(Error::unsupported("a call by hand takes one argument"));
        };
        // Refuses a budget of another kind, and sets what is set once and for all.
        set_budget(&mut self.store, self.metering, budget)?;
        let mut returned = 0;
        let stopped = |error| traps::stopped(Stage::Call, self.strategy.id(), &error);
        let start = Instant::now();
        match budget {
            Budget::None => {
                for _ in 0..iterations {
                    returned |= function.call(&mut self.store, *argument).map_err(stopped)?;
                }
            }
            Budget::Epoch(ticks) => {
                for _ in 0..iterations {
                    self.store.set_epoch_deadline(ticks.min(ENDLESS));
                    returned |= function.call(&mut self.store, *argument).map_err(stopped)?;
                }
            }
            Budget::Fuel(fuel) => {
                for _ in 0..iterations {
                    self.store
                        .set_fuel(fuel)
                        .and_then(|()| function.call(&mut self.store, *argument))
                        .map(|value| returned |= value)
                        .map_err(stopped)?;
                }
            }
        }
        Ok((start.elapsed(), returned))
    }
}

fn no_export(name: &str, message: &str) -> Error {
    Error::Export {
        name: name.to_owned(),
        message: message.to_owned(),
    }
}
