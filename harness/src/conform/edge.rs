//! Edge cases: a table per kernel, written by hand, each row with the status that docs/kernels.md asks for.

#[cfg(test)]
pub(super) mod native;
