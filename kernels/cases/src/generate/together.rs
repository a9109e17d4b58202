//! Calls in which sizes, layout, tables and numbers are small or large together, and the shapes of models: what is wrong only where several of them meet,
//! no call shows that varies one alone.

use super::{
    build,
    draft::{Angles, Draft, Family, RopeTensor},
    values::Class,
};
use crate::{
    case::{Case, Source},
    draw::{pick, random},
};

/// The start of their names.
pub const PREFIX: &str = "together:";

/// The calls: `together:` and for each property a 1 where it is large, then `together:model-` and the dimensions. Of five properties and fewer every
/// choice is among them; of six those with an even number of 1 or those with an odd one, as the seed says, so that any five have every choice.
/// Empty for a kernel that this harness has no contract for.
pub fn together(kernel: &str, seed: u64) -> Vec<Case> {
    let Some((kernel, family)) = Family::known(kernel) else {
        return Vec::new();
    };
    let salt: u64 = kernel.bytes().map(u64::from).sum();
    let seed = random(seed, salt + 7);
    let mut cases = Vec::new();
    let mut add = |what: String, draft: &Draft| {
        cases.push(Case {
            source: Source::Drawn,
            name: format!("{PREFIX}{what}"),
            ..build::case(kernel, family, 0, draft)
        });
    };
    let properties = properties(family);
    for choice in 0..1_u32 << properties {
        if properties > 5 && (u64::from(choice.count_ones()) ^ seed) & 1 > 0 {
            continue;
        }
        let drawn = Drawn {
            seed: random(seed, choice.into()),
            choice,
        };
        add(
            format!("{choice:0width$b}", width = properties as usize),
            &drawn.draft(family),
        );
    }
    for (number, dimensions) in (1000..).zip(models(family, seed)) {
        let drawn = Drawn {
            seed: random(seed, number),
            choice: 0,
        };
        let mut draft = Draft {
            dimensions,
            backward: false,
            ..drawn.draft(family)
        };
        if is_long(family, dimensions) {
            draft.angles = Angles::Computed;
        }
        // Layouts take turns, so that each number of heads and each size of them has both, one in this run and the other in another.
        if let Family::Rope(_) = family {
            draft.layout = (number ^ seed) as u32 & 1;
        }
        add(format!("model-{}", shape(family, dimensions)), &draft);
    }
    if let Family::Lora(_) = family {
        let dimensions = [16, 256, 8, 256];
        let draft = Draft {
            backward: true,
            ..Draft::plain(family, dimensions, random(seed, 2000))
        };
        add(
            format!("model-gradient-{}", shape(family, dimensions)),
            &draft,
        );
    }
    cases
}

fn shape(family: Family, dimensions: [u32; 4]) -> String {
    let used = dimensions[..family.dimensions()].iter();
    used.map(u32::to_string).collect::<Vec<_>>().join("x")
}

/// How many properties are small or large.
fn properties(family: Family) -> u32 {
    match family {
        Family::Rope(_) => 6,
        Family::Lora(_) | Family::Swiglu(_) => 5,
        Family::RmsNorm(_) => 4,
        Family::Pack(_) | Family::Unpack(_) => 2,
    }
}

/// Shapes of models in the family's own order and units; of decoding, of a few tokens, of a long text. Some are drawn.
fn models(family: Family, seed: u64) -> Vec<[u32; 4]> {
    // Hidden sizes and heads that models have, beside the usual powers of two.
    const HIDDEN: [u32; 10] = [
        768, 1536, 2560, 3072, 3584, 5120, 6144, 8192, 11_008, 14_336,
    ];
    const HEADS: [u32; 5] = [12, 24, 28, 40, 48];
    const PAIRS: [u32; 6] = [32, 40, 48, 56, 64, 128];
    match family {
        Family::Rope(RopeTensor::Float(_)) => {
            // Positions far from the first, and pairs that theta turns.
            let far = pick(seed, 3001, &[65_537, 65_539, 65_600, 131_073]);
            let mut shapes = vec![
                [1, 1, 32, 64],
                [1, 16, 32, 64],
                [1, 64, 8, 64],
                [2, 32, 32, 4],
                [1, 512, 1, 64],
                [1, far, 1, 2],
                [
                    1,
                    9,
                    pick(seed, 3002, &HEADS[1..4]),
                    pick(seed, 3003, &PAIRS[..4]),
                ],
            ];
            let heads = HEADS.into_iter();
            shapes.extend(heads.flat_map(|heads| PAIRS.map(|pairs| [1, 1, heads, pairs])));
            shapes
        }
        Family::Rope(RopeTensor::Q8) => {
            vec![
                [1, 1, 32, 4],
                [1, 16, 32, 4],
                [1, 64, 8, 4],
                [2, 32, 32, 1],
                [1, 2, pick(seed, 3000, &HEADS), 3],
            ]
        }
        Family::RmsNorm(_) | Family::Swiglu(_) => {
            vec![
                [1, 4096, 1, 1],
                [8, 4096, 1, 1],
                [64, 1056, 1, 1],
                [2, pick(seed, 3000, &HIDDEN[..5]), 1, 1],
                [1, pick(seed, 3001, &HIDDEN[5..]), 1, 1],
                // As many elements as a power of two, but for one.
                [3, 85, 1, 1],
                [7, 73, 1, 1],
                [3, 171, 1, 1],
            ]
        }
        Family::Pack(_) | Family::Unpack(_) => vec![[1, 128, 1, 1], [64, 32, 1, 1]],
        Family::Lora(_) => vec![
            [1, 896, 16, 896],
            [2, 2048, 32, 2048],
            [17, 520, 16, 520],
            [9, 128, 64, 128],
            [32, 512, 16, 512],
        ],
    }
}

