//! What a kernel host does with a pack and an engine when packs come, fail and go: for people who adopt both. Each scenario is played on a host
//! of its own, with packs made of the one that is checked; nothing of the user's trust or records is touched.

mod packs;

use crate::outcome::Outcome;
use assay_worker::{Launch, Remote};
use kernel_pack::{Code, Pack, TrustList};
use packs::{Habit, Packs, Question};
use runtime_host::{
    Budget, DeviceClass, Error, Event, Host, HostBuilder, OnFailure, Path, Trust, Watch,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Threads that call while packs are exchanged.
const THREADS: usize = 4;
/// A budget of 100 ms: of a kernel that loops, this much time is lost.
const BUDGET: Budget = Budget::Epoch(10);
/// How much of the budget an honest call has: a busy machine may leave a thread waiting.
const PATIENT: Budget = Budget::Epoch(500);

/// A scenario on an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// What was tried.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen, or what is wrong.
    pub detail: String,
}

/// All scenarios on an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The engine.
    pub runtime: String,
    /// Name and version of the pack.
    pub pack: String,
    /// The kernel that is called.
    pub kernel: String,
    /// The scenarios, in order.
    pub scenarios: Vec<Scenario>,
}

impl Report {
    /// Whether no scenario went wrong.
    pub fn passed(&self) -> bool {
        !self
            .scenarios
            .iter()
            .any(|scenario| scenario.outcome.is_bad())
    }
}

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No kernel of the pack can be called.
    #[error("find a call for a kernel of the pack: {0}")]
    NoCall(String),
    /// The packs of the scenarios cannot be made.
    #[error("make the packs of the scenarios: {0}")]
    Packs(String),
}

/// What a scenario found: what was seen, or what is wrong.
type Found = Result<String, Wrong>;

enum Wrong {
    /// It is not as it should be.
    Fails(String),
    /// It cannot be tried.
    Unsupported(String),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Wrong::Fails(error.to_string())
    }
}

impl From<CheckError> for Wrong {
    fn from(error: CheckError) -> Self {
        Wrong::Fails(format!("failed to {error}"))
    }
}

/// How scenarios are played.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// So many upgrades under load.
    pub upgrades: u32,
    /// Whose memory, stack and threads hosts give; they have budgets of their own.
    pub class: Option<DeviceClass>,
}

/// Plays all scenarios of a pack in a folder on an engine.
///
/// # Errors
/// [`CheckError`]: before any scenario.
pub fn check(
    launch: &Launch,
    folder: &std::path::Path,
    pack: &Pack,
    terms: Terms,
) -> Result<Report, CheckError> {
    let packs = Packs::of(folder, pack)?;
    let play = Play {
        launch,
        packs: &packs,
        question: &packs.question,
        terms,
    };
    type Scene<'p> = fn(&Play<'p>) -> Found;
    let scenes: [(&str, Scene<'_>); 8] = [
        (
            "it is prepared beside what serves, and activated",
            Play::activates,
        ),
        ("upgrades under load", Play::upgrades_under_load),
        ("broken packs are refused", Play::refuses_broken_packs),
        (
            "a pack that answers wrongly fails its health check",
            Play::fails_health,
        ),
        (
            "a pack that traps later is rolled back and remembered",
            Play::rolls_back_by_itself,
        ),
        ("a kernel that loops is interrupted", Play::interrupts),
        ("there is one way back", Play::one_way_back),
        ("the grace period ends", Play::grace_ends),
    ];
    let scenarios = scenes.into_iter().map(|(name, scene)| {
        let (outcome, detail) = match scene(&play) {
            Ok(seen) => (Outcome::Pass, seen),
            Err(Wrong::Fails(what)) => (Outcome::Fail, what),
            Err(Wrong::Unsupported(what)) => (Outcome::Unsupported, what),
        };
        Scenario {
            name: name.to_owned(),
            outcome,
            detail,
        }
    });
    Ok(Report {
        runtime: launch.id.clone(),
        pack: format!("{} {}", pack.name(), pack.version()),
        kernel: packs.question.kernel.clone(),
        scenarios: scenarios.collect(),
    })
}

struct Play<'p> {
    launch: &'p Launch,
    packs: &'p Packs,
    question: &'p Question,
    terms: Terms,
}

