//! Why engines cannot be had as they were asked for.

/// Why engines cannot be had as they were asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No engine of this project has the id.
    #[error("there is no engine `{id}`; `assay list` names them")]
    Unknown {
        /// What was asked for.
        id: String,
    },
    /// An id or a glob fits no engine.
    #[error("no engine is called `{pattern}`; there are: {ids}")]
    NoMatch {
        /// What was asked for.
        pattern: String,
        /// Ids of all engines, with commas.
        ids: String,
    },
    /// Neither an id nor a glob.
    #[error("`{pattern}` is not an id or a glob: {message}")]
    Pattern {
        /// What was asked for.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// An adapter is not given as `NAME=COMMAND ARGUMENT...`.
    #[error("--adapter `{adapter}`: {what}; it takes NAME=COMMAND ARGUMENT...")]
    Adapter {
        /// What was given.
        adapter: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The engine is there, and its code is not in this executable.
    #[error("`{id}` is served by {server}")]
    Elsewhere {
        /// Engine id.
        id: String,
        /// What serves it.
        server: String,
    },
    /// An engine that was asked for by its id cannot be started.
    #[error("{what} is absent: {reason}")]
    Absent {
        /// The engine.
        what: String,
        /// Why, and what adds it where that is possible.
        reason: String,
    },
    /// All engines that fit are absent.
    #[error("none of the engines asked for is ready; `assay list` says why")]
    NoneReady,
    /// The engine itself did not start.
    #[error(transparent)]
    Engine(#[from] runtime_api::Error),
}
