//! Calls with much more scratch than they need: a host may have one workspace for all kernels, and a kernel that divides it among parts has to count them.

use super::{placement::Place, standard::Standard, subject::Subject};
use kernel_cases::{
    case::{Case, Entry, Source},
    generate, open,
};

/// By how much more than what is needed: as many parts as 8 bits and 16 bits do not count.
const TIMES: [u32; 2] = [1 << 8, 1 << 16];
/// Bytes of scratch that hosts have.
const WHOLE: u32 = 64 << 10;
/// Scratch of a call, at most.
const MOST: u32 = 1 << 18;
/// Elements of a call, about.
const ELEMENTS: u64 = 64;

/// The calls of a kernel, forward and backward, which its base module has memory for.
pub(super) fn cases(standard: &Standard, base: &Subject, seed: u64) -> Vec<Case> {
    let forward = match (standard.definition, standard.open()) {
        // As small as they come, so that many parts are few bytes.
        (Some(kernel), _) => generate::sized(kernel.id, [1, 1, 1, 2], seed),
        (None, Some(contract)) => open::sized(contract, ELEMENTS, seed),
        (None, None) => None,
    };
    let backward = standard.definition.filter(|_| base.has_backward);
    let backward = backward
        .and_then(|kernel| generate::with_dimension(kernel.id, Entry::Backward, (1, 2), seed));
    let both = [("", forward), ("backward-", backward)].into_iter();
    let both = both.filter_map(|(entry, case)| Some((entry, case?)));
    let cases = both.flat_map(|(entry, case)| {
        let needed = case.scratch_size;
        let sizes = TIMES.map(|times| needed.saturating_mul(times)).into_iter();
        let sizes = sizes.chain([WHOLE]);
        let sizes = sizes.filter(move |size| *size > needed && *size <= MOST);
        sizes.map(move |scratch_size| Case {
            name: format!("scratch:{entry}{scratch_size}"),
            source: Source::Drawn,
            scratch_size,
            ..case.clone()
        })
    });
    let mut cases: Vec<Case> = cases.collect();
    cases.retain(|case| Place::exists(case, base));
    cases.dedup_by(|one, other| one.name == other.name);
    cases
}
