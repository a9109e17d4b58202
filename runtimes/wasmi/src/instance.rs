use crate::{
    guest::Embedder,
    limiter::Limiter,
    slices::{self, Ended, Slice},
    traps,
};
use runtime_api::{
    Budget, BudgetKind, Entry, Error, Instance, Module, Options, Result, Stage, Stopped, Trap,
    call_each, inside,
};
use std::time::{Duration, Instant};
use wasmi::{Extern, Linker, Memory, Store, TypedFunc, WasmParams};

/// What instances are made of.
pub(crate) struct Code {
    module: wasmi::Module,
    options: Options,
}

impl Code {
    pub(crate) fn new(module: wasmi::Module, options: Options) -> Self {
        Self { module, options }
    }

    /// A fresh store with an instance, whose segments and start function may use this much fuel.
    fn attempt(
        &self,
        linker: &Linker<Limiter>,
        embedder: Option<Embedder>,
        fuel: u64,
    ) -> std::result::Result<(Store<Limiter>, wasmi::Instance), wasmi::Error> {
        let mut limiter = Limiter::new(&self.options.limits);
        limiter.embedder = embedder;
        let mut store = Store::new(self.module.engine(), limiter);
        store.limiter(|limiter| limiter);
        if self.options.metering != BudgetKind::None {
            store.set_fuel(fuel)?;
        }
        let instance = linker.instantiate_and_start(&mut store, &self.module)?;
        Ok((store, instance))
    }
}

/// A kernel.
pub(crate) struct CompiledModule {
    code: Code,
    /// Kernels have no imports.
    linker: Linker<Limiter>,
}

impl CompiledModule {
    pub(crate) fn new(module: wasmi::Module, options: Options) -> Self {
        Self {
            linker: Linker::new(module.engine()),
            code: Code::new(module, options),
        }
    }
}

impl Module for CompiledModule {
    fn instantiate_movable(&self, budget: Budget) -> Result<Box<dyn Instance + Send>> {
        live(&self.code, &self.linker, None, budget)
    }
}

/// Makes an instance; `embedder` gives each attempt its own functions, and knows the deadline.
pub(crate) fn live(
    code: &Code,
    linker: &Linker<Limiter>,
    embedder: Option<&dyn Fn(Option<Instant>) -> Embedder>,
    budget: Budget,
) -> Result<Box<dyn Instance + Send>> {
    let metering = code.options.metering;
    budget.require(metering)?;
    let deadline = deadline(budget);
    let attempt = |fuel| code.attempt(linker, embedder.map(|make| make(deadline)), fuel);
    let made = match (budget, deadline) {
        (_, Some(deadline)) => slices::instantiate(deadline, attempt),
        (Budget::Fuel(fuel), None) => attempt(fuel).map_err(Ended::Error),
        (_, None) => attempt(u64::MAX).map_err(Ended::Error),
    };
    let (store, instance) = made.map_err(|ended| stopped(Stage::Instantiate, &ended))?;
    let memory = instance.get_memory(&store, "memory");
    Ok(Box::new(LiveInstance {
        store,
        instance,
        memory,
        entries: Vec::new(),
        metering,
        slice: Slice::default(),
    }))
}

/// When an epoch budget that starts now is used up; none for other budgets and for times beyond the clock's range,
/// which no process lives to see.
fn deadline(budget: Budget) -> Option<Instant> {
    budget
        .time()
        .and_then(|time| Instant::now().checked_add(time))
}

#[cold]
fn stopped(stage: Stage, ended: &Ended) -> Error {
    match ended {
        Ended::Deadline => Error::trap(stage, Trap::EpochDeadline),
        Ended::Error(error) => traps::stopped(stage, error),
    }
}

#[derive(Clone, Copy)]
enum Function {
    Nullary(TypedFunc<(), i32>),
    Unary(TypedFunc<(u32,), i32>),
    Binary(TypedFunc<(u32, u32), i32>),
}

struct LiveInstance {
    store: Store<Limiter>,
    instance: wasmi::Instance,
    memory: Option<Memory>,
    entries: Vec<Function>,
    metering: BudgetKind,
    slice: Slice,
}

impl LiveInstance {
    fn run<P: WasmParams>(
        &mut self,
        function: TypedFunc<P, i32>,
        parameters: P,
        budget: Budget,
    ) -> Result<i32> {
        let deadline = deadline(budget);
        self.store.data_mut().enter(deadline);
        let result = match deadline {
            Some(deadline) => slices::call(
                &mut self.store,
                function,
                parameters,
                deadline,
                &mut self.slice,
            ),
            None => self.run_at_once(function, parameters, budget),
        };
        result.map_err(|ended| stopped(Stage::Call, &ended))
    }

