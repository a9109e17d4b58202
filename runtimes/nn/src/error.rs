/// Why a request was not carried out. Each kind has an error code of the WASI-NN specification; the words are for the embedder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument means nothing here: a handle, an index, a pointer, a tensor that does not fit, bytes that are no graph.
    #[error("take an argument: {0}")]
    Argument(String),
    /// No backend takes this encoding.
    #[error("take the encoding: {0}")]
    Encoding(String),
    /// The guest exports no memory.
    #[error("reach the guest's memory: it exports none as `memory`")]
    NoMemory,
    /// Work that was given up still runs, and no more may be begun beside it.
    #[error("begin: {0}")]
    Busy(String),
    /// The backend failed, panicked or took too long.
    #[error("compute: {0}")]
    Failed(String),
    /// The backend has no such operator, type or target.
    #[error("do what the backend cannot: {0}")]
    Unsupported(String),
    /// A limit of the embedder, or a buffer that is too small.
    #[error("stay within a limit: {0}")]
    TooLarge(String),
    /// There is no graph, or no kernel, of this name.
    #[error("find: {0}")]
    NotFound(String),
}
