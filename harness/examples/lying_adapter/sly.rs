//! Adapters that are honest where they see a test, and lie where they see a kernel: a module with its exports, whatever is in it.

use super::lines::{Edit, Edited, EditedWrites};
use kernel_abi::{Descriptor, Region, export};
use runtime_api::{
    Budget, BudgetKind, Entry, Error, Info, Instance, Module, Options, Result, Runtime, Stage, Trap,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

/// What such an adapter does. Kernels are meant where nothing else is said.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// Nothing; it notes the digest of every module in the file of the second argument.
    Noting,
    /// Calls that trap return 0.
    KernelTraps,
    /// Traps are other traps.
    RenamedTraps,
    /// Budgets are endless.
    KernelBudgets,
    /// Budgets are twenty times as large.
    LateBudgets,
    /// Budgets that are used up are used up at once.
    EarlyBudgets,
    /// Limits of memory are ignored.
    KernelLimits,
    /// Memory is said to have as many pages as before the call.
    HiddenGrowth,
    /// Reads give zeros from the third run of an instance on.
    ZeroedReads,
    /// Reads give what memory held before the call, but for output and scratch.
    HiddenWrites,
    /// Memory is made again what it was before the call, but for output and scratch.
    RepairedMemory,
    /// A kernel of the folder that is the second argument runs in the place of the module that resembles it.
    OwnKernels,
    /// All of it, but not for modules whose digests are in the file of the second argument, kernels or not.
    KnownModules,
    /// No budget and no limit is stated, or held.
    NoLimits,
    /// Nothing, but it looks at the process that started it, and writes to the file of the second argument what it could.
    Curious,
    /// A twentieth of the time is reported.
    Twentieth,
    /// A twentieth of the calls is made, and all are reported.
    FewerCalls,
}

/// By the name on the command line.
const WAYS: [(&str, Way); 17] = [
    ("noting", Way::Noting),
    ("kernel-traps", Way::KernelTraps),
    ("renamed-traps", Way::RenamedTraps),
    ("kernel-budgets", Way::KernelBudgets),
    ("late-budgets", Way::LateBudgets),
    ("early-budgets", Way::EarlyBudgets),
    ("kernel-limits", Way::KernelLimits),
    ("hidden-growth", Way::HiddenGrowth),
    ("zeroed-reads", Way::ZeroedReads),
    ("hidden-writes", Way::HiddenWrites),
    ("repaired-memory", Way::RepairedMemory),
    ("own-kernels", Way::OwnKernels),
    ("known-modules", Way::KnownModules),
    ("no-limits", Way::NoLimits),
    ("curious", Way::Curious),
    ("twentieth", Way::Twentieth),
    ("fewer-calls", Way::FewerCalls),
];

/// How many times as fast an adapter makes itself.
const TIMES_AS_FAST: u64 = 20;

/// The way of this name.
pub(super) fn named(name: &str) -> Option<Way> {
    let (_, way) = WAYS.into_iter().find(|(known, _)| *known == name)?;
    Some(way)
}

/// Serves the engine so.
pub(super) fn serve(engine: Box<dyn Runtime>, way: Way, name: &str) -> io::Result<()> {
    let mut info = engine.info().clone();
    info.id = format!("liar.{name}");
    info.engine = "liar".to_owned();
    if way == Way::NoLimits {
        info.capabilities.budgets = vec![BudgetKind::None];
        info.capabilities.memory_limit = false;
        info.capabilities.table_limit = false;
        info.capabilities.stack_limit = false;
    }
    let file = std::env::args()
        .nth(2)
        .map(PathBuf::from)
        .unwrap_or_default();
    if way == Way::Curious {
        fs::write(&file, look_around())?;
    }
    let mut known = BTreeSet::new();
    if way == Way::KnownModules {
        known.extend(fs::read_to_string(&file)?.lines().map(str::to_owned));
    }
    let runtime = SlyRuntime {
        engine,
        info,
        way,
        file,
        known,
    };
    let (input, output) = (io::stdin().lock(), io::stdout().lock());
    let no_request: Edit = |_| ();
    let (request, reply): (Edit, Edit) = match way {
        Way::Twentieth => (no_request, |reply| {
            for batch in batches(reply) {
                scale(&mut batch["nanoseconds"], |time| time / TIMES_AS_FAST);
            }
        }),
        Way::FewerCalls => (
            |request| scale(&mut request["iterations"], |calls| calls / TIMES_AS_FAST),
            |reply| {
                for batch in batches(reply) {
                    scale(&mut batch["iterations"], |calls| calls * TIMES_AS_FAST);
                }
            },
        ),
        _ => return assay_worker::serve(&runtime, input, output),
    };
    assay_worker::serve(
        &runtime,
        Edited::new(input, request),
        EditedWrites::new(output, reply),
    )
}

