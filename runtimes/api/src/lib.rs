//! What a WebAssembly engine looks like to the harness and to a kernel host: three traits for the three
//! phases that are timed and can fail on their own (compile, instantiate, call), one error type, one trap
//! taxonomy. No engine type appears here, and an adapter sees neither packs nor other engines.
//!
//! Engines and compiled modules serve many threads. Instances need not: some engines bind them to the thread that made them
//! ([`Module::instantiate_movable`]). The harness runs each engine in a process of its own all the same.

mod batch;
mod budget;
mod code;
mod error;
mod features;
mod imports;
mod info;
mod inside;
mod inspect;
mod lengths;
#[cfg(feature = "suite")]
pub mod suite;

pub use batch::{Stopped, call_each};
pub use budget::{Budget, BudgetKind, TICK};
pub use code::TrustedCode;
pub use error::{Error, Result, Stage, Trap};
pub use features::{PACK_FEATURES, probe_features};
pub use imports::{Functions, Guest, Import, Imports};
pub use info::{CODE_TARGET, COMPILED_ELSEWHERE, Capabilities, Info, Kind};
pub use inside::inside;
pub use inspect::Form;
pub use lengths::check_lengths;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a module may use at most; enforced by the adapter at compile, instantiate and call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Pages (64 KiB) of linear memory: a larger minimum is refused, `memory.grow` beyond it answers -1.
    pub max_memory_pages: u32,
    /// Elements of all tables in sum.
    pub max_table_elements: u32,
    /// Bytes of call stack for wasm code, where the engine lets this be set.
    pub max_stack_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_memory_pages: 4096,
            max_table_elements: 65_536,
            max_stack_bytes: 512 * 1024,
        }
    }
}

/// How a module is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Options {
    /// What the module may use at most.
    pub limits: Limits,
    /// Which kind of budget calls will carry; engines that instrument code do so for this kind only.
    /// A call with another kind than this one, or than `none`, is [`Error::Unsupported`].
    pub metering: BudgetKind,
}

/// An engine with one configuration.
pub trait Runtime: Send + Sync {
    /// Identity, version and what the engine can do; probed, not assumed.
    fn info(&self) -> &Info;

    /// Compiles a binary module. Text, components and ahead-of-time files are [`Error::Rejected`].
    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>>;

    /// Compiles a guest: a module that imports functions of its embedder. Kernels import nothing, so [`compile`](Self::compile) refuses one.
    ///
    /// # Errors
    /// Those of `compile`, for any import that is not one of `imports` too; [`Error::Unsupported`] where the adapter links no functions.
    fn compile_guest(
        &self,
        _wasm: &[u8],
        _options: &Options,
        _imports: &Imports,
    ) -> Result<Box<dyn Guest>> {
        Err(Error::unsupported(format!(
            "the adapter of {} links no functions of an embedder",
            self.info().id
        )))
    }

    /// What [`compile`](Self::compile) makes of a module, as text for people.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a form that the engine does not have or does not show; those of `compile`.
    fn inspect(&self, _wasm: &[u8], _options: &Options, form: Form) -> Result<String> {
        Err(Error::unsupported(format!(
            "{} does not show its code as {form}",
            self.info().id
        )))
    }

    /// Validates a binary module without compiling it; for measuring, where the engine offers it apart from compilation.
    ///
    /// # Errors
    /// [`Error::Rejected`] as [`compile`](Self::compile), [`Error::Unsupported`] where the engine does not offer it.
    fn validate(&self, _wasm: &[u8]) -> Result<()> {
        Err(Error::unsupported(
            "the engine validates only while it compiles",
        ))
    }

    /// Compiles a module to bytes that [`load_code`](Self::load_code) of the same engine takes in place of compiling.
    ///
    /// # Errors
    /// Those of [`compile`](Self::compile); [`Error::Unsupported`] where the engine has no such form.
    fn precompile(&self, _wasm: &[u8], _options: &Options) -> Result<Vec<u8>> {
        Err(no_code(self.info()))
    }

    /// Compiles a module for another machine, as the same engine there would with the same options; machine code is for the
    /// least processor of its kind.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a target that the engine does not compile for, with the reason; those of
    /// [`compile`](Self::compile).
    fn precompile_for(&self, _target: &str, _wasm: &[u8], _options: &Options) -> Result<Vec<u8>> {
        Err(no_code(self.info()))
    }

    /// Everything that the bytes of [`precompile`](Self::precompile) depend on besides the module, the options and
    /// [`info`](Self::info): for the keys of a cache. Bytes that only a program understands.
    ///
    /// # Errors
    /// As `precompile`.
    fn code_identity(&self, _options: &Options) -> Result<Vec<u8>> {
        Err(no_code(self.info()))
    }

    /// What [`compile`](Self::compile) gives, from `code` that `wasm` was compiled to with the same options.
    ///
    /// # Errors
    /// [`Error::Rejected`] for code of another version or configuration, as far as the engine sees that; those of `compile`.
    fn load_code(
        &self,
        _wasm: &[u8],
        _code: TrustedCode<'_>,
        _options: &Options,
    ) -> Result<Box<dyn Module>> {
        Err(no_code(self.info()))
    }
}

