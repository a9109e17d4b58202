//! Who answers when a kernel does not.

use kernel_abi::Status;
use runtime_call::Tensors;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Who answers when a kernel fails, in this order, until one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The kernel that the manifest names as the fallback, then the application's native form.
    #[default]
    Native,
    /// The same kernel of the generation before, while its grace period lasts, then the application's native form.
    Previous,
    /// Nobody: the call fails.
    Refuse,
}

/// The native form of kernels: the output's bytes of a kernel for tensors, or the status with which it refuses them; nothing for a
/// kernel that it does not know.
pub type Native = dyn Fn(&str, &Tensors<'_>) -> Option<Result<Vec<u8>, Status>> + Send + Sync;

/// What a native form gave.
pub(crate) enum Gave {
    Output(Vec<u8>),
    /// Why it gave none, in words.
    Nothing(String),
    /// It refuses the tensors as well: the caller's mistake.
    Refused(Status),
}

/// Asks a native form. A panic in it stays there.
pub(crate) fn ask(native: Option<&Native>, kernel: &str, tensors: &Tensors<'_>) -> Gave {
    let Some(native) = native else {
        return Gave::Nothing("the application has no native form of kernels".to_owned());
    };
    // What it may have left half done is its own: nothing of the host is handed to it but these bytes.
    match catch_unwind(AssertUnwindSafe(|| native(kernel, tensors))) {
        Ok(Some(Ok(output))) => Gave::Output(output),
        Ok(Some(Err(status))) => Gave::Refused(status),
        Ok(None) => Gave::Nothing("the application has no native form of it".to_owned()),
        Err(_) => Gave::Nothing("the application's native form panicked".to_owned()),
    }
}