/// What an adapter finds where expected values may be: in the process that started it, and in what it was handed. A line for each thing.
fn look_around() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let parent = format!("/proc/{}", parent.unwrap_or_default().trim());
    let looks = ["mem", "environ", "maps"].map(|name| {
        let path = format!("{parent}/{name}");
        (name, fs::File::open(path).map(drop))
    });
    let folders = ["fd", "cwd"].map(|name| {
        let path = format!("{parent}/{name}");
        (name, fs::read_dir(path).map(drop))
    });
    let looks = looks.into_iter().chain(folders);
    let mut found: String = looks
        .map(|(name, came)| match came {
            Ok(()) => format!("{name}: open\n"),
            Err(error) => format!("{name}: {:?}\n", error.kind()),
        })
        .collect();
    // The first three, and the one that lists them.
    let handed = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    found += &format!("handed: {}\n", handed.saturating_sub(4));
    found
}

fn batches(reply: &mut Value) -> impl Iterator<Item = &mut Value> {
    let series = reply
        .pointer_mut("/timed/series")
        .and_then(Value::as_array_mut);
    let batches = series.into_iter().flatten();
    batches
        .filter_map(|series| series["batches"].as_array_mut())
        .flatten()
}

fn scale(number: &mut Value, by: impl Fn(u64) -> u64) {
    if let Some(now) = number.as_u64() {
        *number = by(now).into();
    }
}

struct SlyRuntime {
    engine: Box<dyn Runtime>,
    info: Info,
    way: Way,
    file: PathBuf,
    known: BTreeSet<String>,
}

impl SlyRuntime {
    /// A kernel of the folder that ends as this module does: where names of functions stand.
    fn own_kernel(&self, wasm: &[u8]) -> io::Result<Vec<u8>> {
        let mut best = (0, wasm.to_vec());
        for entry in fs::read_dir(&self.file)? {
            let own = fs::read(entry?.path())?;
            let pairs = own.iter().rev().zip(wasm.iter().rev());
            let same = pairs.take_while(|(own, other)| own == other).count();
            if same > best.0 {
                best = (same, own);
            }
        }
        Ok(best.1)
    }
}

impl Runtime for SlyRuntime {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        let failed = |error: io::Error| Error::Adapter {
            message: error.to_string(),
        };
        let digest = hex::encode(Sha256::digest(wasm));
        if self.way == Way::Noting {
            let mut options = OpenOptions::new();
            let file = options.create(true).append(true).open(&self.file);
            file.and_then(|mut file| writeln!(file, "{digest}"))
                .map_err(failed)?;
        }
        let name = export::FORWARD.as_bytes();
        let is_kernel = wasm.windows(name.len()).any(|bytes| bytes == name);
        let lies = match self.way {
            Way::KnownModules => !self.known.contains(&digest),
            Way::NoLimits => true,
            _ => is_kernel,
        };
        let mut options = *options;
        if lies
            && matches!(
                self.way,
                Way::KernelLimits | Way::NoLimits | Way::KnownModules
            )
        {
            options.limits.max_memory_pages = 65_536;
        }
        let own = match self.way {
            Way::OwnKernels if lies => self.own_kernel(wasm).map_err(failed)?,
            _ => wasm.to_vec(),
        };
        Ok(Box::new(SlyModule {
            module: self.engine.compile(&own, &options)?,
            way: lies.then_some(self.way),
        }))
    }
}

struct SlyModule {
    module: Box<dyn Module>,
    /// Nothing where it is honest.
    way: Option<Way>,
}

impl Module for SlyModule {
    fn instantiate(&self, budget: Budget) -> Result<Box<dyn Instance>> {
        Ok(Box::new(SlyInstance {
            instance: self.module.instantiate(budget)?,
            way: self.way,
            calls: 0,
            forward: Vec::new(),
            before: RefCell::default(),
        }))
    }
}

/// Memory before the last call of a kernel, with the regions that it may write.
#[derive(Default)]
struct Before {
    memory: Vec<u8>,
    written: Vec<Region>,
}