fn no_code(info: &Info) -> Error {
    Error::unsupported(format!(
        "{} has no compiled form of a module to keep",
        info.id
    ))
}

/// A compiled module.
pub trait Module: Send + Sync {
    /// Makes a fresh instance; data and element segments and a start function run under `budget`.
    ///
    /// An engine has this or [`instantiate_movable`](Self::instantiate_movable), which this then calls.
    fn instantiate(&self, budget: Budget) -> Result<Box<dyn Instance>> {
        let movable = self.instantiate_movable(budget)?;
        Ok(movable)
    }

    /// The same, for use by one thread after another: what a pool of instances needs.
    ///
    /// # Errors
    /// As [`instantiate`](Self::instantiate); [`Error::Unsupported`] where an instance stays on the thread that made it.
    fn instantiate_movable(&self, _budget: Budget) -> Result<Box<dyn Instance + Send>> {
        Err(Error::unsupported(
            "the engine's instances stay on the thread that made them",
        ))
    }

    /// Bytes of code that the engine made of the module, where it can say.
    fn code_bytes(&self) -> Option<u64> {
        None
    }
}

/// An export resolved once, outside timed regions; valid for the instance that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(pub usize);

/// An instance with its memory. After a trap it is dropped, never called again.
pub trait Instance {
    /// Resolves an exported function of `parameters` i32 parameters (0 to 2) and one i32 result.
    ///
    /// # Errors
    /// [`Error::Export`] if there is none of this name or its type is another.
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry>;

    /// Calls an entry with exactly as many arguments as it was resolved with.
    ///
    /// # Errors
    /// [`Error::Trap`] if the code was stopped, [`Error::Unsupported`] for a budget of another kind than compiled for,
    /// [`Error::Adapter`] for an entry that this instance never made or another number of arguments.
    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32>;

    /// Calls an entry of one parameter once with each of `arguments`, in order, until one does not return 0: a batch of kernel
    /// calls, one for each descriptor. Wasm code is entered for each all the same; what the calls have in common is done once.
    ///
    /// `budget` holds for each call and not for their sum: no call gets more than it would get alone, none less because of those
    /// before it, and a batch of n may take n times as long. Nothing is called where there are no arguments. What calls before
    /// the last one did to memory stays.
    ///
    /// # Errors
    /// Which call stopped the batch and why: [`Trap::KernelStatus`] if it returned something other than 0, after which the
    /// instance goes on; else as [`call`](Self::call).
    fn call_batch(
        &mut self,
        entry: Entry,
        arguments: &[u32],
        budget: Budget,
    ) -> std::result::Result<(), Stopped> {
        call_each(arguments, |argument| self.call(entry, &[argument], budget))
    }

    /// Value of an exported i32 global.
    fn global(&mut self, export: &str) -> Result<i32>;

    /// Pages of the memory exported as `memory`; [`Error::Export`] if there is none.
    fn memory_pages(&mut self) -> Result<u32>;

    /// Grows the memory by `pages`, as a host does before it places tensors.
    ///
    /// # Errors
    /// [`Error::Trap`] with [`Trap::ResourceLimit`] beyond the limit; nothing changed then.
    fn grow(&mut self, pages: u32) -> Result<()>;

    /// Copies `into.len()` bytes of memory from address `at`; [`Error::Access`] if they are not all inside.
    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()>;

    /// Copies `bytes` into memory at address `at`; [`Error::Access`], and nothing written, if they are not all inside.
    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()>;

    /// Lets `work` read and write `length` bytes of memory from address `at` where they are, without a copy in between where the
    /// engine can hand them out; `work` sees what memory holds. It runs exactly once, unless there is an error.
    ///
    /// # Errors
    /// [`Error::Access`] if the bytes are not all inside, [`Error::Export`] if there is no memory: `work` has not run then.
    fn with_memory(&mut self, at: u32, length: u32, work: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        // Before a buffer of this size is made.
        let memory_bytes = u64::from(self.memory_pages()?) * 65_536;
        inside(at, length.into(), memory_bytes)?;
        let mut bytes = vec![0; length as usize];
        self.read(at, &mut bytes)?;
        work(&mut bytes);
        self.write(at, &bytes)
    }

    /// What the last fuel budget left; `None` where the engine does not say or the module was not compiled for fuel.
    fn fuel_left(&mut self) -> Option<u64> {
        None
    }

    /// Makes `iterations` calls as an embedder would write them by hand with the engine's own typed interface, the budget
    /// set before each, and answers how long they took and all returned values joined by OR. The price of these traits is
    /// what [`call`](Self::call) takes beyond it.
    ///
    /// # Errors
    /// As `call`; [`Error::Unsupported`] where the adapter has no such loop, or the budget is the adapter's own work.
    fn call_by_hand(
        &mut self,
        _entry: Entry,
        _arguments: &[u32],
        _budget: Budget,
        _iterations: u64,
    ) -> Result<(Duration, i32)> {
        Err(Error::unsupported(
            "the adapter has no call by hand to compare with",
        ))
    }
}
