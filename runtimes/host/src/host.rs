//! The host: what serves now, and how it changes.

use crate::{
    builder::HostBuilder,
    compiled::Compiled,
    counter::Counter,
    error::{Error, ServeError},
    event::Event,
    failed::Failed,
    generation::{self, Engine, Generation, Prepared},
    keeper::{Clock, Keeper},
    measure,
    pool::locked,
    serve::InPlace,
    settings::Settings,
    slot::{Path, Totals},
    tensors::Slices,
    trust::Trust,
};
use arc_swap::ArcSwapOption;
use runtime_call::{Sizes, Tensor, Tensors};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// How a pack is prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrepareOptions {
    /// Whether an older version than was seen before is accepted.
    pub allow_rollback: bool,
}

/// An output, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Bytes of the output.
    pub output: Vec<u8>,
    /// Who gave them.
    pub path: Path,
    /// The generation that was active when the call began; for [`Path::Previous`] the one before it answered.
    pub generation: u64,
}

/// Who served a call in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedInPlace {
    /// Who gave the output.
    pub path: Path,
    /// As [`Served::generation`].
    pub generation: u64,
}

/// What serves, in one piece: it is read without a lock, and replaced in one step.
pub(crate) struct Active {
    pub(crate) current: Arc<Generation>,
    /// What served before, and until when there is a way back.
    pub(crate) previous: Option<(Arc<Generation>, Instant)>,
}