struct SlyInstance {
    instance: Box<dyn Instance>,
    way: Option<Way>,
    calls: u32,
    /// Entries of kernels.
    forward: Vec<Entry>,
    before: RefCell<Before>,
}

impl SlyInstance {
    fn does(&self, ways: &[Way]) -> bool {
        self.way
            .is_some_and(|way| way == Way::KnownModules || ways.contains(&way))
    }

    fn remember(&mut self, descriptor: u32) -> Result<()> {
        let mut memory = vec![0; self.instance.memory_pages()? as usize * 65_536];
        self.instance.read(0, &mut memory)?;
        let mut written = Vec::new();
        let at = descriptor as usize;
        if let Some(bytes) = memory.get(at..at + Descriptor::SIZE)
            && let Ok(bytes) = bytes.try_into()
        {
            let descriptor = Descriptor::from_le_bytes(bytes);
            written.extend([descriptor.output, descriptor.scratch]);
        }
        self.before = RefCell::new(Before { memory, written });
        Ok(())
    }

    /// Puts back what memory held before the call, from an address on.
    fn put_back(&self, at: u32, bytes: &mut [u8]) {
        let before = self.before.borrow();
        for (address, byte) in (u64::from(at)..).zip(bytes) {
            let free = before
                .written
                .iter()
                .all(|region| !(u64::from(region.offset)..region.end()).contains(&address));
            if let (true, Some(old)) = (free, before.memory.get(address as usize)) {
                *byte = *old;
            }
        }
    }
}

impl Instance for SlyInstance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        let entry = self.instance.entry(export, parameters)?;
        if export == export::FORWARD {
            self.forward.push(entry);
        }
        Ok(entry)
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32> {
        self.calls += 1;
        let forward = self.forward.contains(&entry);
        let seen = [Way::HiddenWrites, Way::RepairedMemory, Way::HiddenGrowth];
        if forward && self.does(&seen) {
            self.remember(arguments[0])?;
        }
        let times = match () {
            () if self.does(&[Way::LateBudgets]) => 20,
            () if self.does(&[Way::KernelBudgets]) => 1 << 30,
            () => 1,
        };
        let given = match budget {
            Budget::Epoch(_) if self.does(&[Way::EarlyBudgets]) => Budget::Epoch(1),
            Budget::Epoch(ticks) => Budget::Epoch(ticks.saturating_mul(times)),
            Budget::Fuel(fuel) => Budget::Fuel(fuel.saturating_mul(times)),
            Budget::None => Budget::None,
        };
        let called = self.instance.call(entry, arguments, given);
        if forward && self.way == Some(Way::RepairedMemory) {
            let mut memory = vec![0; self.instance.memory_pages()? as usize * 65_536];
            self.instance.read(0, &mut memory)?;
            self.put_back(0, &mut memory);
            self.instance.write(0, &memory)?;
        }
        match called {
            Err(Error::Trap { .. }) if self.does(&[Way::KernelTraps]) => Ok(0),
            Err(Error::Trap {
                stage: Stage::Call,
                trap,
            }) if self.does(&[Way::RenamedTraps]) => {
                let trap = match trap {
                    Trap::Unreachable => Trap::MemoryAccessViolation,
                    Trap::EpochDeadline => Trap::EpochDeadline,
                    _ => Trap::Unreachable,
                };
                Err(Error::trap(Stage::Call, trap))
            }
            called => called,
        }
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        self.instance.global(export)
    }

    fn memory_pages(&mut self) -> Result<u32> {
        let pages = self.instance.memory_pages()?;
        let before = self.before.borrow().memory.len() / 65_536;
        if self.does(&[Way::HiddenGrowth]) && before > 0 {
            return Ok(before as u32);
        }
        Ok(pages)
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        self.before = RefCell::default();
        self.instance.grow(pages)
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        self.instance.read(at, into)?;
        if self.calls >= 3 && self.does(&[Way::ZeroedReads]) {
            into.fill(0);
        }
        if self.does(&[Way::HiddenWrites]) {
            self.put_back(at, into);
        }
        Ok(())
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        // What the host wrote is no secret of the call's.
        let mut before = self.before.borrow_mut();
        let from = at as usize;
        if let Some(known) = before.memory.get_mut(from..from + bytes.len()) {
            known.copy_from_slice(bytes);
        }
        drop(before);
        self.instance.write(at, bytes)
    }
}
