//! Layers L4 and L5: what a kernel's output should be, and whether it is.
//!
//! The truth comes from the f64 oracles of `kernel_reference`, the distance allowed from [`tolerance`](super::tolerance).
//! Where an f32 intermediate of the contract's arithmetic may overflow or lose a subnormal while the oracle, which computes
//! in f64, sees nothing, an element has no truth to be judged by: if all others pass, the case is
//! [`NotApplicable`](Verdict::NotApplicable), never passed.

mod layout;

use self::layout::{Layout, first_difference};
use super::case::{Case, External};
use std::fmt;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every element holds.
    Pass {
        /// Largest distance from the expectation in units in the last place.
        max_ulp: f64,
    },
    /// The first element that does not hold.
    Fail(Mismatch),
    /// There is nothing to judge by, and why.
    NotApplicable(String),
}

/// An element that is not what it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Element of the output, counted from 0 over all its tensors.
    pub index: usize,
    /// Bits in hexadecimal and value.
    pub expected: String,
    /// Bits in hexadecimal and value.
    pub got: String,
    /// Distance in units in the last place; `None` where one side is NaN or no float.
    pub ulp: Option<f64>,
    /// What else is known: the tolerance that was exceeded, the block.
    pub detail: String,
}

impl Mismatch {
    fn length(expected: usize, got: usize) -> Self {
        Self {
            index: expected.min(got),
            expected: format!("{expected} bytes"),
            got: format!("{got} bytes"),
            ulp: None,
            detail: "lengths differ".to_owned(),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "index {}: expected {}, got {}",
            self.index, self.expected, self.got
        )?;
        if let Some(ulp) = self.ulp {
            write!(f, ", {ulp} ulp")?;
        }
        if !self.detail.is_empty() {
            write!(f, "; {}", self.detail)?;
        }
        Ok(())
    }
}

/// Layer L4: `output` of the case against the f64 oracle.
pub fn judge(case: &Case, output: &[u8]) -> Verdict {
    let _ = (case, output);
    Verdict::NotApplicable("in progress".to_owned())
}

/// Layer L5: `output` of the case against what one outside oracle says.
pub fn judge_external(case: &Case, external: &External, output: &[u8]) -> Verdict {
    let _ = (case, external, output);
    Verdict::NotApplicable("in progress".to_owned())
}

/// The first element in which two outputs of the case differ bit for bit, NaN as a class. `a` counts as the expected one.
pub fn bits_differ(case: &Case, a: &[u8], b: &[u8]) -> Option<Mismatch> {
    first_difference(Layout::of_output(case), a, b)
}

/// An output of the case with every NaN in one encoding: equal bytes mean outputs that do not differ.
pub fn canonical(case: &Case, output: &[u8]) -> Vec<u8> {
    layout::canonical(Layout::of_output(case), output)
}

/// The case with every NaN of its inputs in another encoding (other sign, other payload, quiet stays quiet); `None` if they
/// hold no NaN. The contract says that no output depends on it.
pub fn flip_nans(case: &Case) -> Option<Case> {
    layout::flip_nans(case)
}

fn describe_f32(value: f32) -> String {
    format!("{:#010x} ({value:?})", value.to_bits())
}

fn describe_f16(bits: u16) -> String {
    format!("{bits:#06x} ({:?})", kernel_reference::float16::decode(bits))
}
