//! On what terms a kernel is called.

use runtime_api::Budget;

/// What becomes of an instance between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// It serves the next call as it is.
    Keep,
    /// Its memory is as after `kernel_init`.
    Reset,
    /// It is dropped.
    Fresh,
}

/// On what terms a kernel is called.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// The export.
    pub(crate) entry: String,
    pub(crate) heap_base: u32,
    /// Pages of memory that the kernel may have.
    pub(crate) max_pages: u32,
    /// Of an instantiation, of `kernel_init` and of the entry, each for itself.
    pub(crate) budget: Budget,
    pub(crate) between: Between,
}
