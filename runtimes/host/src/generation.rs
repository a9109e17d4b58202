//! A pack that was prepared, and one that serves.

use crate::{
    bound::Threads,
    compiled::Compiled,
    error::Error,
    health::{self, Health},
    index::Index,
    live::Live,
    pool::locked,
    settings::Settings,
    slot::{Instances, Slot},
    terms::{Between, Terms},
    watch::Failures,
};
use kernel_pack::{Feature, Pack, PackKernel, compat};
use runtime_api::{Budget, Limits, Module, Options, Runtime};
use semver::Version;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// An engine of a host, with what the gates of packs look at.
pub(crate) struct Engine {
    pub(crate) runtime: Box<dyn Runtime>,
    version: Version,
    features: BTreeSet<Feature>,
    /// Started with the first kernel of an engine that binds instances to threads.
    threads: Mutex<Option<Arc<Threads>>>,
}

impl Engine {
    pub(crate) fn new(runtime: Box<dyn Runtime>) -> Result<Self, Error> {
        let info = runtime.info();
        let version = Version::parse(&info.version).map_err(|error| {
            Error::Build(format!(
                "engine {}: version {}: {error}",
                info.id, info.version
            ))
        })?;
        let features = info.capabilities.features.iter();
        let features = features.filter_map(|name| Feature::parse(name)).collect();
        Ok(Self {
            version,
            features,
            threads: Mutex::default(),
            runtime,
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.runtime.info().id
    }

    fn threads(&self, count: usize) -> Result<Arc<Threads>, String> {
        let mut threads = locked(&self.threads);
        if let Some(threads) = threads.as_ref() {
            return Ok(Arc::clone(threads));
        }
        let started = Threads::start(count).map_err(|error| format!("start threads: {error}"))?;
        Ok(Arc::clone(threads.insert(Arc::new(started))))
    }
}

/// A pack that is verified, compiled and in good health, and that serves nobody yet.
pub struct Prepared {
    pub(crate) pack: Arc<Pack>,
    pub(crate) slots: Vec<Arc<Slot>>,
    pub(crate) health: Vec<Health>,
    pub(crate) allow_rollback: bool,
    /// Which host prepared it.
    pub(crate) host: u64,
}

impl Prepared {
    /// The verified pack.
    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// What the health check of each kernel was.
    pub fn health(&self) -> &[Health] {
        &self.health
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("pack", &self.pack.name())
            .field("version", &self.pack.version().to_string())
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

/// A pack that serves or served.
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) pack: Arc<Pack>,
    /// In the order of the pack.
    slots: Vec<Arc<Slot>>,
    index: Index,
    pub(crate) failures: Failures,
}

impl Generation {
    pub(crate) fn new(number: u64, prepared: Prepared, settings: &Settings) -> Self {
        let slots = prepared.slots;
        for slot in &slots {
            slot.belongs_to(number, settings.measure);
        }
        Self {
            number,
            pack: prepared.pack,
            index: Index::of(slots.iter().map(|slot| slot.kernel.as_str())),
            slots,
            failures: Failures::new(settings.watch),
        }
    }

    pub(crate) fn slot(&self, kernel: &str) -> Option<&Arc<Slot>> {
        let mut found = self.index.candidates(kernel);
        found.find_map(|at| self.slots.get(at).filter(|slot| slot.kernel == kernel))
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.iter()
    }

    /// Name and version.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.pack.name(), self.pack.version())
    }
}

/// Compiles all kernels of a pack and asks their vectors. All are compiled before any is asked.
pub(crate) fn prepare(
    pack: &Pack,
    engines: &[Engine],
    settings: &Settings,
    compiled: &Compiled,
) -> Result<(Vec<Arc<Slot>>, Vec<Health>), Error> {
    let kernels = pack.kernels().iter();
    let slots: Vec<_> = kernels
        .map(|kernel| slot(kernel, engines, settings, compiled).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let health = pack.kernels().iter().zip(&slots);
    let health = health
        .map(|(kernel, slot)| health::check(pack, kernel, slot))
        .collect::<Result<_, _>>()?;
    Ok((slots, health))
}

/// A kernel on the first engine that takes it.
fn slot(
    kernel: &PackKernel,
    engines: &[Engine],
    settings: &Settings,
    compiled: &Compiled,
) -> Result<Slot, Error> {
    let mut reasons = Vec::new();
    for (index, engine) in engines.iter().enumerate() {
        match slot_on((index, engine), kernel, settings, compiled) {
            Ok(slot) => return Ok(slot),
            Err(reason) => reasons.push(format!("{}: {reason}", engine.id())),
        }
    }
    Err(Error::NoEngine {
        kernel: kernel.id().to_owned(),
        reasons: reasons.join("; "),
    })
}

fn slot_on(
    (index, engine): (usize, &Engine),
    kernel: &PackKernel,
    settings: &Settings,
    compiled: &Compiled,
) -> Result<Slot, String> {
    let gate = compat::Engine {
        id: engine.id(),
        version: &engine.version,
        features: &engine.features,
    };
    compat::check_engine(kernel, &gate).map_err(|rejection| rejection.to_string())?;
    let limits = kernel.limits();
    let budget = budget(settings.budget, limits)?;
    let max_pages = limits.max_memory_pages.min(settings.max_memory_pages);
    let options = Options {
        limits: Limits {
            max_memory_pages: max_pages,
            max_table_elements: limits.max_table_elements,
            max_stack_bytes: settings.max_stack_bytes,
        },
        metering: budget.kind(),
    };
    let (wasm, sha256, facts) = match kernel.variant_for(&engine.features) {
        Some(variant) => (variant.wasm(), variant.sha256(), variant.facts()),
        None => (kernel.wasm(), kernel.sha256(), kernel.facts()),
    };
    let module = compiled
        .module((index, engine.runtime.as_ref()), (sha256, wasm), &options)
        .map_err(|error| error.to_string())?;
    let between = match settings.isolate {
        false => Between::Keep,
        true if facts.is_resettable() => Between::Reset,
        true => Between::Fresh,
    };
    let terms = Terms {
        entry: kernel.entry_point().to_owned(),
        heap_base: facts.heap_base,
        max_pages,
        budget,
        between,
    };
    let instances = instances(engine, module.as_ref(), &terms, settings)?;
    let names = (kernel.id().to_owned(), engine.id().to_owned());
    let fallback = kernel.fallback().cloned();
    Ok(Slot::new(
        names,
        terms,
        module,
        fallback,
        instances,
        settings.breaker,
    ))
}

/// The host's budget, no more than the manifest allows.
fn budget(budget: Budget, limits: &kernel_pack::ResourceLimits) -> Result<Budget, String> {
    match budget {
        Budget::None => Ok(Budget::None),
        Budget::Epoch(ticks) => Ok(Budget::Epoch(ticks.min(limits.max_epoch_ticks))),
        Budget::Fuel(fuel) => Ok(Budget::Fuel(
            limits.max_fuel.map_or(fuel, |most| fuel.min(most)),
        )),
    }
}

/// How instances of a module are held: found out by making one, which also shows that it can be made.
fn instances(
    engine: &Engine,
    module: &dyn Module,
    terms: &Terms,
    settings: &Settings,
) -> Result<Instances, String> {
    let failed = |error: runtime_call::CallError| format!("failed to {error}");
    match module.instantiate_movable(terms.budget) {
        Ok(instance) => {
            Live::new(instance, terms).map_err(failed)?;
            Ok(Instances::Pool(Box::default()))
        }
        Err(runtime_api::Error::Unsupported { .. }) => {
            let instance = module
                .instantiate(terms.budget)
                .map_err(|error| failed(error.into()))?;
            Live::new(instance, terms).map_err(failed)?;
            engine.threads(settings.threads).map(Instances::Threads)
        }
        Err(error) => Err(failed(error.into())),
    }
}
