//! Cases with long axes: longer than numbers that the code has, which may be the sizes of its tiles, and whole multiples of these, of gradients too; two
//! at once; and longer than 16 bits count. A loop over tiles that is right for the first one only runs the same code for all of them.

use super::{cases::USUAL, plan::Choice, standard::Standard, subject::Subject};
use crate::coverage::dictionary;
use fastrand::Rng;
use kernel_cases::{
    case::{Case, Entry, Source},
    generate, open,
};
use std::collections::BTreeSet;

/// Sizes of tiles that are tried.
const TILES: std::ops::RangeInclusive<u32> = 64..=16_384;
/// From here on powers of two are likely to be sizes of tiles.
const LIKELY: u32 = 256;
/// Bytes of an element, by which a size of a tile may be given.
const BYTES: [u32; 3] = [1, 2, 4];
/// Numbers that may be the sizes of tiles are multiples of this.
const UNIT: u32 = 16;
/// Axes that are tried, of those that a kernel has.
const AXES: usize = 4;
/// What 16 bits do not count.
const BEYOND_16_BITS: u32 = 1 << 16;
const FORWARD: Entry = Entry::Forward;
const BACKWARD: Entry = Entry::Backward;
/// A length that is in the second tile of most sizes, for pairs of axes.
const SECOND_TILE: u32 = 256;

/// How much is asked of a kind of such cases.
struct Room {
    /// Elements of all of them together, about.
    all: u64,
    /// Elements of input a in one of them.
    one: u64,
    /// Elements of all tensors in one, of contracts that are data.
    total: u64,
}

const ONE_AXIS: Room = Room {
    all: 1 << 16,
    one: 1 << 14,
    total: 1 << 16,
};
const TWO_AXES: Room = Room {
    all: 3 << 15,
    one: 3 << 15,
    total: 1 << 18,
};
const WHOLE: Room = Room {
    all: 1 << 15,
    one: 1 << 14,
    total: 1 << 16,
};
const RESTS: Room = Room {
    all: 1 << 16,
    one: 1 << 13,
    total: 1 << 15,
};
const MANY: Room = Room {
    all: 13 << 14,
    one: 9 << 14,
    total: 1 << 20,
};

/// The cases of a kernel, from the constants of its modules. Where there is room for one axis beyond 16 bits only, the run's own seed says which. A short
/// run has no whole multiples and no gradients.
pub(super) fn cases(standard: &Standard, modules: &[Subject], choice: &Choice<'_>) -> Vec<Case> {
    let Choice { seed, own_seed, .. } = *choice;
    let tiles = tiles(modules);
    let mut random = Rng::with_seed(seed);
    let mut long = Long {
        standard,
        names: BTreeSet::new(),
        cases: Vec::new(),
    };
    let mut left = ONE_AXIS.all;
    for tile in &tiles {
        for axis in 0..AXES {
            // Into the second tile, or into the third.
            let value = tile * random.u32(1..=2) + random.u32(1..tile / 2);
            long.add(
                FORWARD,
                &[(axis, value)],
                (&ONE_AXIS, &mut left),
                &mut random,
            );
        }
    }
    if choice.cases >= USUAL {
        long.whole(&tiles, &mut random);
        long.rests(&tiles, &mut random);
    }
    // An axis of 2^17 has room beside one of 2^16.
    let mut left = MANY.all;
    for (number, times) in (0..AXES).zip([2, 1, 1, 1]) {
        let axis = (number + (own_seed % AXES as u64) as usize) % AXES;
        let value = BEYOND_16_BITS * times + random.u32(1..64);
        long.add(FORWARD, &[(axis, value)], (&MANY, &mut left), &mut random);
    }
    // Two tiles at once have to be small; after them those of no kernel in particular.
    let mut left = TWO_AXES.all;
    let small = tiles.iter().copied().filter(|tile| *tile <= SECOND_TILE);
    let sizes: Vec<u32> = small.chain([SECOND_TILE]).take(2).collect();
    for tile in sizes {
        for one in 0..AXES {
            for other in one + 1..AXES {
                let values = [one, other].map(|axis| (axis, tile + random.u32(1..=tile / 8)));
                long.add(FORWARD, &values, (&TWO_AXES, &mut left), &mut random);
            }
        }
    }
    long.cases
}

/// Numbers that may be the sizes of tiles, those that people choose first in front, so that they are among those that there is room for.
fn tiles(modules: &[Subject]) -> Vec<u32> {
    let mut tiles = BTreeSet::new();
    for module in modules {
        // The pre-pass has decoded the module.
        let constants = dictionary::constants(&module.wasm).unwrap_or_default();
        let sizes = constants
            .iter()
            .flat_map(|constant| BYTES.map(|bytes| constant / bytes));
        tiles.extend(sizes.filter(|size| TILES.contains(size) && size.is_multiple_of(UNIT)));
    }
    let mut tiles: Vec<u32> = tiles.into_iter().collect();
    tiles.sort_by_key(|tile| (!is_likely(*tile), *tile));
    tiles
}

