//! Loops with little to pay for metering.
//!
//! An engine that meters checks its budget at every loop back edge and charges per basic block. So inner loops advance by
//! whole blocks whose steps are written out one after the other.

/// Evaluates `$body` with `$index` = 0, 1, ... below `$count`, a constant of at most 4, 8, 16, 32 or 64, which stands before it, without a
/// loop. Each of the most there may be is a copy of `$body` that the compiler reads, in each build again; a larger count panics, and one that
/// fits leaves nothing of the check.
macro_rules! unroll {
    (4: $($what:tt)*) => { $crate::unroll::unroll!(@ 4, (0 1 2 3), $($what)*) };
    (8: $($what:tt)*) => { $crate::unroll::unroll!(@ 8, (0 1 2 3 4 5 6 7), $($what)*) };
    (16: $($what:tt)*) => {
        $crate::unroll::unroll!(@ 16, (0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15), $($what)*)
    };
    (32: $($what:tt)*) => {
        $crate::unroll::unroll!(@ 32,
            (0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31),
            $($what)*)
    };
    (64: $($what:tt)*) => {
        $crate::unroll::unroll!(@ 64,
            (0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63),
            $($what)*)
    };
    (@ $most:literal, ($($number:literal)*), $count:expr, |$index:ident| $body:expr) => {
        assert!($count <= $most);
        $(
            if $number < $count {
                let $index: usize = $number;
                $body
            }
        )*
    };
}

pub(crate) use unroll;

/// Between two passes: what the next one needs is loaded from memory again. It is no instruction.
///
/// A processor looks about a hundred operations ahead. If each element is a chain of fifty that wait for each other, only two elements are
/// computed at a time. So such loops do a part of the chain for many elements, and store what it gives; then the next part. Without this
/// LLVM keeps the values, and Cranelift, which computes a value just before a store or a branch needs it, makes one chain of them again.
/// What is stored between passes must lie where others could see it: in a tensor, or in memory that went through `black_box`.
#[inline(always)]
pub(crate) fn in_order() {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}
