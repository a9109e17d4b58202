//! Calls of one shape on different inputs, beside each other in memory: what nobody can answer from the call before.

use super::Expect;
use crate::conform::{
    placement::Place,
    subject::{self, Subject},
};
use anyhow::{Context, Result};
use kernel_cases::generate;
use kernel_core::Kernel;
use runtime_host::{Arrangement, Fill};

/// Calls of a ring.
const RING: u64 = 16;
/// Elements of the main tensor of a call in a ring: all of it fits the caches that a call alone has.
const ELEMENTS: u64 = 8192;

/// The frames of a ring and their outputs, computed natively; none for large tensors.
pub(super) fn ring(
    subject: &Subject,
    kernel: &Kernel,
    (dimensions, elements): ([u32; 4], u64),
    seed: u64,
) -> Result<Vec<Expect>> {
    if elements > ELEMENTS {
        return Ok(Vec::new());
    }
    let mut base = subject.heap_base;
    let mut ring = Vec::new();
    for other in 1..=RING {
        let seed = seed.wrapping_add(other);
        let case = generate::sized(kernel.id, dimensions, seed)
            .with_context(|| format!("failed to make inputs for {}", subject.kernel))?;
        let place = Place {
            arrangement: Arrangement::ordinary(base, Fill::FIRST),
            pages: 0,
        };
        let placed = subject::place(&case, subject, &place)
            .with_context(|| format!("failed to make a ring of {}", subject.kernel))?;
        let native = subject::run_natively(&case, &placed, subject, kernel);
        base = u32::try_from(placed.frame.end())?;
        ring.push(Expect::Frame {
            frame: Box::new(placed.frame),
            output: native.output,
            case: (!subject.standard.same_source).then(|| Box::new(case)),
        });
    }
    Ok(ring)
}
