//! A complete adapter for the worker protocol over wasmi, which lies or misbehaves on request. The tests use it to show that
//! the harness finds out; it is also the shortest example of how an engine becomes a worker.
//!
//! `lying_adapter BEHAVIOUR`, as in `assay conform PACK --adapter 'liar=lying_adapter stale-memory'`. Behaviours that show where a kernel runs and
//! nowhere else are in `lying_adapter/sly.rs`; some take a file or a folder as a second argument.

#[path = "lying_adapter/lines.rs"]
mod lines;
#[path = "lying_adapter/sly.rs"]
mod sly;

use runtime_api::{
    Budget, BudgetKind, CODE_TARGET, COMPILED_ELSEWHERE, Entry, Error, Info, Instance, Module,
    Options, Result, Runtime, Stage, TrustedCode,
};
use std::{
    fs,
    io::{self, Write},
    mem, net,
    path::Path,
    process::{self, Command, ExitCode},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};
use wasmparser::{Validator, WasmFeatures};

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
    /// f32 denormals become zero, as NEON of 32-bit ARM does it: what f32.mul gives, and what calls return.
    FlushedDenormals,
    /// i32.add of constants gives one too many, as a wrong constant folder would.
    WrongFolding,
    /// Every third call gives one wrong bit.
    WrongBit,
    /// The feature `simd` is not listed: no lie, but less than the engine can.
    NoSimd,
    /// The feature `simd` is listed, and modules that need it are refused as if it were not.
    RefusesSimd,
    /// Nothing: it cannot make an instance, and says so.
    Unable,
    /// Limits of memory are ignored.
    IgnoredLimits,
    /// The process aborts in the third call.
    Crash,
    /// The third call never ends, whatever its budget.
    Hang,
    /// The third call writes something to stdout that is not the protocol.
    Nonsense,
    /// The third call ends the process as if all were well.
    Exit,
    /// The third call takes all the memory that it gets.
    EatMemory,
    /// The third call writes to stderr and never stops.
    FloodStderr,
    /// The third call writes a line to stdout that never ends.
    FloodLine,
    /// The third call writes replies to stdout and never stops.
    FloodReplies,
    /// The third call writes a byte of a reply now and then.
    Trickle,
    /// The third call starts a process that holds the pipes open, names it on stderr, and ends.
    Grandchild,
    /// Every trap costs memory that is never given back.
    Leak,
    /// Every second budget of fuel is a little more than it was asked for.
    LooseFuel,
    /// Nothing, but it loads code: what compiled code would do, its loading does here ([`load`]).
    Native,
    /// The same, and it says that it has no compiler.
    NativeElsewhere,
}

/// Calls on fuel, over all instances.
static FUEL_CALLS: AtomicU64 = AtomicU64::new(0);

/// By the name on the command line.
const BEHAVIOURS: [(&str, Behaviour); 26] = [
    ("honest", Behaviour::Honest),
    ("no-budgets", Behaviour::NoBudgets),
    ("stale-memory", Behaviour::StaleMemory),
    ("swallowed-trap", Behaviour::SwallowedTrap),
    ("lost-zero-sign", Behaviour::LostZeroSign),
    ("flushed-denormals", Behaviour::FlushedDenormals),
    ("wrong-folding", Behaviour::WrongFolding),
    ("wrong-bit", Behaviour::WrongBit),
    ("no-simd", Behaviour::NoSimd),
    ("refuses-simd", Behaviour::RefusesSimd),
    ("unable", Behaviour::Unable),
    ("ignored-limits", Behaviour::IgnoredLimits),
    ("crash", Behaviour::Crash),
    ("hang", Behaviour::Hang),
    ("nonsense", Behaviour::Nonsense),
    ("exit", Behaviour::Exit),
    ("eat-memory", Behaviour::EatMemory),
    ("flood-stderr", Behaviour::FloodStderr),
    ("flood-line", Behaviour::FloodLine),
    ("flood-replies", Behaviour::FloodReplies),
    ("trickle", Behaviour::Trickle),
    ("grandchild", Behaviour::Grandchild),
    ("leak", Behaviour::Leak),
    ("loose-fuel", Behaviour::LooseFuel),
    ("native", Behaviour::Native),
    ("native-elsewhere", Behaviour::NativeElsewhere),
];

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let known = BEHAVIOURS.into_iter().find(|(known, _)| *known == name);
    let served =
        match (known, sly::named(&name)) {
            (Some((_, behaviour)), _) => runtime_wasmi::runtime()
                .map_err(io::Error::other)
                .and_then(|engine| {
                    let runtime = LyingRuntime::new(engine, behaviour, &name);
                    assay_worker::serve(&runtime, io::stdin().lock(), io::stdout().lock())
                }),
            (None, Some(way)) => runtime_wasmi::runtime()
                .map_err(io::Error::other)
                .and_then(|engine| sly::serve(engine, way, &name)),
            (None, None) => {
                eprintln!("lying_adapter: there is no behaviour `{name}`");
                return ExitCode::from(2);
            }
        };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lying_adapter: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the third call does in place of running, for the behaviours that do something then.