/// Positions so far from the first that angles of f32 show, which tables would hide.
fn is_long(family: Family, [_, seq, ..]: [u32; 4]) -> bool {
    matches!(family, Family::Rope(_)) && seq > 256
}

/// What a call follows from.
struct Drawn {
    seed: u64,
    choice: u32,
}

impl Drawn {
    fn is_large(&self, property: u32) -> bool {
        self.choice >> property & 1 > 0
    }

    /// A number from one range, or where the property is large from the other; both ends are in it.
    fn number(&self, property: u32, small: (u32, u32), large: (u32, u32)) -> u32 {
        let (from, to) = if self.is_large(property) {
            large
        } else {
            small
        };
        from + (random(self.seed, property.into()) % u64::from(to - from + 1)) as u32
    }

    fn pick<T: Copy>(&self, number: u64, from: &[T]) -> T {
        pick(self.seed, number, from)
    }

    /// From 2^`from` on and below 2^`to`, each power of two as often.
    fn scale(&self, number: u64, from: i32, to: i32) -> f32 {
        let bits = random(self.seed, number);
        let exponent = from + (bits % (to - from) as u64) as i32;
        f32::from_bits(((exponent + 127) as u32) << 23 | (bits >> 41) as u32)
    }

    fn draft(&self, family: Family) -> Draft {
        let (dimensions, scalar) = match family {
            Family::Rope(tensor) => {
                let units = match tensor {
                    RopeTensor::Float(_) => self.number(0, (1, 8), (32, 40)),
                    RopeTensor::Q8 => self.number(0, (1, 1), (2, 3)),
                };
                let heads = self.number(1, (1, 1), (8, 10));
                let seq = self.number(2, (1, 4), (32, 36));
                let batch = self.number(3, (1, 1), (2, 3));
                ([batch, seq, heads, units], self.scale(10, 4, 31))
            }
            Family::RmsNorm(_) => {
                let hidden = self.number(0, (1, 48), (64, 1100));
                let rows = self.number(1, (1, 2), (17, 40));
                let eps = match self.is_large(2) {
                    true => self.pick(
                        10,
                        &[
                            0.0,
                            self.scale(11, -39, -24),
                            self.scale(11, -114, -39),
                            self.scale(11, -4, 7),
                        ],
                    ),
                    false => self.scale(10, -24, -4),
                };
                ([rows, hidden, 1, 1], eps)
            }
            Family::Swiglu(_) => {
                let hidden = self.number(0, (1, 48), (64, 1100));
                let rows = self.number(1, (1, 2), (17, 40));
                let beta = match self.is_large(2) {
                    true => self.scale(10, -10, 6),
                    false => self.scale(10, -3, 2),
                };
                let beta = if self.is_large(3) { -beta } else { beta };
                ([rows, hidden, 1, 1], beta)
            }
            Family::Pack(_) | Family::Unpack(_) => {
                let blocks = self.number(0, (1, 4), (9, 40));
                ([self.number(1, (1, 2), (17, 40)), blocks, 1, 1], 0.0)
            }
            Family::Lora(_) => {
                let output = self.number(0, (1, 32), (65, 130));
                let rank = self.number(1, (1, 7), (33, 40));
                let input = self.number(2, (1, 32), (65, 130));
                let rows = self.number(3, (1, 2), (17, 24));
                let scale = match self.is_large(4) {
                    true => self.scale(10, 4, 9),
                    false => self.scale(10, -4, 4),
                };
                ([rows, input, rank, output], self.pick(12, &[scale, -scale]))
            }
        };
        let angles = match self.is_large(5) {
            true => self.pick(13, &[Angles::Tables, Angles::HalfTables]),
            false => self.pick(13, &[Angles::Computed, Angles::Given]),
        };
        let backward = match family {
            Family::RmsNorm(_) => self.is_large(3),
            Family::Swiglu(_) => self.is_large(4),
            _ => self.pick(14, &[false, false, false, true]),
        };
        let mut draft = Draft {
            scalar,
            angles,
            layout: self.choice >> 4 & 1,
            backward,
            more_scratch: self.pick(15, &[0, 0, 1024, 0x1_0000, 0x2_0000]),
            ..Draft::plain(family, dimensions, random(self.seed, 16))
        };
        // Beside ordinary values nobody sees an eps that is small.
        if let Family::RmsNorm(_) = family
            && self.is_large(2)
            && scalar > 0.0
        {
            let root = (scalar.sqrt().to_bits() >> 23) as u8;
            draft.tensors[0].class = Class::OneSize(root);
        }
        draft
    }
}
