//! What a search draws: a number that a case or a change of one follows from, and perhaps the word that it shall have.

use std::{fmt, slice, str::FromStr};

/// Random bits for a position: SplitMix64, whose output for consecutive inputs is independent enough for test data.
pub(crate) fn random(seed: u64, index: u64) -> u64 {
    let mut bits = seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// One of these, by the random bits for a position.
#[cfg(feature = "generate")]
pub(crate) fn pick<T: Copy>(seed: u64, index: u64, from: &[T]) -> T {
    from[(random(seed, index) % from.len() as u64) as usize]
}

/// One draw. Its text is the number, and where it has a word `@` and the word in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// What its random bits follow from.
    pub number: u32,
    /// The only word of the module's code that it may use.
    pub word: Option<u32>,
}

impl Draw {
    /// The words that it may use, of all.
    pub fn words<'a>(&'a self, all: &'a [u32]) -> &'a [u32] {
        self.word.as_ref().map_or(all, slice::from_ref)
    }
}

impl fmt::Display for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)?;
        match self.word {
            Some(word) => write!(f, "@{word:x}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Draw {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, word) = match text.split_once('@') {
            Some((number, word)) => (number, Some(u32::from_str_radix(word, 16)?)),
            None => (text, None),
        };
        Ok(Self {
            number: number.parse()?,
            word,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_draw_is_the_draw() {
        for draw in [(7, None), (7, Some(0x4abc_def1)), (0, Some(0))] {
            let (number, word) = draw;
            let draw = Draw { number, word };
            assert_eq!(draw.to_string().parse(), Ok(draw));
        }
        for text in ["", "@", "7@", "7@x", "-1", "7@100000000"] {
            assert!(text.parse::<Draw>().is_err(), "{text}");
        }
    }
}
