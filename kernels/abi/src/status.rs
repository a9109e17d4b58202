use core::fmt;

/// What a kernel export returns. Any value is a status; the seven below have a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

impl Status {
    /// Done; the output is written.
    pub const OK: Status = Status(0);
    /// A region is outside memory, misaligned or overlaps another, or an input's size does not fit the parameters.
    pub const INVALID_INPUT: Status = Status(1);
    /// The output's size does not fit the parameters.
    pub const INVALID_OUTPUT: Status = Status(2);
    /// The parameter struct has the wrong size or a value out of range.
    pub const INVALID_PARAMS: Status = Status(3);
    /// Scratch is too small.
    pub const OUT_OF_MEMORY: Status = Status(4);
    /// The kernel has no such entry.
    pub const NOT_IMPLEMENTED: Status = Status(5);
    /// The kernel failed in a way of its own; unknown values count as this one.
    pub const INTERNAL_ERROR: Status = Status(6);

    /// The status code's name; for a value without a meaning the name of the one it is mapped to.
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "OK",
            1 => "INVALID_INPUT",
            2 => "INVALID_OUTPUT",
            3 => "INVALID_PARAMS",
            4 => "OUT_OF_MEMORY",
            5 => "NOT_IMPLEMENTED",
            _ => "INTERNAL_ERROR",
        }
    }

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
