//! Calls whose tensors hold values of every size and the round ones, of kernels that the harness knows by heart. One tensor at a time is
//! such, or one stretch of rows at a time, and the others are ordinary: what overflows or vanishes beside another would hide what is wrong.

use super::{
    build,
    draft::{Angles, Draft, Family, Format, RopeTensor},
    kinds::{Kinds, every_f16},
    sizes::sizes,
    values::{Float, circle},
};
use crate::{
    case::{Case, Source},
    draw::{pick, random},
};
use half::f16;
use kernel_abi::block::Q4_BYTES;
use std::ops::Range;

/// The start of their names.
pub const PREFIX: &str = "values:";
/// Angles are accurate below this.
const LARGEST_ANGLE: f32 = 131_072.0;

/// The calls, named `values:` and the tensor that holds the values, with those that hold every f16 or without. Empty for a kernel that this harness
/// has no contract for.
pub fn spread(kernel: &str, seed: u64, every_f16: bool) -> Vec<Case> {
    let Some((kernel, family)) = Family::known(kernel) else {
        return Vec::new();
    };
    let salt: u64 = kernel.bytes().map(u64::from).sum();
    let of_kernel = Calls {
        kernel,
        family,
        seed: random(seed, salt),
        every_f16,
    };
    let mut cases = match family {
        Family::Rope(tensor) => of_kernel.rope(tensor),
        Family::RmsNorm(float) => of_kernel.rmsnorm(float),
        Family::Swiglu(float) => of_kernel.swiglu(float),
        Family::Pack(_) => of_kernel.pack(),
        Family::Unpack(format) => of_kernel.unpack(format),
        Family::Lora(float) => of_kernel.lora(float),
    };
    cases.extend(sizes(kernel, family, of_kernel.seed));
    cases
}

struct Calls {
    kernel: &'static str,
    family: Family,
    seed: u64,
    every_f16: bool,
}

impl Calls {
    /// One of these, as the seed and a number say.
    fn pick<T: Copy>(&self, number: u64, from: &[T]) -> T {
        pick(self.seed, number, from)
    }

    fn kinds(&self, float: Float, number: u64) -> Kinds {
        Kinds {
            float,
            seed: random(self.seed, 1000 + number) >> 8,
        }
    }

    fn plain(&self, dimensions: [u32; 4], scalar: f32) -> Draft {
        Draft {
            scalar,
            ..Draft::plain(self.family, dimensions, random(self.seed, 2000))
        }
    }

    /// A call with other tensors than ordinary ones.
    fn call(&self, what: &str, draft: &Draft, change: impl FnOnce(&mut Case)) -> Case {
        let mut case = Case {
            source: Source::Drawn,
            name: format!("{PREFIX}{what}"),
            ..build::case(self.kernel, self.family, 0, draft)
        };
        change(&mut case);
        case
    }

