//! One kernel of one generation: its module on its engine, and what became of its calls.

use crate::{
    bound::Threads,
    breaker::{Breaker, Leave, Switch},
    live::{Caller, Shape},
    measure::{Handles, Measure},
    pool::{Alive, Pool},
    terms::Terms,
};
use kernel_pack::Fallback;
use runtime_api::Module;
use runtime_call::CallError;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// Who answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// The kernel.
    Kernel,
    /// Another kernel of the same pack, which its manifest names as the fallback: the service is degraded.
    PackFallback,
    /// The same kernel of the generation before: the service is degraded.
    Previous,
    /// The application's native form: the service is degraded.
    Native,
}

/// What became of the calls of a host; `calls` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls made of kernels that were there.
    pub calls: u64,
    /// Served by the kernel.
    pub served: u64,
    /// Served by somebody else: never a success of the kernel.
    pub degraded: u64,
    /// Not served.
    pub failed: u64,
}

/// Where instances are.
pub(crate) enum Instances {
    /// They go from thread to thread.
    Pool(Box<Pool>),
    /// They stay on threads of the engine.
    Threads(Arc<Threads>),
}

/// One kernel of one generation.
pub(crate) struct Slot {
    pub(crate) kernel: String,
    pub(crate) engine: String,
    pub(crate) terms: Arc<Terms>,
    pub(crate) module: Arc<dyn Module>,
    pub(crate) fallback: Option<Fallback>,
    instances: Instances,
    alive: Alive,
    /// Under which the threads of an engine know it.
    number: u64,
    pub(crate) switch: Switch,
    handles: OnceLock<Option<Arc<Handles>>>,
}

impl Slot {
    pub(crate) fn new(
        (kernel, engine): (String, String),
        terms: Terms,
        module: Arc<dyn Module>,
        fallback: Option<Fallback>,
        instances: Instances,
        breaker: Breaker,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            kernel,
            engine,
            terms: Arc::new(terms),
            module,
            fallback,
            instances,
            alive: Alive::default(),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            switch: Switch::new(breaker),
            handles: OnceLock::new(),
        }
    }

    /// Names the generation in whose name it is measured from now on.
    pub(crate) fn belongs_to(&self, generation: u64, measure: Measure) {
        let handles = self.handles.get_or_init(|| {
            Handles::new(measure, &self.kernel, &self.engine, generation).map(Arc::new)
        });
        if let Some(handles) = handles.clone() {
            self.alive.tell(move |count| handles.instances(count));
        }
    }

    pub(crate) fn handles(&self) -> Option<&Handles> {
        self.handles.get().and_then(Option::as_deref)
    }

    /// Instances that are alive.
    pub(crate) fn alive(&self) -> usize {
        self.alive.count()
    }

    /// Serves a call; nobody else is asked.
    pub(crate) fn serve(
        &self,
        shape: &Shape<'_>,
        caller: &mut dyn Caller,
    ) -> Result<(), Box<CallError>> {
        let (module, alive) = (&self.module, &self.alive);
        match &self.instances {
            Instances::Pool(pool) => pool.serve(module.as_ref(), alive, &self.terms, shape, caller),
            Instances::Threads(threads) => {
                threads.serve(self.number, module, alive, &self.terms, shape, caller)
            }
        }
    }

    /// Whether the kernel is tried.
    pub(crate) fn is_tried(&self) -> bool {
        self.switch.asks() == Leave::Try
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Instances::Threads(threads) = &self.instances {
            threads.forget(self.number);
        }
    }
}
