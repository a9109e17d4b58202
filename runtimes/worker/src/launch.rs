//! How a worker is started.

use super::limits::{TimeLimit, VariableError};
use runtime_api::Info;
use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

/// What a worker said of itself, once one was started: its engine, and the optional operations that it knows.
pub type Stated = Arc<OnceLock<(Info, Vec<String>)>>;

/// How to start a worker.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The engine's id.
    pub id: String,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where it starts; `None`: in the current folder.
    pub folder: Option<PathBuf>,
    /// Whether the worker must state this very id: an engine of this project, unlike one from outside, is what it is called.
    pub states_id: bool,
    /// When each worker that is started so has to have ended, if it has to.
    pub time_limit: Option<TimeLimit>,
    /// What the first worker that was started so said of itself: every other one has to say the same, or what was seen of one tells nothing of the
    /// next.
    pub stated: Stated,
    /// Who answers in place of a process, which WebAssembly has not; `None`: nobody does.
    #[cfg(target_family = "wasm")]
    pub peer: Option<super::Peer>,
}

/// The environment variable with the command that starts executables of this build where the system cannot do it itself, for
/// instance `qemu-arm -L /usr/arm-linux-gnueabihf`.
pub const RUNNER_VARIABLE: &str = "ASSAY_RUNNER";

impl Launch {
    /// Starts an executable of this build, by the command in `ASSAY_RUNNER` if there is one.
    ///
    /// # Errors
    /// [`VariableError::Runner`].
    pub fn own(id: &str, program: PathBuf, arguments: &[&str]) -> Result<Launch, VariableError> {
        Launch::by_runner(std::env::var_os(RUNNER_VARIABLE), id, program, arguments)
    }

    fn by_runner(
        runner: Option<OsString>,
        id: &str,
        program: PathBuf,
        arguments: &[&str],
    ) -> Result<Launch, VariableError> {
        let arguments = arguments.iter().map(OsString::from);
        let words = runner.map_or(Some(Vec::new()), |runner| shlex::split(runner.to_str()?));
        let mut words = words.ok_or(VariableError::Runner)?.into_iter();
        let (program, arguments) = match words.next() {
            None => (program, arguments.collect()),
            Some(runner) => (
                PathBuf::from(runner),
                words
                    .map(OsString::from)
                    .chain([program.into_os_string()])
                    .chain(arguments)
                    .collect(),
            ),
        };
        Ok(Launch {
            states_id: true,
            ..Launch::foreign(id, program, arguments)
        })
    }

    /// An engine that is in this very module.
    #[cfg(target_family = "wasm")]
    pub fn within(id: &str, peer: super::Peer) -> Launch {
        Launch {
            states_id: true,
            peer: Some(peer),
            ..Launch::foreign(id, PathBuf::from("assay"), Vec::new())
        }
    }

    /// The same, with workers that have to have ended by a limit.
    pub fn limited(&self, limit: Option<TimeLimit>) -> Launch {
        Launch {
            time_limit: limit,
            ..self.clone()
        }
    }

    /// What contradicts what a worker says of itself: the id that it is started for, or what the first one said.
    pub(super) fn contradicted(&self, info: &Info, operations: &[String]) -> Option<String> {
        if self.states_id && info.id != self.id {
            return Some(format!(
                "it is `{}`, built otherwise than its name says",
                info.id
            ));
        }
        let (first, known) = self
            .stated
            .get_or_init(|| (info.clone(), operations.to_vec()));
        (first != info || known != operations)
            .then(|| "it does not say of itself what it said when it was started before".to_owned())
    }

    /// Starts an executable of somebody else.
    pub fn foreign(id: &str, program: PathBuf, arguments: Vec<OsString>) -> Launch {
        Launch {
            id: id.to_owned(),
            program,
            arguments,
            folder: None,
            states_id: false,
            time_limit: None,
            stated: Stated::default(),
            #[cfg(target_family = "wasm")]
            peer: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::empty_info;

    #[test]
    fn a_worker_says_of_itself_what_the_first_one_said() {
        let launch = Launch::foreign("one", PathBuf::from("one"), Vec::new());
        let (mut info, time) = (empty_info("one"), ["time".to_owned()]);
        assert_eq!(launch.contradicted(&info, &time), None);
        // Another limit is about the same workers.
        let launch = launch.limited(None);
        assert_eq!(launch.contradicted(&info, &time), None);
        assert!(launch.contradicted(&info, &[]).is_some());
        info.capabilities.features.push("simd".to_owned());
        assert!(launch.contradicted(&info, &time).is_some());
        let other = Launch::foreign("one", PathBuf::from("one"), Vec::new());
        assert_eq!(other.contradicted(&info, &time), None);
    }

    #[test]
    fn a_runner_starts_what_the_system_cannot() {
        let launch = |runner: Option<&str>| {
            let runner = runner.map(OsString::from);
            Launch::by_runner(
                runner,
                "a.one",
                PathBuf::from("/bin/assay"),
                &["worker", "a.one"],
            )
        };
        for none in [None, Some("")] {
            let launch = launch(none).unwrap();
            assert_eq!(launch.program, PathBuf::from("/bin/assay"));
            assert_eq!(launch.arguments, ["worker", "a.one"]);
        }
        let emulated = launch(Some("qemu-arm -L '/usr/an arm'")).unwrap();
        assert_eq!(emulated.program, PathBuf::from("qemu-arm"));
        assert_eq!(
            emulated.arguments,
            ["-L", "/usr/an arm", "/bin/assay", "worker", "a.one"]
        );
        assert!(launch(Some("qemu-arm 'unfinished")).is_err());
    }
}
