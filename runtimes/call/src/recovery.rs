use crate::{
    CallError, Image, Tensors,
    call::{initialise, place, run},
};
use kernel_abi::{Status, export};
use runtime_api::{Budget, Entry, Instance, Module};
use std::fmt;

/// The native form of a kernel: the output bytes for the same tensors, or the status with which it refuses them.
pub type Native<'a> = dyn Fn(&Tensors<'_>) -> Result<Vec<u8>, Status> + 'a;

/// Which kernel a host serves, and what its calls may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The kernel's id.
    pub kernel: String,
    /// Identity of the engine, for the log.
    pub engine: String,
    /// The export that is called, such as `kernel_forward`.
    pub entry: String,
    /// From this address on the memory is the host's.
    pub heap_base: u32,
    /// Pages of memory that the kernel may have.
    pub max_pages: u32,
    /// Budget of an instantiation, of `kernel_init` and of the entry, each for itself.
    pub budget: Budget,
}

/// Which path served a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The kernel.
    Kernel,
    /// The native reference, because the kernel failed: the service is degraded.
    Fallback,
}

/// An output, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Bytes of the output.
    pub output: Vec<u8>,
    /// Which path gave them.
    pub path: Path,
}

/// A kernel that failed, with the context that a log needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kernel, its engine and its budget.
    pub contract: Contract,
    /// Number of the call, from 1.
    pub call: u64,
    /// Bytes of parameters, input a, input b and scratch.
    pub sizes: [usize; 4],
    /// Why it failed.
    pub error: CallError,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [params, a, b, scratch] = self.sizes;
        write!(
            f,
            "call {} of `{}` of kernel {} on {} (budget {:?}; bytes: params {params}, a {a}, b {b}, scratch {scratch}) failed to {}",
            self.call,
            self.contract.entry,
            self.contract.kernel,
            self.contract.engine,
            self.contract.budget,
            self.error
        )
    }
}

/// What became of the calls; `calls` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Calls made.
    pub calls: u64,
    /// Served by the kernel.
    pub served: u64,
    /// Served by the fallback: never a success of the kernel.
    pub degraded: u64,
    /// Not served.
    pub failed: u64,
}

/// A kernel as an application calls it. When it fails, in this order: the failure is logged with its context, the instance
/// is released, the native reference answers if there is one, and the call counts as degraded. The next call gets a fresh
/// instance.
pub struct KernelHost<'a> {
    module: &'a dyn Module,
    contract: Contract,
    fallback: Option<Box<Native<'a>>>,
    log: Box<dyn FnMut(&Failure) + 'a>,
    live: Option<Live>,
    after_call: AfterCall,
    metrics: Metrics,
}

/// What becomes of an instance after a call that was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterCall {
    Keep,
    Reset,
    Drop,
}

struct Live {
    instance: Box<dyn Instance>,
    init: Option<Entry>,
    entry: Entry,
    /// Taken after `kernel_init`, where the host resets.
    image: Option<Image>,
}

impl<'a> KernelHost<'a> {
    /// A host for a compiled module; it is instantiated when it is called. `log` hears of every failure.
    pub fn new(
        module: &'a dyn Module,
        contract: Contract,
        fallback: Option<Box<Native<'a>>>,
        log: impl FnMut(&Failure) + 'a,
    ) -> Self {
        Self {
            module,
            contract,
            fallback,
            log: Box::new(log),
            live: None,
            after_call: AfterCall::Keep,
            metrics: Metrics::default(),
        }
    }

    /// The same host with an instance that is reset after each call: nothing that a caller's tensors held, and nothing that
    /// the kernel kept of them in memory, is there for the next one. [`Image`] says what that undoes and what it does not.
    pub fn with_reset(mut self) -> Self {
        self.after_call = AfterCall::Reset;
        self
    }

    /// The same host with a fresh instance for each call, which also undoes what a reset does not: for modules with state outside of their memory,
    /// of which `kernel_pack::ModuleFacts::is_resettable` is false.
    pub fn with_fresh_instances(mut self) -> Self {
        self.after_call = AfterCall::Drop;
        self
    }

    /// Calls the kernel, and the fallback if the kernel fails.
    ///
    /// # Errors
    /// Tensors that do not fit the memory that the kernel may have, and the kernel's failure where no fallback is, or the
    /// fallback refuses the tensors too.
    pub fn call(&mut self, tensors: &Tensors<'_>) -> Result<Served, CallError> {
        self.metrics.calls += 1;
        let error = match self.call_kernel(tensors) {
            Ok(output) => {
                self.metrics.served += 1;
                return Ok(Served {
                    output,
                    path: Path::Kernel,
                });
            }
            Err(error) => error,
        };
        (self.log)(&Failure {
            contract: self.contract.clone(),
            call: self.metrics.calls,
            sizes: [
                tensors.params.len(),
                tensors.a.len(),
                tensors.b.len(),
                tensors.scratch_size as usize,
            ],
            error: error.clone(),
        });
        let answer = match (&self.fallback, &error) {
            // The caller's mistake, not the kernel's failure: nothing was run.
            (_, CallError::Place(_)) => None,
            (fallback, _) => {
                self.live = None;
                fallback.as_ref().and_then(|native| native(tensors).ok())
            }
        };
        match answer {
            Some(output) => {
                self.metrics.degraded += 1;
                Ok(Served {
                    output,
                    path: Path::Fallback,
                })
            }
            None => {
                self.metrics.failed += 1;
                Err(error)
            }
        }
    }

    /// What became of the calls so far.
    pub fn metrics(&self) -> Metrics {
        self.metrics
    }

    fn call_kernel(&mut self, tensors: &Tensors<'_>) -> Result<Vec<u8>, CallError> {
        let contract = &self.contract;
        let live = match &mut self.live {
            Some(live) => live,
            none => {
                let mut instance = self.module.instantiate(contract.budget)?;
                let init = Some(instance.entry(export::INIT, 2)?);
                let entry = instance.entry(&contract.entry, 1)?;
                none.insert(Live {
                    instance,
                    init,
                    entry,
                    image: None,
                })
            }
        };
        let instance = live.instance.as_mut();
        let frame = place(instance, tensors, contract.heap_base, contract.max_pages)?;
        if let Some(init) = live.init {
            initialise(instance, init, frame.placed().params, contract.budget)?;
            live.init = None;
            if self.after_call == AfterCall::Reset {
                live.image = Some(Image::take(instance, contract.heap_base)?);
            }
        }
        let output = run(instance, live.entry, &frame, contract.budget)?;
        if let Some(image) = &live.image {
            // An instance that cannot be reset serves nobody else; this call's output is right all the same.
            if image.restore(instance).is_err() {
                self.live = None;
            }
        }
        if self.after_call == AfterCall::Drop {
            self.live = None;
        }
        Ok(output)
    }
}