/// Why a host goes back.
#[derive(Clone, Copy)]
pub(crate) enum Cause<'r> {
    /// Somebody wants it.
    Asked,
    /// Failures of this generation rise, in words; its pack is remembered as one that failed.
    Failures(u64, &'r str),
    /// This generation's pack is not trusted any more, in words.
    Distrust(u64, &'r str),
}

type Subscriber = Arc<dyn Fn(&Event) + Send + Sync>;

pub(crate) struct Inner {
    number: u64,
    engines: Vec<Engine>,
    trust: Trust,
    pub(crate) settings: Settings,
    failed: Failed,
    compiled: Compiled,
    pub(crate) active: ArcSwapOption<Active>,
    /// Held by whoever changes what is active; the number of the next generation.
    control: Mutex<u64>,
    clock: Arc<Clock>,
    subscribers: Mutex<Vec<Subscriber>>,
    pub(crate) calls: Counter,
    pub(crate) degraded: AtomicU64,
    pub(crate) unserved: AtomicU64,
}

/// Serves the kernels of signed packs to an application. Clones are the same host.
#[derive(Clone)]
pub struct Host {
    pub(crate) inner: Arc<Inner>,
    _keeper: Arc<Keeper>,
}

impl Host {
    /// What a host is told before it begins.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    pub(crate) fn new(
        engines: Vec<Engine>,
        trust: Trust,
        settings: Settings,
        failed: Failed,
    ) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let clock = Arc::new(Clock::default());
        let inner = Arc::new(Inner {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            engines,
            trust,
            settings,
            failed,
            compiled: Compiled::default(),
            active: ArcSwapOption::empty(),
            control: Mutex::new(1),
            clock: Arc::clone(&clock),
            subscribers: Mutex::default(),
            calls: Counter::default(),
            degraded: AtomicU64::new(0),
            unserved: AtomicU64::new(0),
        });
        let kept = Arc::downgrade(&inner);
        let keeper = Keeper::start(clock, move || {
            if let Some(inner) = kept.upgrade() {
                inner.expire();
            }
        });
        let keeper = keeper.map_err(|error| Error::Build(format!("start a thread: {error}")))?;
        Ok(Self {
            inner,
            _keeper: Arc::new(keeper),
        })
    }

    /// Verifies a pack, finds an engine for each kernel, compiles all of them, and asks the pack's signed vectors. What serves is not
    /// touched. Takes as long as compiling takes.
    ///
    /// # Errors
    /// [`Error::Pack`], [`Error::FailedBefore`], [`Error::NoEngine`], [`Error::Unhealthy`], [`Error::Record`].
    pub fn prepare(&self, path: &std::path::Path) -> Result<Prepared, Error> {
        self.prepare_with(path, PrepareOptions::default())
    }

    /// As [`prepare`](Self::prepare), with options.
    ///
    /// # Errors
    /// As `prepare`.
    pub fn prepare_with(
        &self,
        path: &std::path::Path,
        options: PrepareOptions,
    ) -> Result<Prepared, Error> {
        let inner = &self.inner;
        let pack = Arc::new(inner.trust.verify(path, options.allow_rollback)?);
        inner.failed.check(&pack)?;
        let prepared = generation::prepare(&pack, &inner.engines, &inner.settings, &inner.compiled);
        let (slots, health) = prepared.inspect_err(|error| {
            tracing::warn!(pack = pack.name(), version = %pack.version(), %error, "a pack was not prepared");
            // A pack that answers wrongly does so again; an engine that is missing may come.
            if matches!(error, Error::Unhealthy { .. }) {
                inner.remember_failure(&pack, &error.to_string());
            }
        })?;
        Ok(Prepared {
            pack,
            slots,
            health,
            allow_rollback: options.allow_rollback,
            host: inner.number,
        })
    }

    /// Puts a pack in the place of what serves, in one step, and answers its generation. Calls in flight finish on what they began
    /// with; there is a way back to what served until the grace period is over.
    ///
    /// # Errors
    /// [`Error::Pack`] if the pack is not accepted any more, [`Error::FailedBefore`] if it failed meanwhile, [`Error::Build`] if another
    /// host prepared it. What serves is what served before.
    pub fn activate(&self, prepared: Prepared) -> Result<u64, Error> {
        let inner = &self.inner;
        if prepared.host != inner.number {
            let message =
                "another host prepared this pack; prepare it with the host that is to serve it";
            return Err(Error::Build(message.to_owned()));
        }
        let mut next = locked(&inner.control);
        inner.failed.check(&prepared.pack)?;
        inner
            .trust
            .check_again(&prepared.pack, prepared.allow_rollback)?;
        inner.trust.remember(&prepared.pack)?;
        let number = *next;
        *next += 1;
        let generation = Arc::new(Generation::new(number, prepared, &inner.settings));
        let pack = generation.label();
        let replaced = inner.active.load_full();
        let until = Instant::now() + inner.settings.grace;
        let previous = replaced.as_ref().map(|active| Arc::clone(&active.current));
        let previous_number = previous.as_ref().map(|previous| previous.number);
        inner.active.store(Some(Arc::new(Active {
            current: generation,
            previous: previous.map(|previous| (previous, until)),
        })));
        inner.clock.set(previous_number.map(|_| until));
        drop(next);
        measure::activated(inner.settings.measure);
        tracing::info!(generation = number, pack, "a pack was activated");
        if let Some((older, _)) = replaced
            .as_ref()
            .and_then(|active| active.previous.as_ref())
        {
            inner.emit(&Event::Expired {
                generation: older.number,
            });
        }
        inner.emit(&Event::Activated {
            generation: number,
            pack,
            previous: previous_number,
        });
        Ok(number)
    }

    /// Prepares a pack and activates it.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare) and [`activate`](Self::activate).
    pub fn upgrade(&self, path: &std::path::Path) -> Result<u64, Error> {
        self.activate(self.prepare(path)?)
    }

    /// Goes back to the pack before, and answers its generation. The pack that is left may be activated again.
    ///
    /// # Errors
    /// [`Error::NothingBefore`]; [`Error::Pack`] if the pack before is not trusted any more.
    pub fn rollback(&self) -> Result<u64, Error> {
        self.inner.roll_back(Cause::Asked)
    }

    /// Whether the pack that serves is still trusted: keys are revoked, packs expire. If it is not, the pack before serves again, or, where
    /// there is none that is trusted, nothing.
    ///
    /// # Errors
    /// [`Error::Pack`] with why it is not trusted; what was to be done about it was done.
    pub fn check_trust(&self) -> Result<(), Error> {
        self.inner.check_trust()
    }

    /// Lets packs in again that failed before.
    ///
    /// # Errors
    /// [`Error::Record`] if the record cannot be written.
    pub fn forget_failures(&self) -> Result<(), Error> {
        self.inner.failed.forget()
    }

    /// Hears of everything that happens from now on: on the thread on which it happens, so it should be brief. A panic in it stays there. One that
    /// owns a clone of the host keeps the host alive.
    pub fn subscribe(&self, subscriber: impl Fn(&Event) + Send + Sync + 'static) {
        locked(&self.inner.subscribers).push(Arc::new(subscriber));
    }

    /// The generation that serves.
    pub fn generation(&self) -> Option<u64> {
        let active = self.inner.active.load();
        active.as_ref().map(|active| active.current.number)
    }

    /// Name and version of the pack that serves.
    pub fn active_pack(&self) -> Option<String> {
        let active = self.inner.active.load();
        active.as_ref().map(|active| active.current.label())
    }

    /// Which engine runs a kernel of the pack that serves.
    pub fn engine_of(&self, kernel: &str) -> Option<String> {
        let active = self.inner.active.load();
        let slot = active.as_ref()?.current.slot(kernel)?;
        Some(slot.engine.clone())
    }

    /// Instances that are alive: of the pack that serves and of the one before.
    pub fn instances(&self) -> usize {
        let active = self.inner.active.load();
        let Some(active) = active.as_ref() else {
            return 0;
        };
        let previous = active.previous.as_ref().map(|(previous, _)| previous);
        let generations = std::iter::once(&active.current).chain(previous);
        let slots = generations.flat_map(|generation| generation.slots());
        slots.map(|slot| slot.alive()).sum()
    }

    /// What became of the calls so far. Exact once no call is in flight.
    pub fn totals(&self) -> Totals {
        let degraded = self.inner.degraded.load(Ordering::Relaxed);
        let failed = self.inner.unserved.load(Ordering::Relaxed);
        let calls = self.inner.calls.sum();
        Totals {
            calls,
            served: calls.saturating_sub(degraded + failed),
            degraded,
            failed,
        }
    }

    /// Calls a kernel's entry: tensors in, output out. Inputs are compared after the call; guard bands, descriptor and parameters are too.
    ///
    /// # Errors
    /// [`ServeError`]: nobody answers.
    pub fn call(&self, kernel: &str, tensors: &Tensors<'_>) -> Result<Served, ServeError> {
        let mut slices = Slices::new(tensors);
        let shape = slices.shape()?;
        match self.inner.serve(kernel, &shape, &mut slices) {
            Ok((path, generation)) => Ok(Served {
                output: slices.output,
                path,
                generation,
            }),
            Err(error) => Err(*error),
        }
    }

    /// Calls a kernel whose tensors are filled and read where they lie in its memory: no copy in between, and nothing is allocated for shapes
    /// that were called before. `fill` gets each input that has bytes, and the output where `updates` says that the kernel updates it; when the
    /// kernel fails it is asked again for the fallback. `take` gets the output.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    #[inline] // so many arguments are better not handed over twice
    pub fn call_in_place(
        &self,
        kernel: &str,
        params: &[u8],
        sizes: Sizes,
        updates: bool,
        fill: &mut dyn FnMut(Tensor, &mut [u8]),
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<ServedInPlace, ServeError> {
        let (shape, mut caller) = InPlace::new(params, sizes, updates, fill, take);
        match self.inner.serve(kernel, &shape, &mut caller) {
            Ok((path, generation)) => Ok(ServedInPlace { path, generation }),
            Err(error) => Err(*error),
        }
    }
}

