//! A module of a pack that says what is right, on the engine of such modules.

use super::{
    observe::{self, Ended, Loaded},
    run::Session,
    subject::{self, Subject},
};
use crate::{registry, time_limits::TimeLimits};
use assay_worker::Launch;
use kernel_cases::case::Case;

/// The engine that runs such modules: an interpreter, which shares no compiler with what is judged.
const REFERENCE_ENGINE: &str = "wasmi";

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
    /// Why it is not called any more: its worker was lost.
    lost: Option<String>,
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
            lost: None,
        })
    }

    /// The output of a call, on a fresh instance.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn answer(&mut self, case: &Case) -> Result<Vec<u8>, String> {
        // What does not end is not waited for again and again; a call that it cannot answer says nothing of the next.
        if let Some(reason) = self.lost.clone().or_else(|| self.session.given_up(0)) {
            return Err(reason);
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
                if matches!(ended, Ended::Lost(_)) {
                    self.lost = Some(reason.clone());
                }
                Err(reason)
            }
        }
    }
}
