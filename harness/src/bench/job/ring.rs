//! Calls of one shape on different inputs, beside each other in memory: what nobody can answer from the call before.

use super::Expect;
use crate::conform::{
    placement::Place,
    subject::{self, Placed, Subject},
};
use anyhow::{Context, Result};
use kernel_cases::{case::Case, generate, truth};
use kernel_core::Kernel;
use runtime_call::{Arrangement, Fill};

/// Calls of a ring.
const RING: u64 = 16;
/// Elements of the main tensor of a call in a ring: all of it fits the caches that a call alone has.
const ELEMENTS: u64 = 8192;

/// The frames of a ring and their outputs, computed natively; none for large tensors.
pub(super) fn native(
    subject: &Subject,
    kernel: &Kernel,
    (dimensions, elements): ([u32; 4], u64),
    seed: u64,
) -> Result<Vec<Expect>> {
    if elements > ELEMENTS {
        return Ok(Vec::new());
    }
    let cases = (1..=RING).map(|other| {
        generate::sized(kernel.id, dimensions, seed.wrapping_add(other))
            .with_context(|| format!("failed to make inputs for {}", subject.kernel))
    });
    let cases: Vec<Case> = cases.collect::<Result<_>>()?;
    beside(subject, &cases, |case, placed| {
        subject::run_natively(case, placed, subject, kernel).output
    })
}

/// The frames of a ring whose outputs truths judge.
pub(super) fn judged(subject: &Subject, cases: &[Case]) -> Result<Vec<Expect>> {
    beside(subject, cases, |_, _| Vec::new())
}

/// Calls beside each other in memory, with the outputs of a native build, or none.
fn beside(
    subject: &Subject,
    cases: &[Case],
    output: impl Fn(&Case, &Placed) -> Vec<u8>,
) -> Result<Vec<Expect>> {
    let mut base = subject.heap_base;
    let mut ring = Vec::new();
    for case in cases {
        let place = Place {
            arrangement: Arrangement::ordinary(base, Fill::FIRST),
            pages: 0,
        };
        let placed = subject::place(case, subject, &place)
            .with_context(|| format!("failed to make a ring of {}", subject.kernel))?;
        let output = output(case, &placed);
        base = u32::try_from(placed.frame.end())?;
        ring.push(Expect::Frame {
            frame: Box::new(placed.frame),
            output,
            dtype: truth::output_dtype(case),
            case: (!subject.standard.same_source).then(|| Box::new(case.clone())),
        });
    }
    Ok(ring)
}