impl Inner {
    /// Goes back, where a generation is named only if that one serves.
    pub(crate) fn roll_back(&self, cause: Cause<'_>) -> Result<u64, Error> {
        let (only, reason) = match cause {
            Cause::Asked => (None, "it was asked for"),
            Cause::Failures(generation, reason) | Cause::Distrust(generation, reason) => {
                (Some(generation), reason)
            }
        };
        let control = locked(&self.control);
        let active = self.active.load_full().ok_or(Error::NothingBefore)?;
        if only.is_some_and(|only| only != active.current.number) {
            return Err(Error::NothingBefore);
        }
        let (previous, until) = active.previous.as_ref().ok_or(Error::NothingBefore)?;
        if *until <= Instant::now() {
            return Err(Error::NothingBefore);
        }
        // It is older than what was seen since, and that was asked for.
        self.trust.check_again(&previous.pack, true)?;
        self.active.store(Some(Arc::new(Active {
            current: Arc::clone(previous),
            previous: None,
        })));
        self.clock.set(None);
        // Before anybody hears of it, who might activate it again.
        if matches!(cause, Cause::Failures(..)) {
            self.remember_failure(&active.current.pack, reason);
        }
        drop(control);
        let (from, to) = (active.current.number, previous.number);
        measure::rolled_back(self.settings.measure);
        tracing::warn!(from, to, reason, "rolled back");
        self.emit(&Event::RolledBack {
            from,
            to,
            reason: reason.to_owned(),
        });
        Ok(to)
    }

    fn check_trust(&self) -> Result<(), Error> {
        let Some(active) = self.active.load_full() else {
            return Ok(());
        };
        let Err(error) = self.trust.check_again(&active.current.pack, true) else {
            return Ok(());
        };
        let generation = active.current.number;
        let reason = error.to_string();
        if self
            .roll_back(Cause::Distrust(generation, &reason))
            .is_err()
        {
            let control = locked(&self.control);
            let is_active = |active: &Arc<Active>| active.current.number == generation;
            let withdrawn = self.active.load_full().as_ref().is_some_and(is_active);
            if withdrawn {
                self.active.store(None);
                self.clock.set(None);
            }
            drop(control);
            if withdrawn {
                tracing::warn!(generation, reason, "a pack was withdrawn");
                self.emit(&Event::Withdrawn { generation, reason });
            }
        }
        Err(error.into())
    }

    /// Drops what served before, once its grace period is over.
    fn expire(&self) {
        let control = locked(&self.control);
        let Some(active) = self.active.load_full() else {
            return;
        };
        let Some((previous, until)) = &active.previous else {
            return;
        };
        if *until > Instant::now() {
            self.clock.set(Some(*until));
            return;
        }
        let generation = previous.number;
        self.active.store(Some(Arc::new(Active {
            current: Arc::clone(&active.current),
            previous: None,
        })));
        drop(control);
        tracing::info!(generation, "a grace period is over");
        self.emit(&Event::Expired { generation });
    }

    pub(crate) fn remember_failure(&self, pack: &kernel_pack::Pack, reason: &str) {
        if let Err(error) = self.failed.remember(pack, reason) {
            tracing::error!(pack = pack.name(), version = %pack.version(), %error,
                "that a pack failed is remembered in this process only");
        }
    }

    pub(crate) fn emit(&self, event: &Event) {
        // Not under the lock: a subscriber may subscribe another one, or roll back.
        let subscribers = locked(&self.subscribers).clone();
        for subscriber in subscribers {
            // Nothing of the host is handed to it but the event.
            if catch_unwind(AssertUnwindSafe(|| subscriber(event))).is_err() {
                tracing::error!(event = event.name(), "a subscriber panicked");
            }
        }
    }
}
