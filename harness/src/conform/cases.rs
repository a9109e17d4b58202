//! The cases of a kernel: an author's and other people's vectors, what is at a limit or wrong, and what is drawn.

use super::{placement::Place, plan::Choice, standard::Standard, subject::Subject};
use crate::{acceptance, output::printable};
use anyhow::Result;
use kernel_cases::{
    case::{Case, Source},
    edge, generate, open,
    vectors::{self, Folder, VectorError},
};
use kernel_pack::{Pack, PackKernel, Rejection};
use std::{collections::BTreeSet, path::Path, sync::Arc};

/// The cases of a pack's own vectors for a kernel.
///
/// # Errors
/// Rejected if they are damaged, do not fit the contract, or are about another kernel.
pub fn vectors_of(pack: &Pack, kernel: &str, standard: &Standard) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    if standard.contract.is_err() {
        // Nothing says how they would become calls; that the kernel is not judged is said elsewhere.
        return Ok(cases);
    }
    let own = pack.vectors().iter();
    for vector in own.filter(|vector| vector.kernel() == kernel) {
        let rejected = |reason: &str| {
            let reason = printable(reason);
            acceptance::stop(Rejection::vectors(kernel, vector.path(), &reason).into())
        };
        let loaded = load(standard, kernel, vector.path(), vector.bytes())
            .map_err(|error| rejected(&error.to_string()))?;
        if let Some(stray) = loaded.iter().find(|case| case.kernel != kernel) {
            return Err(rejected(&format!("it holds cases of {}", stray.kernel)));
        }
        cases.extend(loaded);
    }
    Ok(cases)
}

/// The cases of a vector file about a kernel: of this project's kernels by what is known of them, of others by their contract.
///
/// # Errors
/// If it is damaged, or does not fit the contract.
pub fn load(
    standard: &Standard,
    kernel: &str,
    name: &str,
    bytes: &[u8],
) -> Result<Vec<Case>, VectorError> {
    let ours = standard.definition.is_some_and(|known| known.id == kernel);
    match &standard.contract {
        Ok(contract) if !ours => vectors::load_open(contract, name, bytes),
        _ => vectors::load_bytes(name, bytes),
    }
}

/// The cases of a folder of vector files, of the selected kernels by their contracts.
///
/// # Errors
/// See [`vectors::load_folder`].
pub fn outside(folder: &Path, selected: &[&PackKernel]) -> Result<Folder, VectorError> {
    vectors::load_folder(folder, &|name, bytes| {
        let about = vectors::kernel_of(name, bytes)?;
        match selected.iter().find(|kernel| kernel.id() == about) {
            Some(kernel) => load(&Standard::of(kernel, &[]), kernel.id(), name, bytes),
            None => vectors::load_bytes(name, bytes),
        }
    })
}

/// Fewer generated cases than this are a short run, without calls that hold every f16: those take an emulated interpreter minutes.
const FEW: u32 = 8;
/// Fewer than this are no usual run: without the shapes of models, without choices of sizes and numbers that are small or large together, and without
/// large calls.
pub(super) const USUAL: u32 = 32;

