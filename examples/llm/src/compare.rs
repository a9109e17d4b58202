//! Whether kernels in the sandbox give the same text as native ones, and what a cache in blocks changes.

use crate::{
    cache::Format,
    generate::{Session, greedy},
    kernels::{Kernels, Witness},
    model::Model,
};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Greedy tokens after a prompt, each with the logits that it was chosen from. Generation goes on after the end of an answer, so
/// that there are as many as were asked for.
#[derive(Debug)]
pub struct Trace {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Logits of each, of the whole vocabulary.
    pub logits: Vec<Vec<f32>>,
    /// Bytes of keys and values at the end.
    pub cache_bytes: usize,
    /// Calls of kernels, and what they gave: [`Witness::outputs`].
    pub outputs: (u64, u64),
}

impl Trace {
    /// Generates `tokens` tokens.
    ///
    /// # Errors
    /// As [`Session::feed`].
    pub fn take(
        model: &Model,
        format: Format,
        kernels: &mut dyn Kernels,
        prompt: &[u32],
        tokens: usize,
    ) -> Result<Self> {
        let mut session = Session::new(model, format, Witness::new(kernels));
        let (mut chosen, mut all) = (Vec::new(), Vec::new());
        let mut logits = session.feed(prompt)?;
        while chosen.len() < tokens {
            let token = greedy(&logits);
            chosen.push(token);
            all.push(logits);
            logits = session.feed(&[token])?;
        }
        Ok(Self {
            tokens: chosen,
            logits: all,
            cache_bytes: session.cache_bytes(),
            outputs: session.kernels.outputs(),
        })
    }
}

/// What there is to say about two traces that should be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equality {
    /// Tokens that were asked for.
    pub tokens: usize,
    /// Tokens before the first that differs.
    pub equal_tokens: usize,
    /// Steps before the first with a logit of other bits.
    pub equal_logits: usize,
    /// Calls of kernels.
    pub calls: u64,
    /// Whether all of them gave the same bytes.
    pub equal_outputs: bool,
}

impl Equality {
    /// Compares token by token, and bit by bit in the logits.
    pub fn of(one: &Trace, other: &Trace) -> Self {
        let both = one.tokens.iter().zip(&other.tokens);
        let logits = one.logits.iter().zip(&other.logits);
        let bits = |logits: &[f32]| {
            logits
                .iter()
                .map(|logit| logit.to_bits())
                .collect::<Vec<_>>()
        };
        Self {
            tokens: one.tokens.len().max(other.tokens.len()),
            equal_tokens: both.take_while(|(one, other)| one == other).count(),
            equal_logits: logits
                .take_while(|(one, other)| bits(one) == bits(other))
                .count(),
            calls: one.outputs.0,
            equal_outputs: one.outputs == other.outputs,
        }
    }

    /// Whether nothing differs.
    pub fn holds(&self) -> bool {
        self.equal_outputs && self.equal_tokens == self.tokens && self.equal_logits == self.tokens
    }
}

/// How far logits with a cache in blocks are from those with one in f32, after the same tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Steps.
    pub steps: usize,
    /// Largest absolute difference of a logit.
    pub largest: f32,
    /// Mean absolute difference of all logits.
    pub mean: f64,
    /// Largest less smallest logit of a step with the f32 cache, as the mean over steps: what differences are to be seen against.
    pub spread: f64,
    /// Steps whose most likely token is the same.
    pub same_choice: usize,
    /// Tokens before the first that differs, where each text goes on with its own.
    pub own_text: usize,
    /// Bytes of keys and values at the end.
    pub cache_bytes: usize,
    /// The same in f32.
    pub f32_bytes: usize,
}

impl Drift {
    /// Feeds the tokens of a trace with an f32 cache through `kernels` with another, and compares.
    ///
    /// # Errors
    /// As [`Session::feed`].
    pub fn of(
        model: &Model,
        format: Format,
        kernels: &mut dyn Kernels,
        prompt: &[u32],
        exact: &Trace,
    ) -> Result<Self> {
        let mut session = Session::new(model, format, &mut *kernels);
        let (mut largest, mut sum, mut spread, mut same_choice) = (0.0f32, 0.0f64, 0.0f64, 0);
        let mut logits = session.feed(prompt)?;
        for (token, expected) in exact.tokens.iter().zip(&exact.logits) {
            let differences = logits
                .iter()
                .zip(expected)
                .map(|(one, other)| (one - other).abs());
            largest = differences.clone().fold(largest, f32::max);
            sum += differences.map(f64::from).sum::<f64>() / expected.len() as f64;
            let bounds = expected
                .iter()
                .fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], &logit| {
                    [low.min(logit), high.max(logit)]
                });
            spread += f64::from(bounds[1] - bounds[0]);
            same_choice += usize::from(greedy(&logits) == *token);
            logits = session.feed(&[*token])?;
        }
        let cache_bytes = session.cache_bytes();
        let own = Trace::take(model, format, kernels, prompt, exact.tokens.len())?;
        let steps = exact.tokens.len();
        Ok(Self {
            steps,
            largest,
            mean: sum / steps as f64,
            spread: spread / steps as f64,
            same_choice,
            own_text: Equality::of(exact, &own).equal_tokens,
            cache_bytes,
            f32_bytes: exact.cache_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(tokens: &[u32], logits: &[f32]) -> Trace {
        Trace {
            tokens: tokens.to_vec(),
            logits: logits.iter().map(|&logit| vec![0.0, logit]).collect(),
            cache_bytes: 0,
            outputs: (1, 2),
        }
    }

    #[test]
    fn a_token_and_a_bit_that_differ_are_seen() {
        let same = trace(&[1, 1, 1], &[1.0, 2.0, 3.0]);
        assert!(Equality::of(&same, &same).holds());
        let token = Equality::of(&same, &trace(&[1, 0, 1], &[1.0, 2.0, 3.0]));
        assert_eq!((token.equal_tokens, token.holds()), (1, false));
        let bit = f32::from_bits(3.0f32.to_bits() + 1);
        let bit = Equality::of(&same, &trace(&[1, 1, 1], &[1.0, 2.0, bit]));
        assert_eq!(
            (bit.equal_tokens, bit.equal_logits, bit.holds()),
            (3, 2, false)
        );
        let short = Equality::of(&same, &trace(&[1, 1], &[1.0, 2.0]));
        assert!(!short.holds());
        let outputs = Trace {
            outputs: (1, 3),
            ..trace(&[1, 1, 1], &[1.0, 2.0, 3.0])
        };
        assert!(!Equality::of(&same, &outputs).holds());
    }
}
