//! Mutants of a module: drawn by a seed, each with one fault in code that something leads to.

use super::fault::{Kind, faults};
use crate::rewrite::{
    Change, FEATURES, Listing, Module,
    body::{Body, Edit},
    flow::blocks,
    section,
};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use wasmparser::{BinaryReaderError, Validator};

/// Where a fault is, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What kind of fault.
    pub kind: Kind,
    /// The function's name, or number.
    pub function: String,
    /// Where the instruction was, in bytes from the start of the module.
    pub offset: u64,
    /// The instruction.
    pub before: String,
    /// What stands in its place.
    pub after: String,
}

/// A module with one fault.
#[derive(Clone, Debug)]
pub(super) struct Mutant {
    /// The fault.
    pub place: Place,
    /// The module.
    pub wasm: Vec<u8>,
}

/// Tries to draw a mutant that is valid and was not drawn before.
const TRIES: usize = 1000;

/// An instruction of a module: number of its function among those with bodies, and its own.
type Site = (usize, usize);

/// Draws up to `count` mutants of a module, no two alike: the kind of the fault first, each as often, then one of its places. Code that
/// only traps is left out: what is wrong there shows in no answer.
///
/// # Errors
/// If the module cannot be decoded; the pre-pass accepts no such module.
pub(super) fn draw(
    wasm: &[u8],
    count: usize,
    rng: &mut Rng,
) -> Result<Vec<Mutant>, BinaryReaderError> {
    let module = Module::of(wasm.to_vec())?;
    let bodies = module.all_bodies()?;
    let listing = Listing::of(&module);
    let sites = sites(&module, &bodies);
    let kinds: Vec<Kind> = sites.keys().copied().collect();
    let mut known = HashSet::new();
    let mut mutants = Vec::new();
    for _ in 0..TRIES.saturating_mul(count) {
        if mutants.len() == count || kinds.is_empty() {
            break;
        }
        let kind = kinds[rng.usize(..kinds.len())];
        let of_kind = &sites[&kind];
        let (index, operator) = of_kind[rng.usize(..of_kind.len())];
        let body = &bodies[index];
        let placed = &body.operators[operator];
        let mut faults = faults(&module, body, placed);
        faults.retain(|fault| fault.kind == kind);
        let fault = faults.swap_remove(rng.usize(..faults.len()));
        if !known.insert((index, operator, fault.with.clone())) {
            continue;
        }
        let edit = Edit {
            bytes: placed.bytes.clone(),
            with: fault.with.clone(),
        };
        let changed = HashMap::from([(index, body.edited(&module, &[edit]))]);
        let changes = BTreeMap::from([(
            section::CODE,
            Change {
                contents: Some(module.code(&changed)),
                ..Change::default()
            },
        )]);
        let mutated = module.assemble(&changes)?;
        let valid = Validator::new_with_features(FEATURES).validate_all(&mutated);
        if valid.is_err() {
            continue;
        }
        let after = shown(&mutated, index, operator, body.operators.len())?;
        mutants.push(Mutant {
            place: Place {
                kind,
                function: listing.function(body.function),
                offset: placed.bytes.start as u64,
                before: listing.text(placed.bytes.start).to_owned(),
                after,
            },
            wasm: mutated,
        });
    }
    Ok(mutants)
}

/// Places of each kind of fault.
fn sites(module: &Module, bodies: &[Body<'_>]) -> BTreeMap<Kind, Vec<Site>> {
    let mut sites: BTreeMap<Kind, Vec<Site>> = BTreeMap::new();
    for (index, (body, blocks)) in bodies.iter().zip(blocks(bodies)).enumerate() {
        let live = blocks.into_iter().filter(|block| !block.only_traps);
        for operator in live.flat_map(|block| block.operators) {
            let mut kinds: Vec<Kind> = faults(module, body, &body.operators[operator])
                .into_iter()
                .map(|fault| fault.kind)
                .collect();
            kinds.sort_unstable();
            kinds.dedup();
            for kind in kinds {
                sites.entry(kind).or_default().push((index, operator));
            }
        }
    }
    sites
}

/// What stands in the place of an instruction: as many more as the function has now.
fn shown(
    wasm: &[u8],
    index: usize,
    operator: usize,
    before: usize,
) -> Result<String, BinaryReaderError> {
    let module = Module::of(wasm.to_vec())?;
    let body = module.body(index)?;
    let listing = Listing::of(&module);
    let count = (body.operators.len() + 1).saturating_sub(before);
    let new = body.operators.iter().skip(operator).take(count);
    let text: Vec<&str> = new.map(|placed| listing.text(placed.bytes.start)).collect();
    Ok(text.join("; "))
}
