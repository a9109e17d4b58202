//! A module of a pack that says what is right, on the engine of such modules.

use super::{
    observe::{self, Ended, Loaded},
    run::Session,
    subject::{self, Subject},
};
use crate::{registry, time_limits::TimeLimits};
use assay_worker::Launch;
use kernel_cases::case::Case;
use runtime_api::{Error, Trap};

/// The engine that runs such modules: an interpreter, which shares no compiler with what is judged.
const REFERENCE_ENGINE: &str = "wasmi";
/// Calls that may use up their deadline before nothing more is asked.
const MOST_USED_UP: u32 = 3;

/// How the engine of reference modules is started, for as long as a run may take.
///
/// # Errors
/// Why it is not.
pub(super) fn reference_engine(limits: &TimeLimits) -> Result<Launch, String> {
    let engines = registry::engines();
    let mut engines = engines
        .iter()
        .filter(|engine| engine.id == REFERENCE_ENGINE);
    let launch = engines
        .find_map(|engine| engine.launch())
        .ok_or_else(|| format!("it runs on {REFERENCE_ENGINE}, which this build lacks"))?;
    Ok(launch.limited(Some(limits.run)))
}

/// A module on the engine of reference modules.
pub(super) struct Interpreted<'a> {
    subject: Subject,
    session: Session<'a>,
    loaded: Loaded,
    /// Why it is not called any more.
    stopped: Option<String>,
    /// Calls that used up their deadline.
    used_up: u32,
}

impl<'a> Interpreted<'a> {
    /// Loads it.
    ///
    /// # Errors
    /// Why it cannot be run.
    pub(super) fn load(
        launch: &'a Launch,
        subject: Subject,
        limits: &TimeLimits,
    ) -> Result<Self, String> {
        let mut session = Session::new(launch);
        session.begin(Some(limits.of_module(subject.ticks)));
        let loaded = session.load(&subject).map_err(|(_, reason)| reason)?;
        Ok(Self {
            subject,
            session,
            loaded,
            stopped: None,
            used_up: 0,
        })
    }

    /// The output of a call, on a fresh instance.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn answer(&mut self, case: &Case) -> Result<Vec<u8>, String> {
        if let Some(reason) = &self.stopped {
            return Err(reason.clone());
        }
        let prepared = subject::prepare(case.clone(), &self.subject, 0)
            .map_err(|error| format!("failed to {error}"))?;
        match self.session.once(&self.subject, self.loaded, &prepared) {
            Ended::Status {
                status: 0,
                output: Some(output),
            } => Ok(output),
            ended => {
                let reason = observe::describe(&ended);
                let used_up = matches!(
                    &ended,
                    Ended::Stopped(Error::Trap {
                        trap: Trap::EpochDeadline,
                        ..
                    })
                );
                self.used_up += u32::from(used_up);
                // What does not end is not waited for again and again; a call that it cannot answer says nothing of the next.
                if self.used_up >= MOST_USED_UP || matches!(ended, Ended::Lost(_)) {
                    self.stopped = Some(reason.clone());
                }
                Err(reason)
            }
        }
    }
}