    fn rope(&self, tensor: RopeTensor) -> Vec<Case> {
        let pairs = self.pick(0, &[9, 10, 11]);
        let tables = match tensor {
            RopeTensor::Float(Float::F16) => Float::F16,
            _ => Float::F32,
        };
        let (kind, units) = match tensor {
            RopeTensor::Float(_) => (Angles::HalfTables, pairs),
            RopeTensor::Q8 => (Angles::Tables, 1),
        };
        let with = |dimensions, angles, layout| Draft {
            angles,
            layout,
            ..self.plain(dimensions, 10_000.0)
        };
        let mut cases: Vec<Case> = (0..2)
            .map(|layout| {
                let angles = self.pick(1, &[Angles::Computed, Angles::Given, Angles::Tables]);
                let kinds = self.kinds(tables, layout.into());
                let heads = match tensor {
                    RopeTensor::Float(_) => kinds.rows() as u32 / 2,
                    RopeTensor::Q8 => 62,
                };
                let draft = with([1, 2, heads, units], angles, layout);
                self.call(&format!("x-{layout}"), &draft, |case| match tensor {
                    RopeTensor::Float(float) => {
                        let kinds = Kinds { float, ..kinds };
                        case.a = kinds.bytes(rows(kinds, kinds.rows(), 2 * pairs as usize));
                    }
                    RopeTensor::Q8 => {
                        case.a = blocks(self.kinds(Float::F16, 2), 2 * heads as usize, 32);
                    }
                })
            })
            .collect();
        let kinds = self.kinds(Float::F32, 3);
        let positions = 2048 / pairs;
        let pairs = if tensor == RopeTensor::Q8 { 16 } else { pairs };
        let count = (positions * pairs) as usize;
        let draft = with(
            [1, positions, 1, units],
            Angles::Given,
            self.pick(4, &[0, 1]),
        );
        cases.push(self.call("angles", &draft, |case| {
            let angles = swept(kinds, count).map(|bits| {
                let angle = f32::from_bits(bits);
                // The exponents beyond are those of smaller angles once more.
                let small = angle.abs() < LARGEST_ANGLE;
                if small {
                    bits
                } else {
                    (angle / f32::powi(2.0, 111)).to_bits()
                }
            });
            case.b = kinds.bytes(angles);
        }));
        let draft = with([1, positions, 1, units], kind, self.pick(5, &[0, 1]));
        cases.push(self.call("tables", &draft, |case| {
            let kinds = self.kinds(tables, 4);
            let tangents = swept(kinds, count).map(move |bits| match tables {
                Float::F32 => f32::from_bits(bits),
                Float::F16 => f16::from_bits(bits as u16).to_f32(),
            });
            case.b = circle(tables, tangents);
        }));
        if self.every_f16 && tensor == RopeTensor::Float(Float::F16) {
            let draft = with([1, 4, 256, 32], Angles::HalfTables, self.pick(6, &[0, 1]));
            cases.push(self.call("every-x", &draft, |case| {
                case.a = self.every();
            }));
        }
        cases
    }

    fn rmsnorm(&self, float: Float) -> Vec<Case> {
        let eps = self.pick(0, &[1e-5, 1e-6, 1e-12, 0.0]);
        let kinds = self.kinds(float, 0);
        let width = self.pick(1, &[17, 18, 19, 20]);
        let stretch = kinds.rows();
        let mut cases = vec![self.call(
            "x",
            &self.plain([stretch as u32, width, 1, 1], eps),
            |case| case.a = kinds.bytes(rows(kinds, stretch, width as usize)),
        )];
        let weights = 6 * float.exponents() + self.pick(2, &[0, 1, 2, 3]);
        let weight = |backward| Draft {
            backward,
            ..self.plain([2, weights, 1, 1], eps)
        };
        let swept = || kinds.bytes(swept(kinds, weights as usize));
        cases.push(self.call("weight", &weight(false), |case| case.b = swept()));
        cases.push(self.call("backward-weight", &weight(true), |case| case.b = swept()));
        let width = self.pick(3, &[9, 10, 11, 12]);
        let all = 2 * stretch;
        let draft = Draft {
            backward: true,
            ..self.plain([all as u32, width, 1, 1], eps)
        };
        cases.push(self.call("backward", &draft, |case| {
            let width = width as usize;
            case.a = [
                self.stretch(float, (1, all, width), 0..stretch),
                self.stretch(float, (2, all, width), stretch..all),
            ]
            .concat();
        }));
        if self.every_f16 && float == Float::F16 {
            let draft = self.plain([1024, 64, 1, 1], self.pick(4, &[1e-12, 0.0]));
            cases.push(self.call("every-x", &draft, |case| case.a = self.every()));
            let draft = self.plain([1, 1 << 16, 1, 1], 1e-5);
            cases.push(self.call("every-weight", &draft, |case| case.b = self.every()));
        }
        cases
    }

