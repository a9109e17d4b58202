use core::fmt;

/// What a kernel export returns. Any value is a status; the seven below have a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

/// Declares the statuses that have a meaning.
macro_rules! statuses {
    ($($(#[doc = $doc:literal])* $name:ident = $value:literal),* $(,)?) => {
        impl Status {
            $($(#[doc = $doc])* pub const $name: Status = Status($value);)*

            /// The statuses that have a meaning, each with what its documentation says.
            pub const ALL: &'static [(Status, &'static str)] =
                &[$((Status::$name, concat!($($doc, "\n"),*))),*];

            /// The status code's name; for a value without a meaning the name of the one it is mapped to.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => stringify!($name),)*
                    _ => "INTERNAL_ERROR",
                }
            }
        }
    };
}

statuses! {
    /// Done; the output is written.
    OK = 0,
    /// A region is outside memory, misaligned or overlaps another, or an input's size does not fit the parameters.
    INVALID_INPUT = 1,
    /// The output's size does not fit the parameters.
    INVALID_OUTPUT = 2,
    /// The parameter struct has the wrong size or a value out of range.
    INVALID_PARAMS = 3,
    /// Scratch is too small.
    OUT_OF_MEMORY = 4,
    /// The kernel has no such entry.
    NOT_IMPLEMENTED = 5,
    /// The kernel failed in a way of its own; unknown values count as this one.
    INTERNAL_ERROR = 6,
}

impl Status {
    /// Whether the kernel did its work.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.name())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_without_a_meaning_is_reported_as_itself_and_mapped_to_internal_error() {
        assert_eq!(Status(77).name(), "INTERNAL_ERROR");
        assert_eq!(Status(-1).name(), "INTERNAL_ERROR");
        assert_ne!(Status(77), Status::INTERNAL_ERROR);
    }
}