fn misbehave(behaviour: Behaviour) {
    let mut stdout = io::stdout();
    match behaviour {
        Behaviour::Crash => process::abort(),
        Behaviour::Exit => process::exit(0),
        Behaviour::Hang => loop {
            thread::sleep(Duration::from_secs(60));
        },
        Behaviour::Nonsense => println!("all is well"),
        Behaviour::EatMemory => loop {
            mem::forget(std::hint::black_box(vec![1u8; 16 << 20]));
        },
        Behaviour::FloodStderr => loop {
            eprintln!("all is well");
        },
        Behaviour::FloodLine => while stdout.write_all(&[b'x'; 65_536]).is_ok() {},
        Behaviour::FloodReplies => {
            let reply = r#"{"id":3,"loaded":{"module":7}}"#;
            while writeln!(stdout, "{reply}").is_ok() {}
        }
        Behaviour::Trickle => {
            while stdout.write_all(b" ").and_then(|()| stdout.flush()).is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        }
        Behaviour::Grandchild => {
            match Command::new("sleep").arg("600").spawn() {
                Ok(child) => eprintln!("started process {}", child.id()),
                Err(error) => eprintln!("failed to start a process: {error}"),
            }
            process::exit(0);
        }
        _ => {}
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
        if matches!(behaviour, Behaviour::Native | Behaviour::NativeElsewhere) {
            info.build
                .insert(CODE_TARGET.to_owned(), "anything".to_owned());
        }
        if behaviour == Behaviour::NativeElsewhere {
            let how = "a stand-in".to_owned();
            info.build.insert(COMPILED_ELSEWHERE.to_owned(), how);
        }
        Self {
            engine,
            info,
            behaviour,
        }
    }
}

/// What compiled code begins with; the module follows.
const COMPILED: &[u8] = b"compiled ";
/// What code begins with that tries what it must not in the folder that follows, up to a line end; then comes compiled code.
const ESCAPING: &[u8] = b"escape to ";

/// What stands for running machine code, which can call the system as this program can: gives the module, and each thing that was
/// tried with what came of it.
fn load(code: &[u8]) -> Option<(&[u8], String)> {
    let (tried, code) = match code.strip_prefix(ESCAPING) {
        None => (String::new(), code),
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let folder = std::str::from_utf8(&rest[..end]).ok()?;
            (escape(Path::new(folder)), &rest[end + 1..])
        }
    };
    Some((code.strip_prefix(COMPILED)?, tried))
}

