use std::time::Duration;

/// What a guest may use of WASI-NN at most. Its own memory, stack and time are limited by the engine that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a graph that a guest brings along; 0: it may load by name only.
    pub graph_bytes: u64,
    /// Different graphs of a guest; the same again is the same handle.
    pub graphs: usize,
    /// Contexts of a guest. The interface has no function that drops one.
    pub contexts: usize,
    /// Bytes of one tensor.
    pub tensor_bytes: u64,
    /// Bytes of all graphs that it brought, and of all its tensors, in sum.
    pub held_bytes: u64,
    /// How long it takes to load a graph.
    pub load: Duration,
    /// How long one computation takes.
    pub compute: Duration,
    /// How long the functions of a guest take in sum: a budget of fuel does not count them.
    pub time: Duration,
    /// Computations of all guests that took too long, and are still running, beside which more may be begun.
    pub left_behind: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            graph_bytes: 64 << 20,
            graphs: 16,
            contexts: 64,
            tensor_bytes: 64 << 20,
            held_bytes: 256 << 20,
            load: Duration::from_secs(10),
            compute: Duration::from_secs(1),
            time: Duration::from_secs(60),
            left_behind: 2,
        }
    }
}
