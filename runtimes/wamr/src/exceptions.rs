//! WAMR says why code was stopped in text only. One table of whole strings; the length decides nothing, because the
//! whole string must be equal.

use runtime_api::Trap;

/// What precedes every text of an instance's exception.
const PREFIX: &str = "Exception: ";

/// WAMR's texts that have a class of their own. Source: WAMR 2.4.3, `exception_msgs` in `wasm_runtime_common.c` and
/// `wasm_interp_fast.c`. Texts that are not here are [`Trap::EngineOther`].
const TABLE: &[(&str, Trap)] = &[
    ("unreachable", Trap::Unreachable),
    ("integer overflow", Trap::IntegerOverflow),
    ("integer divide by zero", Trap::IntegerDivideByZero),
    (
        "invalid conversion to integer",
        Trap::InvalidConversionToInteger,
    ),
    ("out of bounds memory access", Trap::MemoryAccessViolation),
    ("out of bounds table access", Trap::TableAccessViolation),
    ("undefined element", Trap::TableAccessViolation),
    ("uninitialized element", Trap::NullFunction),
    ("indirect call type mismatch", Trap::IndirectCallTypeMismatch),
    ("wasm operand stack overflow", Trap::StackOverflow),
    ("native stack overflow", Trap::StackOverflow),
    ("terminated by user", Trap::EpochDeadline),
];

/// The class of an instance's exception, as WAMR gives it.
pub(crate) fn trap(engine: &str, exception: &str) -> Trap {
    classify(exception.strip_prefix(PREFIX).unwrap_or(exception)).unwrap_or_else(|| {
        Trap::EngineOther {
            engine: engine.to_owned(),
            text: exception.to_owned(),
        }
    })
}

/// The class of a text without what precedes it, if it has one.
pub(crate) fn classify(text: &str) -> Option<Trap> {
    TABLE
        .iter()
        .find(|(known, _)| *known == text)
        .map(|(_, trap)| trap.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_strings_are_classes() {
        assert_eq!(trap("wamr.fast", "Exception: unreachable"), Trap::Unreachable);
        for text in [
            "Exception: unreachable ",
            "Exception: element",
            "Exception: allocate memory failed",
            "",
        ] {
            assert!(matches!(trap("wamr.fast", text), Trap::EngineOther { .. }));
        }
    }
}
