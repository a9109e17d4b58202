//! The yardstick: the kernels' own source compiled natively, behind the traits of an engine, so that it is timed by the same
//! loop in a process of its own. It runs no wasm: a "module" is the text `native:` and the name of what it is.

use crate::registry::{NATIVE, NATIVE_CPU};
use kernel_core::Kernel;
use runtime_api::{
    Budget, BudgetKind, Capabilities, Entry, Error, Info, Instance, Kind, Module, Options, Result,
    Runtime, Stage, inside,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Compiled for the processors that the target's baseline names.
pub const BASELINE: &str = NATIVE;
/// Compiled for this very processor.
pub const TUNED: &str = NATIVE_CPU;

/// A kernel that returns its argument at once.
pub(super) const EMPTY: &str = "empty";
/// A call that traps, and the fresh instance after it; of engines only.
pub(super) const TRAP: &str = "trap";
/// STREAM's triad: a[i] = b[i] + 3 * c[i].
pub(super) const TRIAD: &str = "triad";
/// What the triad multiplies with.
const FACTOR: f64 = 3.0;

const PREFIX: &str = "native:";
const PAGE: usize = 65_536;

/// The module of a kernel, [`EMPTY`] or [`TRIAD`].
pub(super) fn module(name: &str) -> Vec<u8> {
    format!("{PREFIX}{name}").into_bytes()
}

/// The native kernels of this build.
///
/// # Errors
/// [`Error::Unsupported`] if `id` is [`TUNED`] and this executable was not compiled for this very processor.
pub fn runtime(id: &str) -> Result<Box<dyn Runtime>> {
    if id == TUNED && !env!("ASSAY_BUILD").contains("target-cpu=native") {
        return Err(Error::unsupported(
            "this executable was not compiled with RUSTFLAGS=\"-C target-cpu=native\"",
        ));
    }
    Ok(Box::new(Native {
        info: Info {
            id: id.to_owned(),
            engine: "native".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kind: Kind::Aot,
            build: BTreeMap::from([
                ("compiler".to_owned(), env!("ASSAY_RUSTC").to_owned()),
                ("build".to_owned(), env!("ASSAY_BUILD").to_owned()),
            ]),
            capabilities: Capabilities {
                features: Vec::new(),
                budgets: vec![BudgetKind::None],
                interruption: "none".to_owned(),
                memory_limit: true,
                table_limit: false,
                stack_limit: false,
            },
        },
    }))
}

struct Native {
    info: Info,
}

#[derive(Clone, Copy)]
enum Code {
    Empty,
    Triad,
    Kernel(&'static Kernel),
}

impl Runtime for Native {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        if options.metering != BudgetKind::None {
            return Err(Error::unsupported("native code has no budgets"));
        }
        let name = std::str::from_utf8(wasm)
            .ok()
            .and_then(|text| text.strip_prefix(PREFIX));
        let code = match name {
            Some(EMPTY) => Some(Code::Empty),
            Some(TRIAD) => Some(Code::Triad),
            Some(name) => kernel_core::kernel(name).map(Code::Kernel),
            None => None,
        };
        Ok(Box::new(NativeModule {
            code: code.ok_or_else(|| Error::Rejected {
                stage: Stage::Compile,
                message: "no native kernel has this name".to_owned(),
            })?,
            max_pages: options.limits.max_memory_pages,
        }))
    }
}

struct NativeModule {
    code: Code,
    max_pages: u32,
}

impl Module for NativeModule {
    fn instantiate(&self, budget: Budget) -> Result<Box<dyn Instance>> {
        unmetered(budget)?;
        Ok(Box::new(NativeInstance {
            code: self.code,
            max_pages: self.max_pages,
            memory: Vec::new(),
            entries: Vec::new(),
            arrays: Default::default(),
        }))
    }
}

#[derive(Clone, Copy)]
enum Function {
    Init,
    Forward,
    Cleanup,
}

struct NativeInstance {
    code: Code,
    max_pages: u32,
    /// Plays linear memory.
    memory: Vec<u8>,
    entries: Vec<Function>,
    /// What the triad works on.
    arrays: [Vec<f64>; 3],
}

impl NativeInstance {
    fn run(&mut self, function: Function, arguments: &[u32]) -> i32 {
        match (self.code, function, arguments) {
            (Code::Empty, Function::Forward, [argument]) => argument.cast_signed(),
            (Code::Kernel(kernel), Function::Forward, [descriptor]) => {
                kernel.forward(&mut self.memory, 0, *descriptor).0
            }
            (Code::Kernel(kernel), Function::Init, [params, length]) => {
                kernel.init(&mut self.memory, 0, *params, *length).0
            }
            (Code::Triad, Function::Init, [elements, _]) => {
                self.arrays = [0.0, 1.0, 2.0].map(|value| vec![value; *elements as usize]);
                0
            }
            (Code::Triad, Function::Forward, _) => {
                let [a, b, c] = &mut self.arrays;
                for ((a, b), c) in a.iter_mut().zip(b.iter()).zip(c.iter()) {
                    *a = *b + FACTOR * *c;
                }
                0
            }
            (Code::Triad, Function::Cleanup, _) => {
                let expected = 1.0 + FACTOR * 2.0;
                i32::from(self.arrays[0].iter().any(|value| *value != expected))
            }
            _ => 0,
        }
    }

    fn range(&self, at: u32, length: usize) -> Result<std::ops::Range<usize>> {
        inside(at, length as u64, self.memory.len() as u64)
    }

    fn function(&self, entry: Entry) -> Result<Function> {
        self.entries
            .get(entry.0)
            .copied()
            .ok_or_else(|| Error::Adapter {
                message: format!("there is no entry {}", entry.0),
            })
    }
}

impl Instance for NativeInstance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        self.entries.push(match (export, parameters) {
            (kernel_abi::export::INIT, 2) => Function::Init,
            (kernel_abi::export::CLEANUP, 0) => Function::Cleanup,
            (_, 1) => Function::Forward,
            _ => {
                return Err(Error::Export {
                    name: export.to_owned(),
                    message: "no native function has this name and type".to_owned(),
                });
            }
        });
        Ok(Entry(self.entries.len() - 1))
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32> {
        unmetered(budget)?;
        let function = self.function(entry)?;
        // Unknown to the optimiser, as they are to compiled wasm.
        Ok(self.run(function, std::hint::black_box(arguments)))
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        Err(Error::Export {
            name: export.to_owned(),
            message: "native code has no globals".to_owned(),
        })
    }

    fn memory_pages(&mut self) -> Result<u32> {
        Ok((self.memory.len() / PAGE) as u32)
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        let wanted = self.memory_pages()?.saturating_add(pages);
        if wanted > self.max_pages {
            return Err(Error::trap(Stage::Call, runtime_api::Trap::ResourceLimit));
        }
        self.memory.resize(wanted as usize * PAGE, 0);
        Ok(())
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        let range = self.range(at, into.len())?;
        into.copy_from_slice(&self.memory[range]);
        Ok(())
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let range = self.range(at, bytes.len())?;
        self.memory[range].copy_from_slice(bytes);
        Ok(())
    }

    fn with_memory(&mut self, at: u32, length: u32, work: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        let range = self.range(at, length as usize)?;
        work(&mut self.memory[range]);
        Ok(())
    }

    fn call_by_hand(
        &mut self,
        entry: Entry,
        arguments: &[u32],
        budget: Budget,
        iterations: u64,
    ) -> Result<(Duration, i32)> {
        unmetered(budget)?;
        let function = self.function(entry)?;
        let mut returned = 0;
        let start = Instant::now();
        for _ in 0..iterations {
            returned |= self.run(function, std::hint::black_box(arguments));
        }
        Ok((start.elapsed(), returned))
    }
}

fn unmetered(budget: Budget) -> Result<()> {
    match budget {
        Budget::None => Ok(()),
        _ => Err(Error::unsupported("native code has no budgets")),
    }
}
