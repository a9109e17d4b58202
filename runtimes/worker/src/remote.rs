use super::{
    client::Worker,
    error::{RunError, WorkerError},
    launch::Launch,
    protocol::InstanceChoice,
};
use runtime_api::{Budget, Entry, Error, Info, Instance, Module, Options, Result, Runtime};
use runtime_call::{Call, Form, Invocation, Observation, Outcome, Read, Write};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, ValType};

/// What a request may take that no budget in time covers: moving bytes, calls without a budget or on fuel.
const WORK_TIME: Duration = Duration::from_secs(60);
/// What a new instance may take beyond its budget in time: memory is allocated and some engines translate only now.
const INSTANTIATE_TIME: Duration = Duration::from_secs(5);

/// An engine behind a worker process as a [`Runtime`], so that whatever is written over the engine traits, the shared suite above
/// all, runs against any executable that speaks the protocol.
///
/// The protocol has one instance per module: several instances of a module are the module loaded several times. A call that is
/// still running 500 ms after its budget in time ends with its worker. A worker that is lost is [`Error::Adapter`] for everything
/// that lived in it; the next compilation starts a new one.
pub struct Remote {
    info: Info,
    shared: Arc<Shared>,
}

struct Shared {
    launch: Launch,
    current: Mutex<Current>,
    has_global: bool,
}

/// Threads wait for each other here: a worker answers one request at a time.
struct Current {
    /// `None` after it was lost.
    worker: Option<Worker>,
    /// Counts workers: module numbers of one mean nothing to the next.
    generation: u64,
}

/// What is behind the lock holds its promises at every step, so that a panic elsewhere spoils nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Remote {
    /// Starts the worker.
    ///
    /// # Errors
    /// [`WorkerError`]; nothing is left running then.
    pub fn start(launch: &Launch) -> std::result::Result<Self, WorkerError> {
        let worker = Worker::start(launch)?;
        Ok(Self {
            info: worker.info().clone(),
            shared: Arc::new(Shared {
                launch: launch.clone(),
                has_global: worker.has_operation("global"),
                current: Mutex::new(Current {
                    worker: Some(worker),
                    generation: 0,
                }),
            }),
        })
    }
}

impl Runtime for Remote {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        let source = Source {
            shared: Arc::clone(&self.shared),
            generation: self.shared.restart_if_lost()?,
            wasm: wasm.to_vec(),
            options: *options,
            free: Mutex::new(Vec::new()),
        };
        let number = source.load()?;
        locked(&source.free).push(number);
        Ok(Box::new(RemoteModule {
            source: Arc::new(source),
        }))
    }
}

impl Shared {
    /// The generation of the worker that is there now.
    fn restart_if_lost(&self) -> Result<u64> {
        let mut current = locked(&self.current);
        if current.worker.is_none() {
            current.worker = Some(Worker::start(&self.launch).map_err(lost)?);
            current.generation += 1;
        }
        Ok(current.generation)
    }
}

fn lost(error: WorkerError) -> Error {
    Error::Adapter {
        message: format!("failed to {error}"),
    }
}

/// A module with the numbers under which the worker knows it and that no instance uses.
struct Source {
    shared: Arc<Shared>,
    generation: u64,
    wasm: Vec<u8>,
    options: Options,
    free: Mutex<Vec<u64>>,
}

impl Source {
    /// Asks the worker; one that breaks the conversation is lost with all that lived in it.
    fn ask<T>(
        &self,
        request: impl FnOnce(&mut Worker) -> std::result::Result<T, RunError>,
    ) -> Result<T> {
        let mut current = locked(&self.shared.current);
        let is_ours = current.generation == self.generation;
        let worker = match current.worker.as_mut() {
            Some(worker) if is_ours => worker,
            _ => {
                return Err(Error::Adapter {
                    message: "the worker in which this module lived was lost".to_owned(),
                });
            }
        };
        request(worker).map_err(|error| match error {
            RunError::Engine(error) => error,
            RunError::Worker(error) => {
                current.worker = None;
                lost(error)
            }
        })
    }

