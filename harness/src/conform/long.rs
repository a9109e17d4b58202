//! Cases with one long axis: longer than numbers that the code has, which may be the sizes of its tiles. A loop over tiles that is right for
//! the first one only runs the same code for all of them.

use super::{standard::Standard, subject::Subject};
use crate::coverage::dictionary;
use fastrand::Rng;
use kernel_cases::{
    case::{Case, Source},
    generate, open,
};
use std::collections::BTreeSet;

/// Sizes of tiles that are tried.
const TILES: std::ops::RangeInclusive<u32> = 64..=16_384;
/// From here on powers of two are likely to be sizes of tiles.
const USUAL: u32 = 256;
/// Bytes of an element, by which a size of a tile may be given.
const BYTES: [u32; 3] = [1, 2, 4];
/// Elements of all such cases of a kernel together, about.
const ELEMENTS: usize = 1 << 17;
/// Elements of a case of a definition.
const MOST_ELEMENTS: u64 = 1 << 14;
/// Axes that are tried, of those that a definition has.
const AXES: usize = 4;

/// The cases of a kernel, from the constants of its modules.
pub(super) fn cases(standard: &Standard, modules: &[Subject], seed: u64) -> Vec<Case> {
    let mut tiles = BTreeSet::new();
    for module in modules {
        // The pre-pass has decoded the module.
        let constants = dictionary::constants(&module.wasm).unwrap_or_default();
        let sizes = constants
            .iter()
            .flat_map(|constant| BYTES.map(|bytes| constant / bytes));
        tiles.extend(sizes.filter(|size| TILES.contains(size) && size.is_multiple_of(32)));
    }
    // What people choose first, so that it is among those that there is room for.
    let mut tiles: Vec<u32> = tiles.into_iter().collect();
    tiles.sort_by_key(|tile| (!(tile.is_power_of_two() && *tile >= USUAL), *tile));
    let mut random = Rng::with_seed(seed);
    let (mut cases, mut elements) = (Vec::new(), 0);
    for tile in tiles {
        for axis in 0..AXES {
            // Into the second tile, or into the third.
            let value = tile * random.u32(1..=2) + random.u32(1..tile / 2);
            let Some(case) = case(standard, (axis, value), &mut random) else {
                continue;
            };
            let size = case.a.len() / 4;
            if elements + size <= ELEMENTS {
                elements += size;
                cases.push(case);
            }
        }
    }
    cases
}

fn case(standard: &Standard, (axis, value): (usize, u32), random: &mut Rng) -> Option<Case> {
    let name = format!("long:{axis}:{value}");
    let seed = random.u64(..);
    let case = match (standard.definition, standard.open()) {
        (Some(kernel), _) => {
            let mut dimensions = [(); AXES].map(|()| random.u32(1..=3));
            dimensions[axis] = value;
            let elements: u64 = dimensions.iter().map(|size| u64::from(*size)).product();
            if elements > MOST_ELEMENTS || generate::dimensions(kernel.id)? <= axis {
                return None;
            }
            generate::sized(kernel.id, dimensions, seed)?
        }
        (None, Some(contract)) => open::with_axis(contract, (axis, value), seed, name.clone())?,
        (None, None) => return None,
    };
    Some(Case {
        name,
        source: Source::Drawn,
        ..case
    })
}
