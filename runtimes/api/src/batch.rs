use crate::{Error, Result, Stage, Trap};

/// Why a batch of calls did not come to its end: the first call that did not return 0. Those after it were not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("serve call {index} of the batch: failed to {error}")]
pub struct Stopped {
    /// Which call, from 0.
    pub index: usize,
    /// Why.
    pub error: Error,
}

/// Makes one call for each argument, in order, until one does not return 0: what a batch is, for those who implement
/// [`Instance::call_batch`](crate::Instance::call_batch).
///
/// # Errors
/// Which call stopped the batch and why: [`Trap::KernelStatus`] if it returned something other than 0, else its error.
pub fn call_each(
    arguments: &[u32],
    mut call: impl FnMut(u32) -> Result<i32>,
) -> std::result::Result<(), Stopped> {
    for (index, argument) in arguments.iter().enumerate() {
        let error = match call(*argument) {
            Ok(0) => continue,
            Ok(code) => Error::trap(Stage::Call, Trap::KernelStatus { code }),
            Err(error) => error,
        };
        return Err(Stopped { index, error });
    }
    Ok(())
}
