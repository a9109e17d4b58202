//! Lengths of several axes whose rests meet: what is wrong only in the last rows and the last columns at once, no call shows that has a rest of one.

use crate::draw::random;

/// Rests of an axis.
pub(crate) const RESTS: u32 = 8;
/// Sums and products are those of the field with 8 elements, whose polynomial this is: x^3 + x + 1.
const POLYNOMIAL: u32 = 0b1011;

/// Lengths that two are equal at. A further one is drawn, up to [`MOST_EQUAL`].
pub(crate) const EQUAL: [u32; 3] = [5, 16, 33];
const MOST_EQUAL: u32 = 40;

/// How many calls meet how many rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// 32 calls: each of 8 rests of the first axis beside each of 4 of any other one, and each of 4 of two others beside each other.
    Few,
    /// 64 calls: each of 8 rests of any axis beside each of 8 of any other one.
    Many,
    /// 128 calls of two axes: each of 32 rests of the first one beside each of 4 of the other, and each of 16 beside each of 8.
    Both,
}

impl Calls {
    pub(crate) fn count(self) -> u32 {
        match self {
            Calls::Few => 32,
            Calls::Many => 64,
            Calls::Both => 128,
        }
    }
}

/// The rests of a run: which of three and more axes meet, its seed says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rests {
    pub(crate) calls: Calls,
    pub(crate) seed: u64,
}

impl Rests {
    /// The rest of an axis in a call, from 0 to 7. There are pairs of rests for up to 8 axes; those behind them have the rests of one before.
    pub(crate) fn rest(self, call: u32, axis: u32) -> u32 {
        let (first, other) = (call % RESTS, call / RESTS);
        if axis == 0 {
            return first;
        }
        if self.calls == Calls::Both {
            return other % 4 + 4 * (self.part(call) / 2);
        }
        // Each axis has another factor, so that any two follow from the two numbers of the call by equations that have one solution.
        let turned = random(self.seed, 0) as u32 % (RESTS - 1);
        let factor = 1 + (axis - 1 + turned) % (RESTS - 1);
        let mask = random(self.seed, axis.into()) as u32 % RESTS;
        other ^ product(factor, first) ^ mask
    }

    /// Which of four parts of longer lengths the first axis is in: each rest is in each part.
    pub(crate) fn part(self, call: u32) -> u32 {
        let (first, other) = (call % RESTS, call / RESTS);
        if self.calls == Calls::Both {
            return other / 4;
        }
        (other ^ random(self.seed, u64::from(100 + first)) as u32) % 4
    }
}

/// A size from 6 on that is none of the fixed ones.
pub(crate) fn drawn_size(seed: u64) -> u32 {
    let drawn = 6 + random(seed, 0) as u32 % (MOST_EQUAL - 6);
    drawn + u32::from(EQUAL.contains(&drawn))
}

/// The product in the field.
fn product(one: u32, other: u32) -> u32 {
    let mut product = 0;
    for bit in (0..3).rev() {
        product <<= 1;
        if product & RESTS > 0 {
            product ^= POLYNOMIAL;
        }
        if other >> bit & 1 > 0 {
            product ^= one;
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn pairs(
        rests: Rests,
        (one, moduli_one): (u32, u32),
        (other, moduli_other): (u32, u32),
    ) -> usize {
        let of = |call| {
            (
                rests.rest(call, one) % moduli_one,
                rests.rest(call, other) % moduli_other,
            )
        };
        let pairs: BTreeSet<(u32, u32)> = (0..rests.calls.count()).map(of).collect();
        pairs.len()
    }

    #[test]
    fn each_two_rests_of_any_two_axes_meet_in_every_run() {
        for seed in 0..16 {
            let [few, many] = [Calls::Few, Calls::Many].map(|calls| Rests { calls, seed });
            for one in 0..8 {
                for other in one + 1..8 {
                    assert_eq!(pairs(many, (one, 8), (other, 8)), 64, "{one} {other}");
                    let modulus = if one == 0 { 8 } else { 4 };
                    let met = pairs(few, (one, modulus), (other, 4));
                    assert_eq!(met, 4 * modulus as usize, "{one} {other}");
                }
            }
            let both = Rests {
                calls: Calls::Both,
                seed,
            };
            for (columns, rows) in [(32, 4), (16, 8)] {
                let of = |call| {
                    let column = 8 * both.part(call) + both.rest(call, 0);
                    (column % columns, both.rest(call, 1) % rows)
                };
                let met: BTreeSet<(u32, u32)> = (0..128).map(of).collect();
                assert_eq!(met.len(), 128);
            }
            for rests in [few, many] {
                let of = |call| (rests.rest(call, 0), rests.part(call));
                let lengths: BTreeSet<(u32, u32)> = (0..rests.calls.count()).map(of).collect();
                assert_eq!(lengths.len(), 32);
            }
        }
    }
}
