use crate::guest::Ended;
use runtime_api::{Error, Stage, Trap};

/// The taxonomy's class of an error that ended wasm code.
#[cold]
pub(crate) fn stopped(stage: Stage, engine: &str, error: &wasmtime::Error) -> Error {
    let trap = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(trap), _) => class(*trap, engine),
        (None, Some(Ended(trap))) => trap.clone(),
        (None, None) => other(engine, format!("{error:#}")),
    };
    Error::trap(stage, trap)
}

/// wasmtime's enum is non-exhaustive: what is not named here cannot come from a module of the pack features, and the
/// test below lists the variants of the pinned version.
fn class(trap: wasmtime::Trap, engine: &str) -> Trap {
    use wasmtime::Trap as Theirs;
    match trap {
        Theirs::UnreachableCodeReached => Trap::Unreachable,
        Theirs::IntegerOverflow => Trap::IntegerOverflow,
        Theirs::IntegerDivisionByZero => Trap::IntegerDivideByZero,
        Theirs::BadConversionToInteger => Trap::InvalidConversionToInteger,
        Theirs::MemoryOutOfBounds => Trap::MemoryAccessViolation,
        Theirs::TableOutOfBounds => Trap::TableAccessViolation,
        Theirs::IndirectCallToNull => Trap::NullFunction,
        Theirs::BadSignature => Trap::IndirectCallTypeMismatch,
        Theirs::StackOverflow => Trap::StackOverflow,
        Theirs::OutOfFuel => Trap::FuelExhausted,
        Theirs::Interrupt => Trap::EpochDeadline,
        Theirs::AllocationTooLarge => Trap::ResourceLimit,
        unexpected => other(engine, unexpected.to_string()),
    }
}

fn other(engine: &str, text: String) -> Trap {
    Trap::EngineOther {
        engine: engine.to_owned(),
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variants of the pinned version that a module of the pack features cannot raise: threads, garbage collection,
    /// components, stack switching, exceptions, Pulley built without an opcode.
    const OUT_OF_REACH: &str = "HeapMisaligned AtomicWaitNonSharedMemory NullReference ArrayOutOfBounds CastFailure \
        CannotEnterComponent NoAsyncResult UnhandledTag ContinuationAlreadyConsumed DisabledOpcode AsyncDeadlock \
        CannotLeaveComponent CannotBlockSyncTask InvalidChar DebugAssertStringEncodingFinished \
        DebugAssertEqualCodeUnits DebugAssertPointerAligned DebugAssertUpperBitsUnset StringOutOfBounds \
        ListOutOfBounds InvalidDiscriminant UnalignedPointer TaskCancelNotCancelled TaskCancelOrReturnTwice \
        SubtaskCancelAfterTerminal TaskReturnInvalid WaitableSetDropHasWaiters SubtaskDropNotResolved \
        ThreadNewIndirectInvalidType ThreadNewIndirectUninitialized BackpressureOverflow UnsupportedCallbackCode \
        CannotResumeThread ConcurrentFutureStreamOp ReferenceCountOverflow StreamOpTooBig WaitableSyncAndAsync \
        UncaughtException";

    const MAPPED: &str = "StackOverflow MemoryOutOfBounds TableOutOfBounds IndirectCallToNull BadSignature \
        IntegerOverflow IntegerDivisionByZero BadConversionToInteger UnreachableCodeReached Interrupt OutOfFuel \
        AllocationTooLarge";

    /// An upgrade that adds or removes a variant fails here until it is mapped or known to be out of reach.
    #[test]
    fn variants_of_the_pinned_version() {
        let mut found: Vec<String> = (0..=u8::MAX)
            .filter_map(wasmtime::Trap::from_u8)
            .map(|trap| format!("{trap:?}"))
            .collect();
        let mut known: Vec<&str> = MAPPED
            .split_whitespace()
            .chain(OUT_OF_REACH.split_whitespace())
            .collect();
        found.sort_unstable();
        known.sort_unstable();
        assert_eq!(found, known);
    }

    #[test]
    fn mapped_variants_have_a_class_and_others_have_none() {
        for trap in (0..=u8::MAX).filter_map(wasmtime::Trap::from_u8) {
            let name = format!("{trap:?}");
            let mapped = MAPPED.split_whitespace().any(|known| known == name);
            let is_other = matches!(class(trap, "wasmtime.test"), Trap::EngineOther { .. });
            assert_eq!(mapped, !is_other, "{name}");
        }
    }
}
