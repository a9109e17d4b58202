//! Loaded modules and their instances.

use crate::{
    adapter,
    exceptions::{self, trap},
    ffi::{self, Function},
    prepare::Prepared,
    watchdog::Watchdog,
};
use runtime_api::{Budget, BudgetKind, Entry, Error, Limits, Result, Stage, Trap, inside};
use std::{sync::Arc, time::Duration};
use wasmparser::ExternalKind;

/// Operand stack of machine code, which has its frames on the thread's own stack.
const AOT_STACK_BYTES: u32 = 16 * 1024;

/// A module that WAMR has loaded.
pub(crate) struct Module {
    pub(crate) loaded: Arc<ffi::Module>,
    /// Bytes of the file of machine code.
    pub(crate) code_bytes: Option<u64>,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) limits: Limits,
    pub(crate) metering: BudgetKind,
    /// Where calls have budgets in time.
    pub(crate) watchdog: Option<Arc<Watchdog>>,
    pub(crate) engine: String,
}

impl runtime_api::Module for Module {
    fn instantiate_movable(&self, budget: Budget) -> Result<Box<dyn runtime_api::Instance + Send>> {
        let stage = Stage::Instantiate;
        budget.require(self.metering)?;
        if self.prepared.excess {
            return Err(Error::trap(stage, Trap::ResourceLimit));
        }
        let stack_bytes = if self.loaded.is_aot() {
            AOT_STACK_BYTES
        } else {
            self.limits.max_stack_bytes
        };
        let instance = self.loaded.instantiate(stack_bytes).map_err(|message| {
            // "WASM module instantiate failed: " or "AOT module instantiate failed: ", then a trap's text or another.
            let reason = message
                .split_once("instantiate failed: ")
                .map_or(message.as_str(), |(_, reason)| reason);
            match exceptions::classify(reason) {
                Some(trap) => Error::trap(stage, trap),
                None => Error::Rejected { stage, message },
            }
        })?;
        let mut instance = Instance {
            instance,
            entries: Vec::new(),
            prepared: Arc::clone(&self.prepared),
            limits: self.limits,
            metering: self.metering,
            watchdog: self.watchdog.clone(),
            engine: self.engine.clone(),
        };
        if let Some(start) = &self.prepared.start {
            let start = instance.instance.function(start).map_err(adapter)?;
            instance.run(start, &[], budget, stage)?;
        }
        Ok(Box::new(instance))
    }

    fn code_bytes(&self) -> Option<u64> {
        self.code_bytes
    }
}

struct Instance {
    instance: ffi::Instance,
    entries: Vec<Function>,
    prepared: Arc<Prepared>,
    limits: Limits,
    metering: BudgetKind,
    /// Where calls have budgets in time.
    watchdog: Option<Arc<Watchdog>>,
    engine: String,
}

impl Instance {
    fn run(
        &mut self,
        function: Function,
        arguments: &[u32],
        budget: Budget,
        stage: Stage,
    ) -> Result<u32> {
        let native_stack_bytes = self.limits.max_stack_bytes as usize;
        let instance = &mut self.instance;
        let outcome = match (budget.time(), &self.watchdog) {
            (None, _) => instance.call(function, arguments, native_stack_bytes),
            (Some(_), None) => {
                return Err(adapter(
                    "a budget in time on a module that was loaded without",
                ));
            }
            (Some(time), Some(watchdog)) => {
                let terminator = instance.terminator();
                let (outcome, terminated) = watchdog.run(time, terminator, || {
                    instance.call(function, arguments, native_stack_bytes)
                });
                if terminated && outcome.is_ok() {
                    instance.clear_exception();
                }
                outcome
            }
        };
        match outcome {
            Ok(value) => Ok(value),
            Err(exception) => Err(stopped(stage, &self.engine, &exception)),
        }
    }

    fn alias(&self, export: &str, kind: ExternalKind, what: &str) -> Result<&str> {
        match self.prepared.exports.get(export) {
            Some(found) if found.kind == kind => Ok(&found.alias),
            Some(_) => Err(export_error(export, format!("not a {what}"))),
            None => Err(export_error(export, "no such export")),
        }
    }

    fn require_memory(&self) -> Result<()> {
        self.alias("memory", ExternalKind::Memory, "memory")
            .map(|_| ())
    }
}

impl runtime_api::Instance for Instance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        if parameters > 2 {
            return Err(Error::unsupported("entries of more than two parameters"));
        }
        let alias = self.alias(export, ExternalKind::Func, "function")?;
        let function = self
            .instance
            .function(alias)
            .map_err(|message| export_error(export, message))?;
        if function.parameters != parameters || function.results != 1 {
            return Err(export_error(
                export,
                format!(
                    "a function of {} i32 parameters and {} results",
                    function.parameters, function.results
                ),
            ));
        }
        self.entries.push(function);
        Ok(Entry(self.entries.len() - 1))
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32> {
        budget.require(self.metering)?;
        let function = self
            .entries
            .get(entry.0)
            .copied()
            .ok_or_else(|| adapter("an entry of another instance"))?;
        if function.parameters != arguments.len() {
            return Err(adapter(format!(
                "{} arguments for {} parameters",
                arguments.len(),
                function.parameters
            )));
        }
        self.run(function, arguments, budget, Stage::Call)
            .map(u32::cast_signed)
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        let alias = self.alias(export, ExternalKind::Global, "global")?;
        self.instance
            .global(alias)
            .map_err(|message| export_error(export, message))
    }

    fn memory_pages(&mut self) -> Result<u32> {
        self.require_memory()?;
        let pages = self.instance.memory().len() as u64 / ffi::PAGE;
        u32::try_from(pages).map_err(adapter)
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        self.require_memory()?;
        if self.instance.grow(pages) {
            Ok(())
        } else {
            Err(Error::trap(Stage::Call, Trap::ResourceLimit))
        }
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        self.require_memory()?;
        let memory = self.instance.memory();
        let place = inside(at, into.len() as u64, memory.len() as u64)?;
        into.copy_from_slice(&memory[place]);
        Ok(())
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        self.require_memory()?;
        let memory = self.instance.memory_mut();
        let place = inside(at, bytes.len() as u64, memory.len() as u64)?;
        memory[place].copy_from_slice(bytes);
        Ok(())
    }

    fn with_memory(&mut self, at: u32, length: u32, work: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        self.require_memory()?;
        let memory = self.instance.memory_mut();
        let place = inside(at, length.into(), memory.len() as u64)?;
        work(&mut memory[place]);
        Ok(())
    }

    fn call_by_hand(
        &mut self,
        entry: Entry,
        arguments: &[u32],
        budget: Budget,
        iterations: u64,
    ) -> Result<(Duration, i32)> {
        if budget != Budget::None {
            return Err(Error::unsupported(
                "WAMR has no deadlines: watching the time is this adapter's own work",
            ));
        }
        let (Some(function), [argument]) = (self.entries.get(entry.0).copied(), arguments) else {
            return Err(Error::unsupported("a call by hand takes one argument"));
        };
        if function.parameters != 1 {
            return Err(adapter("the entry does not take one argument"));
        }
        self.instance
            .call_by_hand(function, *argument, iterations)
            .map_err(|exception| Error::trap(Stage::Call, trap(&self.engine, &exception)))
    }
}

#[cold]
fn stopped(stage: Stage, engine: &str, exception: &str) -> Error {
    Error::trap(stage, trap(engine, exception))
}

fn export_error(name: &str, message: impl Into<String>) -> Error {
    Error::Export {
        name: name.to_owned(),
        message: message.into(),
    }
}