    fn run_at_once<P: WasmParams>(
        &mut self,
        function: TypedFunc<P, i32>,
        parameters: P,
        budget: Budget,
    ) -> std::result::Result<i32, Ended> {
        if self.metering != BudgetKind::None {
            self.store.set_fuel(match budget {
                Budget::Fuel(fuel) => fuel,
                Budget::None | Budget::Epoch(_) => u64::MAX,
            })?;
        }
        Ok(function.call(&mut self.store, parameters)?)
    }

    fn memory(&self) -> Result<Memory> {
        self.memory
            .ok_or_else(|| no_export("memory", "no memory is exported by this name"))
    }
}

impl Instance for LiveInstance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        let function = self
            .instance
            .get_func(&self.store, export)
            .ok_or_else(|| no_export(export, "no function is exported by this name"))?;
        let typed = match parameters {
            0 => function.typed(&self.store).map(Function::Nullary),
            1 => function.typed(&self.store).map(Function::Unary),
            2 => function.typed(&self.store).map(Function::Binary),
            _ => return Err(no_export(export, "an entry has at most two parameters")),
        };
        let function = typed.map_err(|error| no_export(export, &error.to_string()))?;
        self.entries.push(function);
        Ok(Entry(self.entries.len() - 1))
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32> {
        let function = *self.entries.get(entry.0).ok_or_else(|| Error::Adapter {
            message: format!("there is no entry {}", entry.0),
        })?;
        budget.require(self.metering)?;
        match (function, arguments) {
            (Function::Nullary(function), []) => self.run(function, (), budget),
            (Function::Unary(function), [first]) => self.run(function, (*first,), budget),
            (Function::Binary(function), [first, second]) => {
                self.run(function, (*first, *second), budget)
            }
            _ => Err(Error::Adapter {
                message: format!("the entry does not take {} arguments", arguments.len()),
            }),
        }
    }

    fn call_batch(
        &mut self,
        entry: Entry,
        arguments: &[u32],
        budget: Budget,
    ) -> std::result::Result<(), Stopped> {
        match self.entries.get(entry.0).copied() {
            // What all calls have in common is found once.
            Some(Function::Unary(function)) => call_each(arguments, |argument| {
                budget.require(self.metering)?;
                self.run(function, (argument,), budget)
            }),
            _ => call_each(arguments, |argument| self.call(entry, &[argument], budget)),
        }
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        let found = self.instance.get_export(&self.store, export);
        let Some(Extern::Global(global)) = found else {
            return Err(no_export(export, "no global is exported by this name"));
        };
        global
            .get(&self.store)
            .i32()
            .ok_or_else(|| no_export(export, "the global is not an i32"))
    }

    fn memory_pages(&mut self) -> Result<u32> {
        let pages = self.memory()?.size(&self.store);
        // A 32-bit memory has at most 2^16 pages.
        Ok(pages as u32)
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        let memory = self.memory()?;
        if self.metering != BudgetKind::None {
            // The host's own growth is not the module's to pay.
            self.store
                .set_fuel(u64::MAX)
                .map_err(|error| Error::Adapter {
                    message: error.to_string(),
                })?;
        }
        // The type leaves one cause: a limit, the memory's own, the instance's or the machine's.
        match memory.grow(&mut self.store, u64::from(pages)) {
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
        let (Some(Function::Unary(function)), [argument]) =
            (self.entries.get(entry.0).copied(), arguments)
        else {
            return Err(Error::unsupported("a call by hand takes one argument"));
        };
        budget.require(self.metering)?;
        let fuel = match (self.metering, budget) {
            (BudgetKind::None, _) => None,
            (_, Budget::Fuel(fuel)) => Some(fuel),
            _ => {
                return Err(Error::unsupported(
                    "wasmi has no epochs: slices of fuel are this adapter's own work",
                ));
            }
        };
        let failed = |error| stopped(Stage::Call, &Ended::Error(error));
        let mut returned = 0;
        let start = Instant::now();
        for _ in 0..iterations {
            if let Some(fuel) = fuel {
                self.store.set_fuel(fuel).map_err(failed)?;
            }
            returned |= function
                .call(&mut self.store, (*argument,))
                .map_err(failed)?;
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
