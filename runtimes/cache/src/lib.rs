//! The private cache of compiled code: which file stands for which module ([`Key`]), why it may be believed, and where it is.
//!
//! What it holds is native code that an engine loads without checking it. So a file is loaded only if this cache wrote it:
//! the folder and every file belong to the user who runs and are closed to all others, and a file ends up in an engine only
//! with a message authentication code under a secret that exists in this folder alone. `docs/aot.md` has the whole argument.
//!
//! A cache never makes anything fail: what cannot be read is compiled, what cannot be written is not kept.

#[cfg(unix)]
mod folder;
#[cfg(not(unix))]
#[path = "no_folder.rs"]
mod folder;
mod key;

pub use key::Key;
use runtime_api::{Error, Form, Info, Module, Options, Result, Runtime, TrustedCode};
use std::path::Path;

/// Bytes of code beyond which nothing is kept or read.
const LARGEST_CODE: usize = 64 << 20;

/// What became of looking for code.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// This cache wrote it, for this key.
    Code(Vec<u8>),
    /// There is none.
    Absent,
    /// There is a file that is not believed, and why.
    Refused(String),
}

/// Where a module's code is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the cache.
    Cache,
    /// Compiled; the cache has it now.
    Kept,
    /// Compiled; the cache could not take it, or the engine has no form to keep.
    NotKept,
}

/// A folder that only its owner can use.
#[derive(Debug)]
pub struct Cache(folder::Folder);

impl Cache {
    /// Opens a cache, and makes its folder if there is none.
    ///
    /// # Errors
    /// Why the folder cannot be made, used or trusted, for people.
    pub fn open(path: &Path) -> std::result::Result<Self, String> {
        folder::Folder::open(path)
            .map(Self)
            .map_err(|reason| format!("{}: {reason}", path.display()))
    }

    /// Looks for code.
    pub fn find(&self, key: &Key) -> Found {
        self.0.find(key)
    }

    /// Keeps code, in place of what was there.
    ///
    /// # Errors
    /// Why it cannot be kept; nothing is left half written.
    pub fn keep(&self, key: &Key, code: &[u8]) -> std::result::Result<(), String> {
        if code.len() > LARGEST_CODE {
            return Err(format!("{} bytes are too many to keep", code.len()));
        }
        self.0.keep(key, code)
    }

    /// What [`Runtime::compile`] gives, from the cache where it has the code.
    ///
    /// # Errors
    /// Those of `compile`.
    pub fn compile(
        &self,
        runtime: &dyn Runtime,
        wasm: &[u8],
        options: &Options,
    ) -> Result<(Box<dyn Module>, Source)> {
        let key = match Key::new(runtime, wasm, options) {
            Ok(key) => key,
            Err(Error::Unsupported { .. }) => {
                return Ok((runtime.compile(wasm, options)?, Source::NotKept));
            }
            Err(error) => return Err(error),
        };
        if let Found::Code(code) = self.find(&key) {
            // What an engine does not take after all, such as on another processor, is compiled.
            if let Ok(module) = load(runtime, wasm, &code, options) {
                return Ok((module, Source::Cache));
            }
        }
        let code = runtime.precompile(wasm, options)?;
        let module = load(runtime, wasm, &code, options)?;
        let source = match self.keep(&key, &code) {
            Ok(()) => Source::Kept,
            Err(_) => Source::NotKept,
        };
        Ok((module, source))
    }
}

#[allow(
    unsafe_code,
    reason = "whose code is loaded is what this crate decides"
)]
fn load(
    runtime: &dyn Runtime,
    wasm: &[u8],
    code: &[u8],
    options: &Options,
) -> Result<Box<dyn Module>> {
    // SAFETY: the bytes are either from `precompile` of this runtime a moment ago, or authenticated as what a process of
    // this user got from it, for a key that has the module's hash in it.
    let code = unsafe { TrustedCode::new(code) };
    runtime.load_code(wasm, code, options)
}

/// An engine that compiles with a cache.
pub struct Caching {
    runtime: Box<dyn Runtime>,
    cache: std::result::Result<Cache, String>,
    info: Info,
}

impl Caching {
    /// `runtime`, with the cache of a folder. If that one cannot be used, the engine compiles without, and its description
    /// says why: build option `code cache`.
    pub fn new(runtime: Box<dyn Runtime>, folder: &Path) -> Self {
        let cache = Cache::open(folder);
        let mut info = runtime.info().clone();
        let text = match &cache {
            Ok(_) => folder.display().to_string(),
            Err(reason) => format!("off: {reason}"),
        };
        info.build.insert(Self::OPTION.to_owned(), text);
        Self {
            runtime,
            cache,
            info,
        }
    }

    /// The name of the build option.
    pub const OPTION: &'static str = "code cache";
}

impl Runtime for Caching {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        match &self.cache {
            Ok(cache) => cache
                .compile(self.runtime.as_ref(), wasm, options)
                .map(|(module, _)| module),
            Err(_) => self.runtime.compile(wasm, options),
        }
    }

    fn inspect(&self, wasm: &[u8], options: &Options, form: Form) -> Result<String> {
        self.runtime.inspect(wasm, options, form)
    }

    fn validate(&self, wasm: &[u8]) -> Result<()> {
        self.runtime.validate(wasm)
    }

    fn precompile(&self, wasm: &[u8], options: &Options) -> Result<Vec<u8>> {
        self.runtime.precompile(wasm, options)
    }

    fn precompile_for(&self, target: &str, wasm: &[u8], options: &Options) -> Result<Vec<u8>> {
        self.runtime.precompile_for(target, wasm, options)
    }

    fn code_identity(&self, options: &Options) -> Result<Vec<u8>> {
        self.runtime.code_identity(options)
    }

    fn load_code(
        &self,
        wasm: &[u8],
        code: TrustedCode<'_>,
        options: &Options,
    ) -> Result<Box<dyn Module>> {
        self.runtime.load_code(wasm, code, options)
    }
}