    fn swiglu(&self, float: Float) -> Vec<Case> {
        let beta = self.pick(0, &[1.0, 1.0, 1.702, -1.0]);
        let width = self.pick(1, &[5, 6, 7]);
        let stretch = self.kinds(float, 0).rows();
        let all = 3 * stretch;
        let length = width as usize;
        let draft = self.plain([all as u32, width, 1, 1], beta);
        let mut cases = vec![self.call("x-and-gate", &draft, |case| {
            case.a = self.stretch(float, (1, all, length), 0..stretch);
            case.b = self.stretch(float, (2, all, length), stretch..2 * stretch);
            // Of the last rows x and gate are the same.
            let from = 2 * stretch * length * float.size();
            let kinds = self.kinds(float, 3);
            let same = kinds.bytes(rows(kinds, stretch, length));
            case.a[from..].copy_from_slice(&same);
            case.b[from..].copy_from_slice(&same);
        })];
        let draft = Draft {
            backward: true,
            ..self.plain([all as u32, width, 1, 1], beta)
        };
        cases.push(self.call("backward", &draft, |case| {
            let of = |number: usize| {
                let special = number * stretch..(number + 1) * stretch;
                self.stretch(float, (4 + number as u64, all, length), special)
            };
            case.a = [of(0), of(1)].concat();
            case.b = of(2);
        }));
        if self.every_f16 && float == Float::F16 {
            let draft = self.plain([2048, 64, 1, 1], beta);
            cases.push(self.call("every-x-and-gate", &draft, |case| {
                let half = case.a.len() / 2;
                case.a[..half].copy_from_slice(&self.every());
                case.b[half..].copy_from_slice(&self.every());
            }));
        }
        cases
    }

    fn pack(&self) -> Vec<Case> {
        let kinds = self.kinds(Float::F32, 0);
        let blocks = kinds.rows();
        let rows_of = self.pick(0, &[1, 2, 5]);
        let draft = self.plain([rows_of, blocks as u32 / rows_of, 1, 1], 0.0);
        vec![self.call("x", &draft, |case| {
            case.a = kinds.bytes(rows(kinds, blocks, 32));
        })]
    }

    fn unpack(&self, format: Format) -> Vec<Case> {
        let draft = self.plain([4, 64, 1, 1], 0.0);
        vec![self.call("scales", &draft, |case| {
            case.a = blocks(self.kinds(Float::F16, 0), 256, format.code_bytes);
        })]
    }

    /// Matrices of the kernel with one element of each row and column, so that each element of the third shows by itself.
    fn lora(&self, float: Float) -> Vec<Case> {
        let side: usize = match float {
            Float::F32 => 23,
            Float::F16 => 16,
        };
        let scale = self.pick(0, &[1.0, 0.5, -2.0]);
        let kinds = |number| self.kinds(float, number);
        let diagonal = |number| {
            let kinds = kinds(number);
            let one = |place: usize| match place % (side + 1) {
                0 => kinds.unit(place as u64),
                _ => 0,
            };
            kinds.bytes((0..side * side).map(one))
        };
        let dense = |number| kinds(number).bytes(swept(kinds(number), side * side));
        let with = |rows: usize, backward| Draft {
            backward,
            ..self.plain([rows as u32, side as u32, side as u32, side as u32], scale)
        };
        let zeros = |rows: usize| vec![0; rows * side * float.size()];
        let round = || rows(kinds(9), 24, side);
        let mut cases = vec![
            self.call("x-and-base", &with(2 * side + 24, false), |case| {
                case.a = [dense(1), zeros(side), kinds(9).bytes(round())].concat();
                case.b = [diagonal(2), diagonal(3)].concat();
                case.base = Some([zeros(side), dense(4), zeros(24)].concat());
            }),
        ];
        // dy is ordinary where it is not one of them.
        let ordinary = |number| {
            let kinds = kinds(number);
            kinds.bytes((0..(side * side) as u64).map(|place| kinds.ordinary(place)))
        };
        for (what, number) in [("a", 0), ("b", 1)] {
            cases.push(self.call(what, &with(side, false), |case| {
                let mut three = [diagonal(1), diagonal(2), diagonal(3)];
                three[number + 1] = dense(5);
                let [x, a, b] = three;
                (case.a, case.b, case.base) = (x, [a, b].concat(), Some(zeros(side)));
            }));
        }
        for (what, number) in [("dy", 0), ("x", 1), ("a", 2), ("b", 3)] {
            let what = format!("backward-{what}");
            cases.push(self.call(&what, &with(side, true), |case| {
                let mut four = [diagonal(1), ordinary(2), diagonal(3), diagonal(4)];
                four[number] = dense(6);
                let [dy, x, a, b] = four;
                (case.a, case.b) = ([dy, x].concat(), [a, b].concat());
            }));
        }
        if self.every_f16 && float == Float::F16 {
            let half = vec![0; 2 << 16];
            let draft = self.plain([1 << 16, 1, 1, 1], scale);
            cases.push(self.call("every-x", &draft, |case| {
                (case.a, case.base) = (self.every(), Some(half.clone()));
            }));
            let draft = self.plain([1, 1, 1, 2 << 16], scale);
            cases.push(self.call("every-b-and-base", &draft, |case| {
                let a = case.b[..2].to_vec();
                case.b = [a, self.every(), half.clone()].concat();
                case.base = Some([half, self.every()].concat());
            }));
        }
        cases
    }

