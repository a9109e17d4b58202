//! A complete adapter for the worker protocol over wasmi, which lies or misbehaves on request. The tests use it to show that
//! the harness finds out; it is also the shortest example of how an engine becomes a worker.
//!
//! `lying_adapter BEHAVIOUR`, as in `assay conform PACK --adapter 'liar=lying_adapter stale-memory'`

use runtime_api::{
    Budget, BudgetKind, Entry, Error, Info, Instance, Module, Options, Result, Runtime,
};
use std::{io, process::ExitCode, thread, time::Duration};

/// What the adapter does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Behaviour {
    /// Nothing.
    Honest,
    /// Nothing, but it has no budget: only the end of its worker stops it.
    NoBudgets,
    /// Reads return what memory held before the call.
    StaleMemory,
    /// A call that traps returns 0.
    SwallowedTrap,
    /// f32.min takes the second of two zeros, whatever their signs.
    LostZeroSign,
    /// i32.add of constants gives one too many, as a wrong constant folder would.
    WrongFolding,
    /// Every third call gives one wrong bit.
    WrongBit,
    /// The feature `simd` is not listed: no lie, but less than the engine can.
    NoSimd,
    /// Limits of memory are ignored.
    IgnoredLimits,
    /// The process aborts in the third call.
    Crash,
    /// The third call never ends, whatever its budget.
    Hang,
    /// The third call writes something to stdout that is not the protocol.
    Nonsense,
}

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let behaviour = match name.as_str() {
        "honest" => Behaviour::Honest,
        "no-budgets" => Behaviour::NoBudgets,
        "stale-memory" => Behaviour::StaleMemory,
        "swallowed-trap" => Behaviour::SwallowedTrap,
        "lost-zero-sign" => Behaviour::LostZeroSign,
        "wrong-folding" => Behaviour::WrongFolding,
        "wrong-bit" => Behaviour::WrongBit,
        "no-simd" => Behaviour::NoSimd,
        "ignored-limits" => Behaviour::IgnoredLimits,
        "crash" => Behaviour::Crash,
        "hang" => Behaviour::Hang,
        "nonsense" => Behaviour::Nonsense,
        _ => {
            eprintln!("lying_adapter: there is no behaviour `{name}`");
            return ExitCode::from(2);
        }
    };
    let served = runtime_wasmi::runtime()
        .map_err(io::Error::other)
        .and_then(|engine| {
            let runtime = LyingRuntime::new(engine, behaviour, &name);
            assay::worker::serve(&runtime, io::stdin().lock(), io::stdout().lock())
        });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lying_adapter: {error}");
            ExitCode::FAILURE
        }
    }
}

struct LyingRuntime {
    engine: Box<dyn Runtime>,
    info: Info,
    behaviour: Behaviour,
}

impl LyingRuntime {
    fn new(engine: Box<dyn Runtime>, behaviour: Behaviour, name: &str) -> Self {
        let mut info = engine.info().clone();
        info.id = format!("liar.{name}");
        info.engine = "liar".to_owned();
        if behaviour == Behaviour::NoSimd {
            let features = &mut info.capabilities.features;
            features.retain(|feature| feature != "simd");
        }
        if behaviour == Behaviour::NoBudgets {
            info.capabilities.budgets = vec![BudgetKind::None];
        }
        Self {
            engine,
            info,
            behaviour,
        }
    }
}

impl Runtime for LyingRuntime {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        let mut options = *options;
        if self.behaviour == Behaviour::IgnoredLimits {
            options.limits.max_memory_pages = 65_536;
        }
        Ok(Box::new(LyingModule {
            module: self.engine.compile(wasm, &options)?,
            behaviour: self.behaviour,
        }))
    }
}

struct LyingModule {
    module: Box<dyn Module>,
    behaviour: Behaviour,
}

impl Module for LyingModule {
    fn instantiate(&self, budget: Budget) -> Result<Box<dyn Instance>> {
        Ok(Box::new(LyingInstance {
            instance: self.module.instantiate(budget)?,
            behaviour: self.behaviour,
            before: Vec::new(),
            calls: 0,
            entries: Vec::new(),
        }))
    }
}

struct LyingInstance {
    instance: Box<dyn Instance>,
    behaviour: Behaviour,
    before: Vec<u8>,
    calls: u32,
    /// Names of the entries that were resolved.
    entries: Vec<(Entry, String)>,
}

impl LyingInstance {
    /// Changes a word of memory.
    fn spoil(&mut self, at: u32, change: impl Fn(u32) -> u32) -> Result<()> {
        let mut word = [0; 4];
        self.instance.read(at, &mut word)?;
        let word = change(u32::from_le_bytes(word));
        self.instance.write(at, &word.to_le_bytes())
    }
}

impl Instance for LyingInstance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        let entry = self.instance.entry(export, parameters)?;
        self.entries.push((entry, export.to_owned()));
        Ok(entry)
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32> {
        self.calls += 1;
        match self.behaviour {
            Behaviour::StaleMemory => {
                let pages = self.instance.memory_pages()?;
                self.before = vec![0; pages as usize * 65_536];
                self.instance.read(0, &mut self.before)?;
            }
            Behaviour::Crash if self.calls == 3 => std::process::abort(),
            Behaviour::Hang if self.calls == 3 => loop {
                thread::sleep(Duration::from_secs(60));
            },
            Behaviour::Nonsense if self.calls == 3 => println!("all is well"),
            _ => {}
        }
        let returned = self.instance.call(entry, arguments, budget);
        let named = |name: &str| {
            let mut entries = self.entries.iter();
            entries.any(|(other, export)| *other == entry && export == name)
        };
        match self.behaviour {
            // Records of the numeric module: two operands and the result, 8 bytes each.
            Behaviour::LostZeroSign if named("f32.min") => {
                for record in 0..arguments[0] {
                    self.spoil(
                        record * 24 + 16,
                        |word| {
                            if word == 0x8000_0000 { 0 } else { word }
                        },
                    )?;
                }
            }
            Behaviour::WrongFolding if named("i32.add constant") => {
                self.spoil(arguments[0], |word| word.wrapping_add(1))?;
            }
            _ => {}
        }
        match returned {
            Err(Error::Trap { .. }) if self.behaviour == Behaviour::SwallowedTrap => Ok(0),
            Ok(value) if self.behaviour == Behaviour::WrongBit && self.calls.is_multiple_of(3) => {
                Ok(value ^ 0x10)
            }
            result => result,
        }
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        self.instance.global(export)
    }

    fn memory_pages(&mut self) -> Result<u32> {
        self.instance.memory_pages()
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        self.instance.grow(pages)
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        self.instance.read(at, into)?;
        if let Some(stale) = self.before.get(at as usize..at as usize + into.len()) {
            into.copy_from_slice(stale);
        }
        Ok(())
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        self.instance.write(at, bytes)
    }
}