fn escape(folder: &Path) -> String {
    let there = folder.join("there");
    let attempts: [(&str, io::Result<()>); 10] = [
        ("make a folder", fs::create_dir(folder.join("made"))),
        ("write a file", fs::write(folder.join("written"), "x")),
        ("read a file", fs::read(&there).map(drop)),
        ("remove a file", fs::remove_file(&there)),
        ("listen", net::TcpListener::bind("127.0.0.1:0").map(drop)),
        ("send", net::UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("start a program", Command::new("true").status().map(drop)),
        ("look at others", fs::read("/proc/1/environ").map(drop)),
        ("look at itself", fs::read("/proc/self/status").map(drop)),
        (
            "start a thread",
            thread::Builder::new()
                .spawn(|| {})
                .map(|thread| drop(thread.join())),
        ),
    ];
    let said = attempts.map(|(what, came)| match came {
        Ok(()) => format!("{what}: done"),
        Err(error) => format!("{what}: {error}"),
    });
    said.join("\n")
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
        let without_simd = WasmFeatures::WASM2.difference(WasmFeatures::SIMD);
        let mut validator = Validator::new_with_features(without_simd);
        if self.behaviour == Behaviour::RefusesSimd && validator.validate_all(wasm).is_err() {
            return Err(Error::unsupported("no such thing is here"));
        }
        Ok(Box::new(LyingModule {
            module: self.engine.compile(wasm, &options)?,
            behaviour: self.behaviour,
        }))
    }

    fn precompile_for(&self, target: &str, wasm: &[u8], _: &Options) -> Result<Vec<u8>> {
        match (self.behaviour, target) {
            (Behaviour::Native, "anything") => Ok([COMPILED, wasm].concat()),
            _ => Err(Error::unsupported("it compiles for nothing")),
        }
    }

    fn load_code(
        &self,
        _: &[u8],
        code: TrustedCode<'_>,
        options: &Options,
    ) -> Result<Box<dyn Module>> {
        let refused = |message: String| Error::Rejected {
            stage: Stage::Compile,
            message,
        };
        match load(code.bytes()) {
            // Without a module the attempts are all that was asked for.
            Some((&[], tried)) => Err(refused(tried)),
            Some((wasm, _)) => self.compile(wasm, options),
            None => Err(refused("it is not compiled code".to_owned())),
        }
    }
}

struct LyingModule {
    module: Box<dyn Module>,
    behaviour: Behaviour,
}

impl Module for LyingModule {
    fn instantiate(&self, budget: Budget) -> Result<Box<dyn Instance>> {
        if self.behaviour == Behaviour::Unable {
            return Err(Error::Adapter {
                message: "there is no memory for it".to_owned(),
            });
        }
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
            behaviour if self.calls == 3 => misbehave(behaviour),
            _ => {}
        }
        let budget = match budget {
            Budget::Fuel(fuel) if self.behaviour == Behaviour::LooseFuel => {
                Budget::Fuel(fuel + FUEL_CALLS.fetch_add(1, Ordering::Relaxed) % 2 * 5)
            }
            budget => budget,
        };
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
            Behaviour::FlushedDenormals if named("f32.mul") => {
                for record in 0..arguments[0] {
                    self.spoil(record * 24 + 16, |word| {
                        if word & 0x7f80_0000 == 0 {
                            word & 0x8000_0000
                        } else {
                            word
                        }
                    })?;
                }
            }
            Behaviour::WrongFolding if named("i32.add constant") => {
                self.spoil(arguments[0], |word| word.wrapping_add(1))?;
            }
            _ => {}
        }
        match returned {
            Err(Error::Trap { .. }) if self.behaviour == Behaviour::SwallowedTrap => Ok(0),
            Err(Error::Trap { stage, trap }) if self.behaviour == Behaviour::Leak => {
                // An optimised build would not even ask for memory that nobody looks at.
                mem::forget(std::hint::black_box(vec![1u8; 64 * 1024]));
                Err(Error::Trap { stage, trap })
            }
            Ok(value) if self.behaviour == Behaviour::WrongBit && self.calls.is_multiple_of(3) => {
                Ok(value ^ 0x10)
            }
            // Small values are no floats, but numbers that something was counted to.
            Ok(0x1000..0x80_0000) if self.behaviour == Behaviour::FlushedDenormals => Ok(0),
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