    /// A tensor of so many rows of a length, of which those of a range hold everything and the others are ordinary.
    fn stretch(
        &self,
        float: Float,
        (number, all, length): (u64, usize, usize),
        special: Range<usize>,
    ) -> Vec<u8> {
        let kinds = self.kinds(float, number);
        let first = special.start;
        let elements = (0..all).flat_map(|row| {
            if special.contains(&row) {
                return kinds.row((row - first) as u64, length);
            }
            let places = row * length..(row + 1) * length;
            places.map(|place| kinds.ordinary(place as u64)).collect()
        });
        kinds.bytes(elements)
    }

    /// A tensor of every f16.
    fn every(&self) -> Vec<u8> {
        self.kinds(Float::F16, 7)
            .bytes(every_f16(random(self.seed, 7)))
    }
}

/// Rows that hold everything.
fn rows(kinds: Kinds, count: usize, length: usize) -> impl Iterator<Item = u32> {
    (0..count as u64).flat_map(move |row| kinds.row(row, length))
}

/// So many elements without rows: three of four sweep through the exponents, the others are round.
fn swept(kinds: Kinds, count: usize) -> impl Iterator<Item = u32> + Clone {
    (0..count as u64).map(move |place| match place % 4 {
        3 => kinds.round(place / 4),
        of => kinds.sweep(place / 4 * 3 + of),
    })
}

/// So many blocks with scales of every size, and codes that are any, alike, one beside zeros, or the largest.
fn blocks(scales: Kinds, count: usize, code_bytes: usize) -> Vec<u8> {
    let zero = if 2 + code_bytes == Q4_BYTES { 0x88 } else { 0 };
    let block = |(number, scale): (usize, u32)| {
        let random = |place: usize| random(scales.seed, (number * 64 + place) as u64) as u8;
        let one = random(0) as usize % code_bytes;
        let code = move |place: usize| match number % 8 {
            0 => random(1),
            1 if place == one => random(1),
            1 | 2 => zero,
            3 => [0x80, 0x7f, 0xff, 0x08][random(place + 2) as usize % 4],
            _ => random(place + 2),
        };
        let codes = (0..code_bytes).map(code);
        let scale = (scale as u16).to_le_bytes();
        scale.into_iter().chain(codes).collect::<Vec<u8>>()
    };
    let all = swept(scales, count).enumerate();
    all.flat_map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edge::native,
        truth::{self, Verdict},
    };
    use std::collections::BTreeSet;

    #[test]
    fn the_kernels_answer_them_rightly() {
        for kernel in &kernel_core::KERNELS {
            let cases = spread(kernel.id, 3, true);
            assert_eq!(cases, spread(kernel.id, 3, true));
            assert_ne!(cases, spread(kernel.id, 4, true));
            let mut fewer = cases.clone();
            fewer.retain(|case| !case.name.contains("every"));
            assert_eq!(fewer, spread(kernel.id, 3, false));
            let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
            assert!(
                !names.is_empty() && names.len() == cases.len(),
                "{}",
                kernel.id
            );
            for case in &cases {
                let ran = native::run(case);
                let of = format!("{} {}", kernel.id, case.name);
                assert_eq!((ran.status, ran.violation), (0, None), "{of}");
                let verdict = truth::judge(case, &ran.output);
                assert!(!matches!(verdict, Verdict::Fail(_)), "{of}: {verdict:?}");
            }
        }
        assert!(spread("softmax_f32", 1, true).is_empty());
    }
}
