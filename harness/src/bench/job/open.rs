//! Cells of kernels with contracts of their own: what a truth answers, or calls of the author's vectors.

use super::{Case, Cell, Scope};
use crate::conform::{cases, standard::Standard, truths::Oracles};
use anyhow::Result;
use kernel_cases::{case::Binding, open, truth};
use kernel_pack::{Pack, PackKernel};

/// Elements of all tensors of a call, by class of size.
const SIZES: [(&str, u64); 4] = [
    ("small", 256),
    ("4Ki", 8192),
    ("64Ki", 131_072),
    ("1MiB", 524_288),
];
/// Calls of a ring, and elements of all their tensors at most.
const RING: u64 = 16;
const RING_ELEMENTS: u64 = 16_384;

/// The cells of a kernel, and why there are none.
pub(super) fn cells(
    pack: &Pack,
    kernel: &PackKernel,
    oracles: &mut Oracles,
    scope: Scope,
) -> Result<Result<Vec<Cell>, String>> {
    let standard = Standard::of(kernel, &[]);
    let contract = match (standard.open(), &standard.contract) {
        (Some(contract), _) => contract,
        (None, Err(reason)) => return Ok(Err(reason.clone())),
        (None, Ok(_)) => return Ok(Ok(Vec::new())),
    };
    let wanted = SIZES.iter().filter(|(name, _)| match scope.quick {
        true => *name == super::budget_size(true),
        false => true,
    });
    let (mut drawn, mut calls) = (Vec::new(), Vec::new());
    for (size, elements) in wanted {
        let others = if *elements <= RING_ELEMENTS { RING } else { 0 };
        for other in 0..=others {
            let seed = scope.seed.wrapping_add(other);
            let Some(mut case) = open::sized(contract, *elements, seed) else {
                continue;
            };
            if other > 0 {
                case.name = format!("{}/{other}", case.name);
            }
            drawn.push((*size, other));
            calls.push(case);
        }
    }
    let truth = oracles.ask(kernel, &standard, &mut calls, (0, 0));
    let mut cells: Vec<Cell> = Vec::new();
    let told = drawn
        .into_iter()
        .zip(calls)
        .filter(|(_, case)| is_told(case));
    for ((size, other), case) in told {
        match cells.last_mut() {
            Some(cell) if other > 0 && cell.size == size => cell.ring.push(case),
            _ if other == 0 => cells.push(Cell::of(size, case)),
            _ => {}
        }
    }
    if cells.is_empty() {
        let vectors = cases::vectors_of(pack, kernel.id(), &standard)?;
        let largest = vectors
            .into_iter()
            .filter(|case| case.expects_output() && truth::judge_all(case, &[]).is_some())
            .max_by_key(|case| (tells(case), case.a.len() + case.b.len()));
        cells.extend(largest.map(|case| Cell::of("vector", case)));
    }
    Ok(match cells.is_empty() {
        true => Err(truth.words()),
        false => Ok(cells),
    })
}

/// Whether something else is due than zeros, or what the output held before: a kernel that computes nothing gives those too.
fn tells(case: &Case) -> bool {
    case.external.iter().any(|external| {
        let stays = case.base.as_ref() == Some(&external.bytes);
        external.binding != Binding::Informs
            && !stays
            && external.bytes.iter().any(|byte| *byte != 0)
    })
}

/// Whether a truth says what the call answers.
fn is_told(case: &Case) -> bool {
    let call = case.open.as_ref();
    call.is_some_and(|call| {
        call.expected
            .iter()
            .any(|expected| expected.outputs.is_ok())
    })
}