fn is_likely(tile: u32) -> bool {
    tile.is_power_of_two() && tile >= LIKELY
}

struct Long<'a> {
    standard: &'a Standard,
    names: BTreeSet<String>,
    cases: Vec<Case>,
}

impl Long<'_> {
    /// Whole multiples of tiles, the smallest first and then those that are likely; of gradients too, and of these also what lies between them.
    fn whole(&mut self, tiles: &[u32], random: &mut Rng) {
        let ascending: BTreeSet<u32> = tiles.iter().copied().collect();
        let (mut left, mut left_of_gradients) = (WHOLE.all, WHOLE.all);
        for tile in &ascending {
            for (axis, times) in (0..AXES).flat_map(|axis| [(axis, 2), (axis, 3)]) {
                let value = [(axis, tile * times)];
                self.add(FORWARD, &value, (&WHOLE, &mut left), random);
            }
            let left = &mut left_of_gradients;
            for axis in 0..AXES {
                self.add(BACKWARD, &[(axis, tile * 2)], (&WHOLE, left), random);
            }
            let axis = random.u32(..AXES as u32) as usize;
            let value = tile * random.u32(1..=2) + random.u32(1..tile / 2);
            self.add(BACKWARD, &[(axis, value)], (&WHOLE, left), random);
        }
        let mut left = ONE_AXIS.all;
        for tile in ascending.iter().filter(|tile| is_likely(**tile)) {
            for axis in 0..AXES {
                self.add(FORWARD, &[(axis, tile * 2)], (&WHOLE, &mut left), random);
            }
        }
    }

    /// A few elements into the second tile, and one less: what is left there is less than the vectors and the neighbours that a loop takes at once.
    fn rests(&mut self, tiles: &[u32], random: &mut Rng) {
        let ascending: BTreeSet<u32> = tiles.iter().copied().collect();
        let (mut left, mut left_of_gradients) = (RESTS.all, RESTS.all / 2);
        for tile in &ascending {
            // Every axis has one of them, and the next tile another.
            let from = random.u32(..AXES as u32) as usize;
            for axis in 0..AXES {
                for (number, value) in [tile + 1, tile + 2, tile + 3, tile - 1]
                    .into_iter()
                    .enumerate()
                {
                    let value = [(axis, value)];
                    if (number + axis + from).is_multiple_of(2) {
                        self.add(FORWARD, &value, (&RESTS, &mut left), random);
                    } else {
                        self.add(BACKWARD, &value, (&RESTS, &mut left_of_gradients), random);
                    }
                }
            }
        }
    }

    /// Adds a case with these axes, if the kernel has them, no other case has its name, and there is room left for it.
    fn add(
        &mut self,
        entry: Entry,
        long: &[(usize, u32)],
        (room, left): (&Room, &mut u64),
        random: &mut Rng,
    ) {
        let parts = long.iter().map(|(axis, value)| format!(":{axis}:{value}"));
        let what = match entry {
            Entry::Forward => "",
            Entry::Backward => ":gradient",
        };
        let name = format!("long{what}{}", parts.collect::<String>());
        let Some(case) = case(self.standard, entry, long, room, random) else {
            return;
        };
        let size = case.a.len() as u64 / 4;
        if size <= *left && self.names.insert(name.clone()) {
            *left -= size;
            self.cases.push(Case {
                name,
                source: Source::Drawn,
                ..case
            });
        }
    }
}

fn case(
    standard: &Standard,
    entry: Entry,
    long: &[(usize, u32)],
    room: &Room,
    random: &mut Rng,
) -> Option<Case> {
    let seed = random.u64(..);
    match (standard.definition, standard.open()) {
        (Some(kernel), _) => {
            let axes = generate::dimensions(kernel.id)?;
            let mut dimensions = [(); AXES].map(|()| random.u32(1..=3));
            // Beside much there is no room for others.
            let alone = room.one > ONE_AXIS.one;
            let others = dimensions.iter_mut().enumerate();
            others
                .filter(|(axis, _)| alone || *axis >= axes)
                .for_each(|(_, size)| *size = 1);
            for (axis, value) in long {
                dimensions[*axis] = *value;
            }
            let elements: u64 = dimensions.iter().map(|size| u64::from(*size)).product();
            if elements > room.one || long.iter().any(|(axis, _)| *axis >= axes) {
                return None;
            }
            generate::shaped(kernel.id, entry, dimensions, seed)
        }
        (None, Some(contract)) if entry == FORWARD => {
            open::with_axes(contract, long, room.total, seed, String::new())
        }
        (None, _) => None,
    }
}
