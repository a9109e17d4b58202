//! Classes of devices, as the design has them.

use crate::{error::Error, settings::Settings};
use runtime_api::{Budget, Runtime};

/// What a kind of device gives kernels. Where the builder is told no engine, it takes the one of the class: with the feature `wasmtime` its pool for
/// `Server` and `Threaded`, with the feature `wasmi` that interpreter for `Embedded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceClass {
    /// A server: 100 ms by epochs, 256 MiB per kernel. Meant for wasmtime with its pool.
    Server,
    /// A small device: 100 ms, 256 KiB (4 pages) and 32 KiB of stack per kernel, one thread. Meant for WAMR with machine code made ahead of time.
    Embedded,
    /// A server whose engine binds instances to threads: as `Server`, with a pool of so many threads. WebAssembly's own threads have no part in it:
    /// wasmtime 47 removed wasi-threads, and packs may not use them. Parallel are instances.
    Threaded(usize),
}

impl DeviceClass {
    /// The engine that a host of this class has where none is named.
    pub(crate) fn engine(self) -> Result<Box<dyn Runtime>, Error> {
        match self {
            #[cfg(feature = "wasmtime")]
            DeviceClass::Server | DeviceClass::Threaded(_) => {
                runtime_wasmtime::pooling().map_err(|error| Error::Build(error.to_string()))
            }
            #[cfg(feature = "wasmi")]
            DeviceClass::Embedded => {
                runtime_wasmi::runtime().map_err(|error| Error::Build(error.to_string()))
            }
            #[allow(unreachable_patterns, reason = "with both features each class has one")]
            _ => Err(Error::Build(
                "it has no engine, and the feature that has one for this class is off; name an engine".to_owned(),
            )),
        }
    }

    pub(crate) fn set(self, settings: &mut Settings) {
        settings.budget = Budget::Epoch(10);
        match self {
            DeviceClass::Server => settings.max_memory_pages = 4096,
            DeviceClass::Embedded => {
                settings.max_memory_pages = 4;
                settings.max_stack_bytes = 32 * 1024;
                settings.threads = 1;
            }
            DeviceClass::Threaded(threads) => {
                settings.max_memory_pages = 4096;
                settings.threads = threads;
            }
        }
    }
}
