//! The shape of a model, from the metadata of its GGUF file.

use anyhow::{Context, Result, ensure};
use candle_core::quantized::gguf_file::{Content, Value};

/// Dimensions and constants of a model of the architecture `llama`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Layers.
    pub layers: usize,
    /// Elements of a token's vector.
    pub hidden: usize,
    /// Elements between the two halves of the feed-forward part.
    pub feed_forward: usize,
    /// Heads that ask.
    pub heads: usize,
    /// Heads that are asked, each by the same number of those that ask.
    pub kv_heads: usize,
    /// Elements of a head, all of them rotated.
    pub head_dim: usize,
    /// Positions that the model knows.
    pub context: usize,
    /// Base of the angles.
    pub theta: f32,
    /// Added inside the root of norms.
    pub eps: f32,
}

impl Config {
    /// Reads the shape.
    ///
    /// # Errors
    /// A missing entry, another architecture, or dimensions that do not fit each other.
    pub fn read(content: &Content) -> Result<Self> {
        let architecture = entry(content, "general.architecture")?.to_string()?;
        ensure!(
            architecture == "llama",
            "the file holds a model of architecture `{architecture}`: this program runs `llama` only"
        );
        let number = |name: &str| -> Result<usize> {
            let value = entry(content, &format!("llama.{name}"))?;
            Ok(value.to_u32().with_context(|| format!("llama.{name}"))? as usize)
        };
        let real = |name: &str| -> Result<f32> {
            let value = entry(content, &format!("llama.{name}"))?;
            value.to_f32().with_context(|| format!("llama.{name}"))
        };
        let (hidden, heads) = (number("embedding_length")?, number("attention.head_count")?);
        ensure!(
            heads > 0 && hidden.is_multiple_of(heads),
            "{heads} heads do not divide {hidden} elements"
        );
        let config = Self {
            layers: number("block_count")?,
            hidden,
            feed_forward: number("feed_forward_length")?,
            heads,
            kv_heads: number("attention.head_count_kv")?,
            head_dim: hidden / heads,
            context: number("context_length")?,
            theta: real("rope.freq_base")?,
            eps: real("attention.layer_norm_rms_epsilon")?,
        };
        let rotated = number("rope.dimension_count")?;
        ensure!(
            rotated == config.head_dim,
            "{rotated} of {} elements of a head are rotated: this program rotates all",
            config.head_dim
        );
        ensure!(
            config.kv_heads > 0 && heads.is_multiple_of(config.kv_heads),
            "{heads} heads cannot share {} heads of keys",
            config.kv_heads
        );
        ensure!(
            config.kv_dim().is_multiple_of(kernel_abi::block::ELEMENTS),
            "{} elements of keys are no whole blocks",
            config.kv_dim()
        );
        Ok(config)
    }

    /// Elements of the keys of a position, and of its values.
    pub fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

fn entry<'a>(content: &'a Content, key: &str) -> Result<&'a Value> {
    let value = content.metadata.get(key);
    value.with_context(|| format!("the file's metadata has no `{key}`"))
}
