//! Calls that undo another kernel's: `inverse_of` of contracts.

use super::{
    interpreted::{Interpreted, reference_engine},
    plan,
    standard::Standard,
};
use crate::time_limits::TimeLimits;
use kernel_cases::{case::Case, open};
use kernel_pack::{
    Pack, PackKernel,
    contract::{Contract, Property},
};
use std::sync::Arc;

/// Calls for each kernel that is undone.
const CALLS: u32 = 8;

/// The calls of a kernel that undo what others of its pack answered, and why some could not be made.
pub(super) fn cases(
    pack: &Pack,
    kernel: &PackKernel,
    standard: &Standard,
    seed: u64,
    limits: &TimeLimits,
) -> (Vec<Case>, Vec<String>) {
    let (mut cases, mut notes) = (Vec::new(), Vec::new());
    let Ok(contract) = &standard.contract else {
        return (cases, notes);
    };
    for property in &contract.properties {
        let Property::InverseOf(of) = property else {
            continue;
        };
        match undoing(pack, contract, of, seed, limits) {
            Ok(made) => cases.extend(made),
            Err(reason) => notes.push(format!(
                "{}: `{property}` was not asked: {reason}",
                kernel.id()
            )),
        }
    }
    (cases, notes)
}

fn undoing(
    pack: &Pack,
    contract: &Arc<Contract>,
    of: &str,
    seed: u64,
    limits: &TimeLimits,
) -> Result<Vec<Case>, String> {
    let done = pack.kernel(of).ok_or_else(|| format!("there is no {of}"))?;
    let theirs = done.contract().map_err(str::to_owned)?;
    let theirs = Arc::new(theirs.clone());
    let subject = plan::subjects(done)
        .into_iter()
        .next()
        .ok_or_else(|| format!("{of} has no module"))?;
    let launch = reference_engine(limits)?;
    let mut running = Interpreted::load(&launch, subject, limits)?;
    (0..CALLS)
        .map(|index| {
            let done = open::to_undo(&theirs, seed, index)
                .ok_or_else(|| format!("no call of {of} was found"))?;
            let answer = running
                .answer(&done)
                .map_err(|reason| format!("{of}: {reason}"))?;
            open::undoing(contract, &done, &answer)
        })
        .collect()
}
