//! This project's errors in the client's words.
//!
//! A trap that the client has no word for, or whose word asks for what engines do not say, is its `RuntimeError` with
//! the trap's name.

use kernel_abi::{PAGE_BYTES, Status};
use runtime_api::{Error, Trap};
use runtime_call::{CallError, PlaceError};
use ruvector_wasm::kernel::error::KernelError;
use std::fmt::Display;

/// Whatever prevents a kernel from being run at all.
pub(crate) fn initialisation(reason: impl Display) -> KernelError {
    KernelError::InitializationFailed {
        reason: reason.to_string(),
    }
}

/// An engine's error.
pub(crate) fn of_engine(error: &Error) -> KernelError {
    match error {
        Error::Trap { trap, .. } => of_trap(trap, error),
        Error::Unsupported { reason } => KernelError::UnsupportedFeature {
            feature: reason.clone(),
        },
        Error::Rejected { .. } | Error::Export { .. } => initialisation(error),
        _ => other(error),
    }
}

/// How a call ended.
pub(crate) fn of_call(error: &CallError) -> KernelError {
    match error {
        CallError::Engine(error) => of_engine(error),
        CallError::Kernel(trap) => of_trap(trap, error),
        CallError::Place(PlaceError::TooLarge { needed, .. }) => KernelError::AllocationFailed {
            requested_bytes: usize::try_from(needed.saturating_mul(PAGE_BYTES))
                .unwrap_or(usize::MAX),
        },
        _ => other(error),
    }
}

fn of_trap(trap: &Trap, error: &dyn Display) -> KernelError {
    match *trap {
        Trap::EpochDeadline => KernelError::EpochDeadline,
        Trap::IntegerOverflow => KernelError::IntegerOverflow,
        Trap::Unreachable => KernelError::Unreachable,
        Trap::StackOverflow => KernelError::StackOverflow,
        Trap::IndirectCallTypeMismatch => KernelError::IndirectCallTypeMismatch,
        Trap::KernelStatus { code } => KernelError::KernelTrap {
            code: code.cast_unsigned(),
            message: Some(Status(code).name().to_owned()),
        },
        // `MemoryAccessViolation` of the client has an address and a size, which no engine tells.
        _ => other(error),
    }
}

fn other(error: &(impl Display + ?Sized)) -> KernelError {
    KernelError::RuntimeError {
        message: error.to_string(),
    }
}
