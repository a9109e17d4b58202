use serde::{Deserialize, Serialize};
use std::fmt;

/// Result of every adapter operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Where an engine was when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Validation and translation.
    Compile,
    /// Linking, allocation, segments, start function.
    Instantiate,
    /// A call of an export.
    Call,
}

/// Why wasm code was stopped: one taxonomy for all engines, mapped from each engine's typed value (WAMR: whole strings).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Trap {
    /// `unreachable` was executed; panics of kernels end here.
    Unreachable,
    /// `MIN / -1`, or a float too large for the integer it is converted to.
    IntegerOverflow,
    /// Integer division or remainder by zero.
    IntegerDivideByZero,
    /// NaN converted to an integer.
    InvalidConversionToInteger,
    /// Memory access, bulk operation or data segment outside memory.
    MemoryAccessViolation,
    /// Table access, bulk operation, call_indirect index or element segment outside the table.
    TableAccessViolation,
    /// `call_indirect` through a null element.
    NullFunction,
    /// `call_indirect` of a function of another type.
    IndirectCallTypeMismatch,
    /// The call stack is used up.
    StackOverflow,
    /// The epoch budget is used up.
    EpochDeadline,
    /// The fuel budget is used up.
    FuelExhausted,
    /// Initial memory or table, or growth that the engine reports as an error, over a limit.
    ResourceLimit,
    /// A kernel answered a status that is not OK.
    KernelStatus {
        /// The status as returned.
        code: i32,
    },
    /// A kernel wrote where it must not.
    ContractViolation {
        /// Which guard band, input or parameter changed.
        what: String,
    },
    /// None of the above: the mapping is incomplete, and the check that met it fails.
    EngineOther {
        /// Engine identity.
        engine: String,
        /// The engine's own words.
        text: String,
    },
}

impl Trap {
    /// Stable name of the class.
    pub const fn name(&self) -> &'static str {
        match self {
            Trap::Unreachable => "Unreachable",
            Trap::IntegerOverflow => "IntegerOverflow",
            Trap::IntegerDivideByZero => "IntegerDivideByZero",
            Trap::InvalidConversionToInteger => "InvalidConversionToInteger",
            Trap::MemoryAccessViolation => "MemoryAccessViolation",
            Trap::TableAccessViolation => "TableAccessViolation",
            Trap::NullFunction => "NullFunction",
            Trap::IndirectCallTypeMismatch => "IndirectCallTypeMismatch",
            Trap::StackOverflow => "StackOverflow",
            Trap::EpochDeadline => "EpochDeadline",
            Trap::FuelExhausted => "FuelExhausted",
            Trap::ResourceLimit => "ResourceLimit",
            Trap::KernelStatus { .. } => "KernelStatus",
            Trap::ContractViolation { .. } => "ContractViolation",
            Trap::EngineOther { .. } => "EngineOther",
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trap::KernelStatus { code } => write!(f, "KernelStatus {code}"),
            Trap::ContractViolation { what } => write!(f, "ContractViolation: {what}"),
            Trap::EngineOther { engine, text } => write!(f, "EngineOther ({engine}): {text}"),
            other => f.write_str(other.name()),
        }
    }
}

/// How an adapter operation ended other than well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Error {
    /// Wasm code, or the engine on its behalf, was stopped.
    #[error("{}: {trap}", stage_words(*stage))]
    Trap {
        /// Where.
        stage: Stage,
        /// Why.
        trap: Trap,
    },
    /// The engine refuses the module.
    #[error("{}: the engine refuses the module: {message}", stage_words(*stage))]
    Rejected {
        /// Where.
        stage: Stage,
        /// The engine's own words.
        message: String,
    },
    /// The engine cannot do this; not a failure of the module.
    #[error("do what this engine cannot: {reason}")]
    Unsupported {
        /// Why.
        reason: String,
    },
    /// An export is missing or of another type.
    #[error("resolve export `{name}`: {message}")]
    Export {
        /// The export asked for.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// The host asked for bytes outside memory.
    #[error("access {length} bytes at {at}: outside a memory of {memory_bytes} bytes")]
    Access {
        /// First address.
        at: u32,
        /// Number of bytes.
        length: u64,
        /// Size of the memory.
        memory_bytes: u64,
    },
    /// The adapter itself failed.
    #[error("operate the engine: {message}")]
    Adapter {
        /// What happened.
        message: String,
    },
}

impl Error {
    /// A trap at `stage`.
    pub const fn trap(stage: Stage, trap: Trap) -> Self {
        Error::Trap { stage, trap }
    }

    /// The engine cannot do this.
    pub fn unsupported(reason: impl Into<String>) -> Self {
        Error::Unsupported {
            reason: reason.into(),
        }
    }
}

const fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Compile => "compile",
        Stage::Instantiate => "instantiate",
        Stage::Call => "call",
    }
}
