//! The engines this project knows, and those that come from outside.

mod choose;
mod error;
mod known;
mod launch;

pub use choose::{NATIVE, NATIVE_CPU, matchers, select, with_adapters};
pub use error::EngineError;
pub use known::{AHEAD, CRANELIFT, POOLING, PULLEY, SLOW_COMPILERS};
pub(crate) use launch::beside;

use assay_worker::{Launch, TimeLimit};
use known::{Known, Place, known, pooled};
use launch::{availability, launch_here};
use runtime_api::{Kind, Runtime};
use std::path::Path;

/// An engine, in this build or not, or from outside.
pub struct Engine {
    /// Engine and strategy.
    pub id: String,
    /// How it executes code; an engine from outside says so itself when it is started.
    pub kind: Option<Kind>,
    /// Whether the default build has it.
    pub default: bool,
    /// Ready to be started, or the reason why not.
    pub availability: Availability,
}

impl Engine {
    /// What starts its worker, where it is ready.
    pub fn launch(&self) -> Option<&Launch> {
        match &self.availability {
            Availability::Ready(launch) => Some(launch),
            Availability::Absent { .. } => None,
        }
    }

    /// Why it cannot be started, and how to add it where that is possible; `None` where it is ready.
    pub fn absence(&self) -> Option<String> {
        match &self.availability {
            Availability::Ready(_) => None,
            Availability::Absent {
                reason,
                command: Some(command),
            } => Some(format!("{reason}; to add it: {command}")),
            Availability::Absent {
                reason,
                command: None,
            } => Some(format!(
                "{reason} (docs/targets.md: which engine runs where)"
            )),
        }
    }

    /// Has every worker ended by a limit.
    pub fn with_time_limit(&mut self, limit: TimeLimit) {
        if let Availability::Ready(launch) = &mut self.availability {
            launch.time_limit = Some(limit);
        }
    }

    /// Lets the worker keep compiled code in a folder, if it is one of this project.
    pub fn with_code_cache(&mut self, folder: &Path) {
        if let Availability::Ready(launch) = &mut self.availability
            && launch.states_id
        {
            launch.arguments.extend([CODE_CACHE.into(), folder.into()]);
        }
    }
}

/// The word before the folder of [`Engine::with_code_cache`].
const CODE_CACHE: &str = "--code-cache";

/// The same worker without its cache of compiled code, for one that shall not hold the secret of a cache.
pub fn without_code_cache(launch: &Launch) -> Launch {
    let mut launch = launch.clone();
    let mut words = launch.arguments.iter();
    if launch.states_id
        && let Some(position) = words.position(|word| word == CODE_CACHE)
    {
        launch
            .arguments
            .drain(position..(position + 2).min(launch.arguments.len()));
    }
    launch
}

/// Whether an engine can be started.
pub enum Availability {
    /// A worker can be launched.
    Ready(Launch),
    /// Not in this build or not on this machine.
    Absent {
        /// Why.
        reason: String,
        /// The command that adds it; `None` where this target cannot have it.
        command: Option<&'static str>,
    },
}

/// The worker of [`POOLING`], if `of` is the engine whose code it serves from a pool of instances; `None` for
/// all others, and where this build lacks it.
pub fn pooled_worker(of: &str) -> Option<Launch> {
    let engine = pooled();
    (of == CRANELIFT).then_some(())?;
    match engine.place {
        Place::Here(open) => launch_here(engine.id, open).ok(),
        _ => None,
    }
}

/// The workers of the engines that are in this very executable, the fastest first, each ended by the limit.
pub fn in_this_executable(limit: Option<TimeLimit>) -> Vec<Launch> {
    let here = known().into_iter().filter_map(|engine| match engine.place {
        Place::Here(open) => launch_here(engine.id, open).ok(),
        _ => None,
    });
    here.map(|launch| launch.limited(limit)).collect()
}

/// Opens an engine in this process.
///
/// # Errors
/// [`EngineError`]: why it is absent, or the engine's own.
pub fn open(id: &str) -> Result<Box<dyn Runtime>, EngineError> {
    let engines = known().into_iter().chain([pooled()]);
    let Some(engine) = engines.into_iter().find(|engine| engine.id == id) else {
        return Err(EngineError::Unknown { id: id.to_owned() });
    };
    let elsewhere = |server: String| EngineError::Elsewhere {
        id: id.to_owned(),
        server,
    };
    match engine.place {
        Place::Here(open) => Ok(open()?),
        Place::Beside { program, .. } => Err(elsewhere(format!("`{program}`"))),
        #[cfg(target_family = "wasm")]
        Place::Page(_) => Err(elsewhere("a page".to_owned())),
        Place::Absent(reason) | Place::Never(reason) => Err(EngineError::Absent {
            what: format!("`{id}`"),
            reason: reason.to_owned(),
        }),
    }
}

/// All engines that this project knows, in the order of reports.
pub fn engines() -> Vec<Engine> {
    let engine = |known: Known| Engine {
        id: known.id.to_owned(),
        kind: Some(known.kind),
        default: known.default,
        availability: availability(&known),
    };
    known().into_iter().map(engine).collect()
}
