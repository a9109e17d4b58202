//! What a host is told before it begins.

use crate::{
    breaker::Breaker, class::DeviceClass, error::Error, failed::Failed, fallback::OnFailure,
    generation::Engine, host::Host, measure::Measure, settings::Settings, trust::Trust,
    watch::Watch,
};
use kernel_abi::Status;
use runtime_api::{Budget, Limits, Runtime};
use runtime_cache::Caching;
use runtime_call::Tensors;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Makes a [`Host`]. What is not said: budget 10 epoch ticks of 10 ms, grace period 5 minutes, [`OnFailure::Native`].
#[must_use]
pub struct HostBuilder {
    class: Option<DeviceClass>,
    engines: Vec<Box<dyn Runtime>>,
    trust: Trust,
    settings: Settings,
    code_cache: Option<PathBuf>,
}

impl Default for HostBuilder {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            class: None,
            engines: Vec::new(),
            trust: Trust::default(),
            code_cache: None,
            settings: Settings {
                budget: Budget::Epoch(10),
                grace: Duration::from_secs(300),
                on_failure: OnFailure::default(),
                native: None,
                breaker: Breaker::default(),
                watch: Watch::default(),
                measure: Measure::default(),
                isolate: false,
                max_memory_pages: limits.max_memory_pages,
                max_stack_bytes: limits.max_stack_bytes,
                threads: std::thread::available_parallelism().map_or(1, usize::from),
            },
        }
    }
}

impl HostBuilder {
    /// What a class of devices sets: budget, memory, threads. Say it first; what follows holds.
    pub fn class(mut self, class: DeviceClass) -> Self {
        class.set(&mut self.settings);
        self.class = Some(class);
        self
    }

    /// An engine. With several, each kernel runs on the first that takes it.
    pub fn engine(mut self, runtime: Box<dyn Runtime>) -> Self {
        self.engines.push(runtime);
        self
    }

    /// Whose packs are accepted; nobody's, if this is not said.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Who answers when a kernel fails.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.settings.on_failure = on_failure;
        self
    }

    /// The application's native form of kernels: [`Native`](crate::Native).
    pub fn native(
        mut self,
        native: impl Fn(&str, &Tensors<'_>) -> Option<Result<Vec<u8>, Status>> + Send + Sync + 'static,
    ) -> Self {
        self.settings.native = Some(Arc::new(native));
        self
    }

    /// What a call may cost, and each instantiation; a manifest may ask for less, never for more. All calls have the same kind.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.settings.budget = budget;
        self
    }

    /// How long there is a way back after an activation.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// When a kernel is left alone.
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.settings.breaker = breaker;
        self
    }

    /// When a pack is taken back without being asked.
    pub fn watch(mut self, watch: Watch) -> Self {
        self.settings.watch = watch;
        self
    }

    /// What is told to the recorder of the `metrics` facade.
    pub fn measure(mut self, measure: Measure) -> Self {
        self.settings.measure = measure;
        self
    }

    /// Whether callers do not trust each other: then an instance is reset after each call, or dropped where a reset would not undo all that
    /// the module can change. Costs a sweep over the instance's memory per call.
    pub fn isolate(mut self, isolate: bool) -> Self {
        self.settings.isolate = isolate;
        self
    }

    /// Pages of 64 KiB that a kernel may have; a manifest may ask for less.
    pub fn max_memory_pages(mut self, pages: u32) -> Self {
        self.settings.max_memory_pages = pages;
        self
    }

    /// Threads of an engine whose instances stay on the thread that made them; other engines serve on the caller's thread.
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads = threads;
        self
    }

    /// A private folder in which engines that compile keep their code from run to run.
    pub fn code_cache(mut self, folder: &Path) -> Self {
        self.code_cache = Some(folder.to_owned());
        self
    }

    /// The host.
    ///
    /// # Errors
    /// [`Error::Build`] without an engine, or with one that cannot honour the budget; [`Error::Record`] for a damaged record of failures.
    pub fn build(mut self) -> Result<Host, Error> {
        if self.engines.is_empty() {
            let Some(class) = self.class else {
                return Err(Error::Build(
                    "it has no engine; name one, or a class of devices".to_owned(),
                ));
            };
            self.engines.push(class.engine()?);
        }
        let kind = self.settings.budget.kind();
        let mut engines = Vec::new();
        for runtime in self.engines {
            let info = runtime.info();
            if !info.capabilities.budgets.contains(&kind) {
                return Err(Error::Build(format!(
                    "engine {} does not honour budgets of kind {kind}; choose another kind, or another engine",
                    info.id
                )));
            }
            let runtime = match &self.code_cache {
                Some(folder) => Box::new(Caching::new(runtime, folder)),
                None => runtime,
            };
            engines.push(Engine::new(runtime)?);
        }
        let failed = Failed::open(self.trust.failed_file())?;
        Host::new(engines, self.trust, self.settings, failed)
    }
}