    fn load(&self) -> Result<u64> {
        self.ask(|worker| worker.load(&self.wasm, &self.options))
    }

    fn run(
        &self,
        number: u64,
        instance: InstanceChoice,
        budget: Budget,
        invocation: Invocation,
        allowance: Duration,
    ) -> Result<Observation> {
        self.ask(|worker| worker.run(number, instance, budget, invocation, allowance))
    }

    /// The number of a copy of the module with a fresh instance.
    fn instantiate(&self, budget: Budget) -> Result<u64> {
        let free = locked(&self.free).pop();
        let number = match free {
            Some(number) => number,
            None => self.load()?,
        };
        let made = self.run(
            number,
            InstanceChoice::Fresh,
            budget,
            nothing(),
            budget.time().map_or(WORK_TIME, |_| INSTANTIATE_TIME),
        );
        if made.is_err() {
            locked(&self.free).push(number);
        }
        made.map(|_| number)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        for number in std::mem::take(&mut *locked(&self.free)) {
            // A worker that is lost has forgotten the module already.
            drop(self.ask(|worker| worker.drop_module(number)));
        }
    }
}

struct RemoteModule {
    source: Arc<Source>,
}

impl Module for RemoteModule {
    fn instantiate_movable(&self, budget: Budget) -> Result<Box<dyn Instance + Send>> {
        Ok(Box::new(RemoteInstance {
            number: self.source.instantiate(budget)?,
            source: Arc::clone(&self.source),
            budget,
            entries: Vec::new(),
        }))
    }
}

struct RemoteInstance {
    source: Arc<Source>,
    number: u64,
    /// What it was made with.
    budget: Budget,
    entries: Vec<(String, usize)>,
}

impl Drop for RemoteInstance {
    fn drop(&mut self) {
        locked(&self.source.free).push(self.number);
    }
}

impl RemoteInstance {
    fn exchange(&self, invocation: Invocation, allowance: Duration) -> Result<Observation> {
        let observation = self.source.run(
            self.number,
            InstanceChoice::Same,
            Budget::None,
            invocation,
            allowance,
        )?;
        Ok(observation)
    }

    /// The protocol resolves an export only to call it. One that the module lacks is asked for all the same, of an instance made
    /// for this: the engine's own answer counts, and an adapter that calls it in spite of its type harms nothing.
    fn refusal(&self, export: &str, parameters: usize) -> Result<()> {
        let scratch = self.source.instantiate(self.budget)?;
        let arguments = vec![0; parameters];
        let ran = self.source.run(
            scratch,
            InstanceChoice::Same,
            Budget::None,
            Invocation {
                calls: vec![call(export, arguments, self.budget)],
                ..nothing()
            },
            WORK_TIME,
        );
        locked(&self.source.free).push(scratch);
        outcome(ran?).map(|_| ())
    }
}

impl Instance for RemoteInstance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        if !exports(&self.source.wasm, export, parameters) {
            self.refusal(export, parameters)?;
        }
        self.entries.push((export.to_owned(), parameters));
        Ok(Entry(self.entries.len() - 1))
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32> {
        let (export, parameters) = self.entries.get(entry.0).ok_or_else(|| Error::Adapter {
            message: "this instance never made that entry".to_owned(),
        })?;
        if *parameters != arguments.len() {
            return Err(Error::Adapter {
                message: format!(
                    "`{export}` was resolved with {parameters} parameters and is called with {}",
                    arguments.len()
                ),
            });
        }
        let invocation = Invocation {
            calls: vec![call(export, arguments.to_vec(), budget)],
            ..nothing()
        };
        let allowance = budget.time().map_or(WORK_TIME, |_| Duration::ZERO);
        outcome(self.exchange(invocation, allowance)?)
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        if !self.source.shared.has_global {
            return Err(Error::unsupported(
                "the adapter does not know the optional operation `global` of the protocol",
            ));
        }
        self.source.ask(|worker| worker.global(self.number, export))
    }

    fn memory_pages(&mut self) -> Result<u32> {
        Ok(self.exchange(reading(0, 0), WORK_TIME)?.pages)
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        let invocation = Invocation {
            pages: self.memory_pages()?.saturating_add(pages),
            ..nothing()
        };
        self.exchange(invocation, WORK_TIME).map(|_| ())
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        let length = length(into.len())?;
        let observation = self.exchange(reading(at, length), WORK_TIME)?;
        match observation.reads.first() {
            Some(bytes) if bytes.0.len() == into.len() => {
                into.copy_from_slice(&bytes.0);
                Ok(())
            }
            other => Err(Error::Adapter {
                message: format!(
                    "{} bytes were asked for, {} came",
                    into.len(),
                    other.map_or(0, |bytes| bytes.0.len())
                ),
            }),
        }
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let invocation = Invocation {
            writes: vec![Write::Bytes {
                at,
                bytes: bytes.to_vec(),
            }],
            ..nothing()
        };
        self.exchange(invocation, WORK_TIME).map(|_| ())
    }
}

