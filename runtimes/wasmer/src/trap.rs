//! From wasmer's errors to the taxonomy, by typed values only.

use crate::ID;
use runtime_api::{Error, Stage, Trap};
use wasmer::{InstantiationError, LinkError, RuntimeError, sys::vm::TrapCode};

/// What a failed call or start function means; running out of fuel looks like [`Trap::Unreachable`] here.
pub(crate) fn of_runtime_error(error: &RuntimeError) -> Trap {
    let other = || Trap::EngineOther {
        engine: ID.to_owned(),
        text: error.message(),
    };
    error
        .clone()
        .to_trap()
        .and_then(of_code)
        .unwrap_or_else(other)
}

/// What a failed instantiation means.
pub(crate) fn of_instantiation_error(error: InstantiationError) -> Error {
    const STAGE: Stage = Stage::Instantiate;
    match error {
        InstantiationError::Start(error) | InstantiationError::Link(LinkError::Trap(error)) => {
            Error::trap(STAGE, of_runtime_error(&error))
        }
        InstantiationError::Link(LinkError::Resource(_)) => Error::trap(STAGE, Trap::ResourceLimit),
        InstantiationError::Link(error @ LinkError::Import(..)) => Error::Rejected {
            stage: STAGE,
            message: error.to_string(),
        },
        error @ (InstantiationError::CpuFeature(_)
        | InstantiationError::DifferentStores
        | InstantiationError::DifferentArchOS) => Error::Adapter {
            message: error.to_string(),
        },
    }
}

/// `None` for what no module of a pack's features can cause. The match has no wildcard: a version of wasmer with another
/// code does not compile until the code is mapped.
fn of_code(code: TrapCode) -> Option<Trap> {
    Some(match code {
        TrapCode::StackOverflow => Trap::StackOverflow,
        TrapCode::HeapAccessOutOfBounds => Trap::MemoryAccessViolation,
        TrapCode::TableAccessOutOfBounds => Trap::TableAccessViolation,
        TrapCode::IndirectCallToNull => Trap::NullFunction,
        TrapCode::BadSignature => Trap::IndirectCallTypeMismatch,
        TrapCode::IntegerOverflow => Trap::IntegerOverflow,
        TrapCode::IntegerDivisionByZero => Trap::IntegerDivideByZero,
        TrapCode::BadConversionToInteger => Trap::InvalidConversionToInteger,
        TrapCode::UnreachableCodeReached => Trap::Unreachable,
        TrapCode::HostInterrupt => Trap::EpochDeadline,
        TrapCode::HeapMisaligned
        | TrapCode::UnalignedAtomic
        | TrapCode::UncaughtException
        | TrapCode::UninitializedExnRef
        | TrapCode::YieldOutsideAsyncContext
        | TrapCode::ReadonlyTableModified => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of wasmer 7.4 are 0 to 15, and each of the taxonomy's engine classes comes from exactly one.
    #[test]
    fn codes_are_those_of_the_pinned_version() {
        let codes = [
            (TrapCode::StackOverflow, "StackOverflow"),
            (TrapCode::HeapAccessOutOfBounds, "MemoryAccessViolation"),
            (TrapCode::HeapMisaligned, ""),
            (TrapCode::TableAccessOutOfBounds, "TableAccessViolation"),
            (TrapCode::IndirectCallToNull, "NullFunction"),
            (TrapCode::BadSignature, "IndirectCallTypeMismatch"),
            (TrapCode::IntegerOverflow, "IntegerOverflow"),
            (TrapCode::IntegerDivisionByZero, "IntegerDivideByZero"),
            (
                TrapCode::BadConversionToInteger,
                "InvalidConversionToInteger",
            ),
            (TrapCode::UnreachableCodeReached, "Unreachable"),
            (TrapCode::UnalignedAtomic, ""),
            (TrapCode::UncaughtException, ""),
            (TrapCode::UninitializedExnRef, ""),
            (TrapCode::YieldOutsideAsyncContext, ""),
            (TrapCode::HostInterrupt, "EpochDeadline"),
            (TrapCode::ReadonlyTableModified, ""),
        ];
        for (number, (code, name)) in codes.into_iter().enumerate() {
            assert_eq!(code as usize, number, "{code:?}");
            assert_eq!(
                of_code(code).as_ref().map_or("", Trap::name),
                name,
                "{code:?}"
            );
        }
    }

    #[test]
    fn errors_without_a_code_keep_their_words() {
        let trap = of_runtime_error(&RuntimeError::new("something new"));
        assert!(matches!(trap, Trap::EngineOther { text, .. } if text == "something new"));
    }
}
