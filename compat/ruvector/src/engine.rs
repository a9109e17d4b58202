//! The engine on a thread of its own.
//!
//! The client asks for a runtime that all its threads may share. The engine traits of this project do not ask for that,
//! because some engines are bound to a thread: so one thread has the engine and the compiled modules, and calls are
//! sent to it.

use crate::errors;
use runtime_api::{Module, Options, Runtime};
use runtime_call::{CallError, Contract, KernelHost, Output, Tensors};
use ruvector_wasm::kernel::error::{KernelError, KernelResult};
use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread;

/// Identity of the engine.
pub(crate) const ENGINE: &str = "wasmi";

/// A kernel to compile.
pub(crate) struct Kernel {
    pub(crate) wasm: Vec<u8>,
    pub(crate) options: Options,
    pub(crate) contract: Contract,
}

/// A call: bytes of all regions. The output's are those on entry, which kernels that update it read.
pub(crate) struct Call {
    pub(crate) kernel: String,
    pub(crate) params: Vec<u8>,
    pub(crate) a: Vec<u8>,
    pub(crate) b: Vec<u8>,
    pub(crate) output: Vec<u8>,
    pub(crate) scratch_size: u32,
}

/// Where to send work; the thread ends when this is dropped.
pub(crate) struct Engine {
    work: Sender<Work>,
}

type Work = Box<dyn FnOnce(&mut Modules) + Send>;

/// What lives on the thread.
struct Modules {
    runtime: runtime_api::Result<Box<dyn Runtime>>,
    compiled: HashMap<String, (Box<dyn Module>, Contract)>,
}

impl Engine {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (work, inbox) = channel::<Work>();
        thread::Builder::new()
            .name("kernel engine".to_owned())
            .spawn(move || {
                let mut modules = Modules {
                    runtime: runtime_wasmi::runtime(),
                    compiled: HashMap::new(),
                };
                for work in inbox {
                    work(&mut modules);
                }
            })?;
        Ok(Self { work })
    }

    /// Compiles a kernel and keeps it under its id, in place of an earlier one.
    pub(crate) fn compile(&self, kernel: Kernel) -> KernelResult<()> {
        self.run(move |modules| {
            let runtime = modules.runtime.as_ref().map_err(errors::of_engine)?;
            let module = runtime
                .compile(&kernel.wasm, &kernel.options)
                .map_err(|error| errors::of_engine(&error))?;
            let id = kernel.contract.kernel.clone();
            modules.compiled.insert(id, (module, kernel.contract));
            Ok(())
        })
    }

    /// Calls a kernel in a fresh instance, as the client's manager makes one for each call, and answers the output's
    /// bytes.
    pub(crate) fn call(&self, call: Call) -> KernelResult<Vec<u8>> {
        self.run(move |modules| {
            let (module, contract) =
                modules
                    .compiled
                    .get(&call.kernel)
                    .ok_or_else(|| KernelError::KernelNotFound {
                        kernel_id: call.kernel.clone(),
                    })?;
            let tensors = Tensors {
                params: &call.params,
                a: &call.a,
                b: &call.b,
                output: Output::Updated(&call.output),
                scratch_size: call.scratch_size,
            };
            // Nothing is logged: the client's manager gets the error.
            KernelHost::new(module.as_ref(), contract.clone(), None, |_| ())
                .call(&tensors)
                .map(|served| served.output)
                .map_err(|error: CallError| errors::of_call(&error))
        })
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Modules) -> KernelResult<T> + Send + 'static,
    ) -> KernelResult<T> {
        let gone = || KernelError::RuntimeError {
            message: "the thread of the engine has ended".to_owned(),
        };
        let (answer, answered) = sync_channel(1);
        let work = Box::new(move |modules: &mut Modules| {
            // Whoever asked waits for the answer; if it is gone nobody wants it.
            let _ = answer.send(work(modules));
        });
        self.work.send(work).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}
