//! Random bits for calls of open contracts.

use crate::draw::random;
use sha2::{Digest, Sha256};

/// Random bits, one after the other.
pub(super) struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    /// For a case of a kernel.
    pub(super) fn new(kernel: &str, seed: u64, index: u32) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"open");
        hasher.update(seed.to_le_bytes());
        hasher.update(index.to_le_bytes());
        hasher.update(kernel);
        let digest = hasher.finalize();
        let (words, _) = digest.as_chunks();
        Self {
            seed: u64::from_le_bytes(words[0]),
            drawn: 0,
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        let bits = random(self.seed, self.drawn);
        self.drawn += 1;
        bits
    }

    /// Below a bound, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From 0 to below 1, a multiple of 2^-53.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}