impl Play<'_> {
    fn builder(&self, budget: Budget) -> Result<HostBuilder, Wrong> {
        let engine = Remote::start(self.launch)
            .map_err(|error| Wrong::Fails(format!("failed to {error}")))?;
        let trusted = TrustList::parse(&self.packs.key(), "the scenarios' key");
        let trusted = trusted.map_err(|error| Wrong::Fails(error.to_string()))?;
        let builder = Host::builder();
        let builder = match self.terms.class {
            Some(class) => builder.class(class),
            None => builder,
        };
        Ok(builder
            .engine(Box::new(engine))
            .trust(Trust::list(trusted))
            .on_failure(OnFailure::Previous)
            .budget(budget))
    }

    /// A host with the first pack.
    fn host(&self) -> Result<Host, Wrong> {
        let host = self.builder(PATIENT)?.build()?;
        host.upgrade(&self.packs.pack(1, Habit::Own)?)?;
        Ok(host)
    }

    /// The answer of a host, which has to be the pack's own: the bytes that the pack gave at first.
    fn ask(&self, host: &Host, due: &[u8]) -> Result<Path, Wrong> {
        let served = self.served(host)?;
        if served.output == due {
            Ok(served.path)
        } else {
            Err(Wrong::Fails(format!(
                "generation {} gives other bytes than the first answer",
                served.generation
            )))
        }
    }

    fn served(&self, host: &Host) -> Result<runtime_host::Served, Wrong> {
        let served = host.call(&self.question.kernel, &self.question.tensors());
        served.map_err(|error| Wrong::Fails(error.to_string()))
    }

    fn activates(&self) -> Found {
        let host = self.builder(PATIENT)?.build()?;
        let prepared = host.prepare(&self.packs.pack(1, Habit::Own)?)?;
        if host.generation().is_some() {
            return Err(Wrong::Fails("it serves before it is activated".to_owned()));
        }
        let vectors: usize = prepared.health().iter().map(|health| health.vectors).sum();
        let unasked = prepared
            .health()
            .iter()
            .filter(|health| health.vectors == 0)
            .count();
        host.activate(prepared)?;
        let served = self.served(&host)?;
        match served.path {
            Path::Kernel => Ok(format!(
                "{vectors} signed vectors held; {unasked} kernels have none"
            )),
            path => Err(Wrong::Fails(format!(
                "the first call was answered by {path:?}"
            ))),
        }
    }

    fn upgrades_under_load(&self) -> Found {
        let host = self.host()?;
        let due = self.served(&host)?.output;
        let next = [
            self.packs.pack(2, Habit::Own)?,
            self.packs.pack(3, Habit::Own)?,
        ];
        let (ended, calls) = (AtomicBool::new(false), AtomicU64::new(0));
        let wrong = Mutex::new(None);
        let work = || {
            while !ended.load(Ordering::Relaxed) {
                let before = host.generation();
                match self.served(&host) {
                    Ok(served)
                        if served.path == Path::Kernel
                            && served.output == due
                            && Some(served.generation) >= before =>
                    {
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(served) => {
                        let what = format!(
                            "generation {} answered by {:?}, with {before:?} active before",
                            served.generation, served.path
                        );
                        store(&wrong, what);
                    }
                    Err(Wrong::Fails(what) | Wrong::Unsupported(what)) => store(&wrong, what),
                }
            }
        };
        let upgraded = std::thread::scope(|scope| {
            for _ in 0..THREADS {
                if std::thread::Builder::new()
                    .spawn_scoped(scope, work)
                    .is_err()
                {
                    ended.store(true, Ordering::Relaxed);
                    let why = "the system gives no thread for the load".to_owned();
                    return Err(Wrong::Unsupported(why));
                }
            }
            let options = runtime_host::PrepareOptions {
                allow_rollback: true,
            };
            let mut all = (0..self.terms.upgrades).map(|index| {
                let prepared = host.prepare_with(&next[index as usize % 2], options)?;
                host.activate(prepared)
            });
            let failed = all.find_map(Result::err);
            ended.store(true, Ordering::Relaxed);
            failed.map_or(Ok(()), |error| Err(Wrong::from(error)))
        });
        upgraded?;
        let wrong = wrong.into_inner().unwrap_or_default();
        match (wrong, calls.into_inner()) {
            (Some(what), _) => Err(Wrong::Fails(what)),
            (None, 0) => Err(Wrong::Fails("no call was made meanwhile".to_owned())),
            (None, calls) => Ok(format!(
                "{} upgrades, {calls} calls from {THREADS} threads, none failed",
                self.terms.upgrades
            )),
        }
    }

    fn refuses_broken_packs(&self) -> Found {
        let host = self.host()?;
        let due = self.served(&host)?.output;
        let mut codes = Vec::new();
        for (name, pack, code) in self.packs.broken()? {
            match host.upgrade(&pack) {
                Err(Error::Pack(kernel_pack::Error::Rejected(rejection)))
                    if rejection.code == code =>
                {
                    codes.push(code)
                }
                Err(error) => return Err(Wrong::Fails(format!("{name}: {error}"))),
                Ok(_) => return Err(Wrong::Fails(format!("{name}: it was activated"))),
            }
            if host.generation() != Some(1) || self.ask(&host, &due)? != Path::Kernel {
                return Err(Wrong::Fails(format!("{name}: what serves was touched")));
            }
        }
        let codes: Vec<_> = codes.into_iter().map(Code::as_str).collect();
        Ok(codes.join(", "))
    }

    fn fails_health(&self) -> Found {
        if !self.packs.has_vectors {
            return Err(Wrong::Unsupported(format!(
                "the pack has no signed vectors for {}",
                self.question.kernel
            )));
        }
        let host = self.host()?;
        let due = self.served(&host)?.output;
        let wrong = self.packs.pack(2, Habit::Silent)?;
        for _ in 0..2 {
            match host.upgrade(&wrong) {
                Err(Error::Unhealthy { .. } | Error::FailedBefore { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Err(Wrong::Fails("it was activated".to_owned())),
            }
        }
        self.ask(&host, &due)?;
        Ok("it was refused, and what served went on".to_owned())
    }

    fn rolls_back_by_itself(&self) -> Found {
        let watch = Watch {
            failures: 2,
            ..Watch::default()
        };
        let host = self.builder(PATIENT)?.watch(watch).build()?;
        host.upgrade(&self.packs.pack(1, Habit::Own)?)?;
        let due = self.served(&host)?.output;
        let bad = self.packs.pack(2, Habit::Traps)?;
        host.upgrade(&bad)?;
        let paths: Vec<_> = (0..3)
            .map(|_| self.ask(&host, &due))
            .collect::<Result<_, _>>()?;
        if paths != [Path::Previous, Path::Previous, Path::Kernel] || host.generation() != Some(1) {
            return Err(Wrong::Fails(format!(
                "answered by {paths:?}; generation {:?}",
                host.generation()
            )));
        }
        match host.upgrade(&bad) {
            Err(Error::FailedBefore { .. }) => Ok(
                "rolled back after 2 failures; no call failed; the version is refused".to_owned(),
            ),
            Err(error) => Err(error.into()),
            Ok(_) => Err(Wrong::Fails(
                "the version that failed was activated again".to_owned(),
            )),
        }
    }

    fn interrupts(&self) -> Found {
        let host = self.builder(BUDGET)?.build()?;
        host.upgrade(&self.packs.pack(1, Habit::Own)?)?;
        let due = self.served(&host)?.output;
        host.upgrade(&self.packs.pack(2, Habit::Loops)?)?;
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&reasons);
        host.subscribe(move |event| {
            if let (Event::Degraded { reason, .. }, Ok(mut heard)) = (event, heard.lock()) {
                heard.push(*reason);
            }
        });
        let began = Instant::now();
        let path = self.ask(&host, &due)?;
        let took = began.elapsed();
        let reasons = reasons
            .lock()
            .map(|reasons| reasons.clone())
            .unwrap_or_default();
        if path != Path::Previous || reasons != [runtime_host::Reason::Budget] {
            return Err(Wrong::Fails(format!(
                "answered by {path:?}, reasons {reasons:?}, after {took:?}"
            )));
        }
        Ok(format!(
            "the pack before answered after {} ms",
            took.as_millis()
        ))
    }

    fn one_way_back(&self) -> Found {
        let host = self.host()?;
        host.upgrade(&self.packs.pack(2, Habit::Own)?)?;
        if host.rollback()? != 1 {
            return Err(Wrong::Fails("it went back to another pack".to_owned()));
        }
        match host.rollback() {
            Err(Error::NothingBefore) => Ok("the second rollback was refused".to_owned()),
            other => Err(Wrong::Fails(format!("the second rollback: {other:?}"))),
        }
    }

    fn grace_ends(&self) -> Found {
        let host = self
            .builder(PATIENT)?
            .grace(Duration::from_millis(50))
            .build()?;
        host.upgrade(&self.packs.pack(1, Habit::Own)?)?;
        host.upgrade(&self.packs.pack(2, Habit::Own)?)?;
        std::thread::sleep(Duration::from_millis(100));
        match host.rollback() {
            Err(Error::NothingBefore) => Ok("after it there is no way back".to_owned()),
            other => Err(Wrong::Fails(format!("after it: {other:?}"))),
        }
    }
}

/// Keeps what went wrong first.
fn store(first: &Mutex<Option<String>>, what: String) {
    if let Ok(mut first) = first.lock() {
        first.get_or_insert(what);
    }
}