fn nothing() -> Invocation {
    Invocation {
        pages: 0,
        writes: Vec::new(),
        calls: Vec::new(),
        reads: Vec::new(),
    }
}

fn reading(at: u32, length: u32) -> Invocation {
    Invocation {
        reads: vec![Read {
            at,
            length,
            form: Form::Bytes,
        }],
        ..nothing()
    }
}

fn call(export: &str, arguments: Vec<u32>, budget: Budget) -> Call {
    Call {
        export: export.to_owned(),
        arguments,
        budget,
    }
}

fn length(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::Adapter {
        message: format!("{length} bytes are more than a memory holds"),
    })
}

/// How the only call of an observation ended.
fn outcome(observation: Observation) -> Result<i32> {
    match observation.calls.into_iter().next() {
        Some(Outcome::Returned(value)) => Ok(value),
        Some(Outcome::Failed(error)) => Err(error),
        None => Err(Error::Adapter {
            message: "no call was made".to_owned(),
        }),
    }
}

/// Whether a module exports a function of this name, of this many i32 parameters (0 to 2) and one i32 result. A module that
/// cannot be read exports nothing.
fn exports(wasm: &[u8], name: &str, parameters: usize) -> bool {
    parameters <= 2
        && function_type(wasm, name).is_some_and(|(takes, gives)| {
            takes.len() == parameters
                && takes.iter().all(|kind| *kind == ValType::I32)
                && gives == [ValType::I32]
        })
}

/// Parameters and results of an exported function.
fn function_type(wasm: &[u8], name: &str) -> Option<(Vec<ValType>, Vec<ValType>)> {
    let mut types = Vec::new();
    let mut functions: Vec<u32> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::TypeSection(section) => {
                for kind in section.into_iter_err_on_gc_types() {
                    let kind = kind.ok()?;
                    types.push((kind.params().to_vec(), kind.results().to_vec()));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(kind) = import.ok()?.ty {
                        functions.push(kind);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for kind in section {
                    functions.push(kind.ok()?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    if export.name == name && export.kind == ExternalKind::Func {
                        let kind = *functions.get(export.index as usize)?;
                        return types.get(kind as usize).cloned();
                    }
                }
                return None;
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_fits_by_name_and_type() {
        let wasm = wat::parse_str(
            r#"(module (memory (export "memory") 1)
              (func (export "none") (result i32) (i32.const 0))
              (func (export "two") (param i32 i32) (result i32) (i32.const 0))
              (func (export "wide") (param i64) (result i32) (i32.const 0))
              (func (export "nothing") (param i32)))"#,
        )
        .unwrap();
        assert!(exports(&wasm, "none", 0));
        assert!(exports(&wasm, "two", 2));
        for (name, parameters) in [
            ("none", 1),
            ("two", 1),
            ("wide", 1),
            ("nothing", 1),
            ("memory", 0),
            ("absent", 0),
        ] {
            assert!(!exports(&wasm, name, parameters), "{name}");
        }
        assert!(!exports(b"no module", "none", 0));
    }
}