/// All cases of a kernel: vectors, each with a name of its own, after them edge cases, and generated ones of the fixed and of the run's own seed.
pub fn all(mut vectors: Vec<Case>, standard: &Standard, choice: &Choice<'_>) -> Vec<Case> {
    distinguish(&mut vectors);
    vectors.extend(fixed(standard, choice.seed, choice.cases));
    let own = 0..choice.cases.div_ceil(3);
    match (standard.definition, standard.open()) {
        (Some(kernel), _) => {
            vectors
                .extend(own.filter_map(|index| generate::drawn(kernel.id, choice.own_seed, index)));
            if choice.cases > 0 {
                vectors.extend(generate::near(kernel.id, choice.own_seed));
                let every_f16 = choice.cases >= FEW;
                vectors.extend(generate::spread(kernel.id, choice.own_seed, every_f16));
            }
            if choice.cases >= USUAL {
                vectors.extend(generate::together(kernel.id, choice.own_seed));
                vectors.extend(generate::large(kernel.id, choice.own_seed));
                vectors.extend(generate::alike(kernel.id, choice.own_seed));
                vectors.extend(generate::corner(kernel.id, choice.own_seed));
                let contract = standard.contract.iter();
                vectors.extend(contract.flat_map(|one| open::special(one, kernel.id)));
            }
        }
        (None, Some(contract)) => {
            let drawn = own.flat_map(|index| open::generated(contract, choice.own_seed, index));
            vectors.extend(drawn.map(|case| renamed(case, "drawn")));
            if choice.cases > 0 {
                vectors.extend(open::near(contract, choice.own_seed));
                vectors.extend(open::spread(contract, choice.own_seed));
            }
            if choice.cases >= USUAL {
                vectors.extend(open::together(contract, choice.own_seed));
                vectors.extend(open::alike(contract, choice.own_seed));
                vectors.extend(open::meet(contract, choice.own_seed));
                vectors.extend(open::corner(contract, choice.own_seed));
            }
        }
        (None, None) => {}
    }
    vectors
}

/// Edge cases and so many generated ones: the same for everybody who names this seed.
pub fn fixed(standard: &Standard, seed: u64, generated: u32) -> Vec<Case> {
    match (standard.definition, standard.open()) {
        (Some(kernel), _) => {
            let mut cases = edge::cases(kernel.id);
            cases.extend((0..generated).filter_map(|index| generate::case(kernel.id, seed, index)));
            // What the definition knows by heart has no names; properties are about tensors by name.
            if let Ok(contract) = &standard.contract
                && !contract.properties.is_empty()
            {
                let named = (0..generated).flat_map(|index| open::generated(contract, seed, index));
                cases.extend(named.map(|case| renamed(case, "property")));
            }
            cases
        }
        (None, Some(contract)) => {
            let mut cases = open::edge_cases(contract);
            cases.extend((0..generated).flat_map(|index| open::generated(contract, seed, index)));
            cases
        }
        (None, None) => Vec::new(),
    }
}

/// Leaves out calls that were drawn from a contract and have no room in the memory that the manifest allows, which no host makes either; says how
/// many. Vectors and wrong calls stay, so that no author is rid of them by a small limit.
pub fn retain_placeable(cases: &mut Vec<Case>, subject: &Subject) -> usize {
    let all = cases.len();
    cases.retain(|case| {
        let is_drawn =
            case.open.is_some() && case.source != Source::Vector && case.expects_output();
        !is_drawn || Place::exists(case, subject)
    });
    let names: BTreeSet<String> = cases.iter().map(|case| case.name.clone()).collect();
    // What follows from the answer of another call goes with it.
    cases.retain(|case| {
        let relation = case.open.as_ref().and_then(|call| call.relation.as_ref());
        relation.is_none_or(|relation| names.contains(&relation.of))
    });
    all - cases.len()
}

/// A case under another name than `generated:N`, related to others that are called so.
fn renamed(case: Case, name: &str) -> Case {
    let open = case.open.as_deref().map(|call| {
        let mut call = call.clone();
        if let Some(relation) = &mut call.relation {
            relation.of = relation.of.replacen("generated", name, 1);
        }
        Arc::new(call)
    });
    Case {
        name: case.name.replacen("generated", name, 1),
        open,
        ..case
    }
}

/// Case names must be unique within a kernel: a folder of vectors may use the pack's names again.
pub fn distinguish(cases: &mut [Case]) {
    let mut seen = BTreeSet::new();
    for case in cases {
        let mut name = case.name.clone();
        let mut number = 2;
        while !seen.insert(name.clone()) {
            name = format!("{}~{number}", case.name);
            number += 1;
        }
        case.name = name;
    }
}
