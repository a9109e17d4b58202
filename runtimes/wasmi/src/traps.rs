use crate::{ID, guest::Ended};
use runtime_api::{Error, Stage, Trap};
use wasmi::{
    TrapCode,
    errors::{ErrorKind, InstantiationError, MemoryError, TableError},
};

/// The taxonomy's class of an error that ended wasm code or instantiation.
pub(crate) fn stopped(stage: Stage, error: &wasmi::Error) -> Error {
    if let Some(Ended(trap)) = error.downcast_ref() {
        return Error::trap(stage, trap.clone());
    }
    let trap = match error.kind() {
        ErrorKind::Instantiation(error) => instantiation_class(error),
        ErrorKind::Memory(error) => memory_class(error),
        ErrorKind::Table(error) => table_class(error),
        _ => error.as_trap_code().map(class),
    };
    Error::trap(stage, trap.unwrap_or_else(|| other(error)))
}

/// Exhaustive: an upgrade that adds a code does not compile until it is mapped.
fn class(code: TrapCode) -> Trap {
    match code {
        TrapCode::UnreachableCodeReached => Trap::Unreachable,
        TrapCode::MemoryOutOfBounds => Trap::MemoryAccessViolation,
        TrapCode::TableOutOfBounds => Trap::TableAccessViolation,
        TrapCode::IndirectCallToNull => Trap::NullFunction,
        TrapCode::IntegerDivisionByZero => Trap::IntegerDivideByZero,
        TrapCode::IntegerOverflow => Trap::IntegerOverflow,
        TrapCode::BadConversionToInteger => Trap::InvalidConversionToInteger,
        TrapCode::StackOverflow => Trap::StackOverflow,
        TrapCode::BadSignature => Trap::IndirectCallTypeMismatch,
        TrapCode::OutOfFuel => Trap::FuelExhausted,
        TrapCode::GrowthOperationLimited | TrapCode::OutOfSystemMemory => Trap::ResourceLimit,
    }
}

/// Segments and initial sizes have no trap code. Imports are refused at compile, so mismatches of imports do not occur.
fn instantiation_class(error: &InstantiationError) -> Option<Trap> {
    match error {
        InstantiationError::ElementSegmentDoesNotFit { .. } => Some(Trap::TableAccessViolation),
        InstantiationError::TooManyInstances
        | InstantiationError::TooManyTables
        | InstantiationError::TooManyMemories => Some(Trap::ResourceLimit),
        InstantiationError::FailedToInstantiateMemory(error) => memory_class(error),
        InstantiationError::FailedToInstantiateTable(error) => table_class(error),
        InstantiationError::MismatchedNumberOfImports { .. }
        | InstantiationError::ImportTypeMismatch { .. }
        | InstantiationError::GlobalTypeMismatch { .. }
        | InstantiationError::FuncTypeMismatch { .. }
        | InstantiationError::TableTypeMismatch { .. }
        | InstantiationError::MemoryTypeMismatch { .. }
        | InstantiationError::UnexpectedStartFn { .. } => None,
    }
}

fn memory_class(error: &MemoryError) -> Option<Trap> {
    match error {
        MemoryError::OutOfBoundsAccess => Some(Trap::MemoryAccessViolation),
        MemoryError::OutOfFuel { .. } => Some(Trap::FuelExhausted),
        MemoryError::OutOfSystemMemory
        | MemoryError::OutOfBoundsGrowth
        | MemoryError::ResourceLimiterDeniedAllocation
        | MemoryError::MinimumSizeOverflow
        | MemoryError::MaximumSizeOverflow => Some(Trap::ResourceLimit),
        MemoryError::InvalidMemoryType | MemoryError::InvalidStaticBufferSize => None,
    }
}

fn table_class(error: &TableError) -> Option<Trap> {
    match error {
        TableError::InitOutOfBounds
        | TableError::FillOutOfBounds
        | TableError::SetOutOfBounds
        | TableError::CopyOutOfBounds => Some(Trap::TableAccessViolation),
        TableError::OutOfFuel { .. } => Some(Trap::FuelExhausted),
        TableError::OutOfSystemMemory
        | TableError::GrowOutOfBounds
        | TableError::ResourceLimiterDeniedAllocation
        | TableError::MinimumSizeOverflow
        | TableError::MaximumSizeOverflow => Some(Trap::ResourceLimit),
        // Non-exhaustive; `ElementTypeMismatch` is ruled out by validation.
        _ => None,
    }
}

fn other(error: &wasmi::Error) -> Trap {
    Trap::EngineOther {
        engine: ID.to_owned(),
        text: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `class` is exhaustive at compile time; this pins the numbers too, so that a renumbered code is seen.
    #[test]
    fn trap_codes_of_the_pinned_version() {
        let names: Vec<String> = (0..=u8::MAX)
            .filter_map(|code| TrapCode::try_from(code).ok())
            .map(|code| format!("{code:?}"))
            .collect();
        assert_eq!(
            names,
            [
                "UnreachableCodeReached",
                "MemoryOutOfBounds",
                "TableOutOfBounds",
                "IndirectCallToNull",
                "IntegerDivisionByZero",
                "IntegerOverflow",
                "BadConversionToInteger",
                "StackOverflow",
                "BadSignature",
                "OutOfFuel",
                "GrowthOperationLimited",
                "OutOfSystemMemory",
            ]
        );
    }

    #[test]
    fn every_table_error_but_one_has_a_class() {
        let mapped = [
            TableError::OutOfSystemMemory,
            TableError::MinimumSizeOverflow,
            TableError::MaximumSizeOverflow,
            TableError::ResourceLimiterDeniedAllocation,
            TableError::GrowOutOfBounds,
            TableError::InitOutOfBounds,
            TableError::FillOutOfBounds,
            TableError::SetOutOfBounds,
            TableError::CopyOutOfBounds,
            TableError::OutOfFuel { required_fuel: 1 },
        ];
        for error in mapped {
            assert!(table_class(&error).is_some(), "{error:?}");
        }
        assert_eq!(table_class(&TableError::ElementTypeMismatch), None);
    }

    #[test]
    fn an_unknown_error_is_other() {
        let error = stopped(Stage::Call, &wasmi::Error::new("what is this"));
        let trap = Trap::EngineOther {
            engine: ID.to_owned(),
            text: "what is this".to_owned(),
        };
        assert_eq!(error, Error::trap(Stage::Call, trap));
    }
}
