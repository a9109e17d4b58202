//! Loops with little to pay for metering.
//!
//! An engine that meters checks its budget at every loop back edge and charges per basic block. So inner loops advance by
//! whole blocks whose steps are written out one after the other.

/// Evaluates `$body` with `$index` = 0, 1, ... below `$count`, a constant of at most 64, without a loop.
macro_rules! unroll {
    ($count:expr, |$index:ident| $body:expr) => {
        $crate::unroll::unroll!(@ $count, $index, $body,
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21
            22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43
            44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63)
    };
    (@ $count:expr, $index:ident, $body:expr, $($number:literal)*) => {
        $(
            if $number < $count {
                let $index: usize = $number;
                $body
            }
        )*
    };
}

pub(crate) use unroll;
