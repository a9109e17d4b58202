//! Greedy generation.

use crate::{
    cache::{Cache, Format},
    kernels::Kernels,
    model::Model,
};
use anyhow::Result;

/// One text as it grows.
pub struct Session<'a, K> {
    model: &'a Model,
    cache: Cache,
    /// Who runs the kernels.
    pub kernels: K,
}

impl<'a, K: Kernels> Session<'a, K> {
    /// A session without a token yet.
    pub fn new(model: &'a Model, format: Format, kernels: K) -> Self {
        Self {
            model,
            cache: Cache::new(model.config(), format),
            kernels,
        }
    }

    /// Runs further tokens through the model, and returns the logits of what follows them.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn feed(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.model
            .forward(tokens, &mut self.cache, &mut self.kernels)
    }

    /// Bytes that keys and values take.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }
}

/// The most likely token; the first of equals.
pub fn greedy(logits: &[f32]) -> u32 {
    let best = logits
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (token, &logit)| {
            if logit > best.1 { (token, logit) } else { best }
        });
    // A vocabulary has fewer than 2^32 tokens.
    best.0 as u32
}
