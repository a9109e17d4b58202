//! Text to tokens and back, with what the GGUF file says about both.

use anyhow::{Context, Result, anyhow};
use candle_core::quantized::{gguf_file::Content, tokenizer::TokenizerFromGguf};
use tokenizers::{
    Tokenizer,
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
};

/// What the model was told of itself in training, where a conversation does not say otherwise.
const SYSTEM: &str = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

/// The tokens of a model.
#[derive(Debug)]
pub struct Text {
    tokenizer: Tokenizer,
    end: u32,
}

impl Text {
    /// Reads vocabulary and merges of a GGUF file.
    ///
    /// # Errors
    /// A file without them.
    pub fn read(content: &Content) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_gguf(content).context("read the vocabulary")?;
        let metadata = |key: &str| {
            content
                .metadata
                .get(key)
                .with_context(|| format!("the file's metadata has no `{key}`"))
        };
        if metadata("tokenizer.ggml.pre")?.to_string()? == "smollm" {
            // candle takes this for GPT-2's, which puts a space before a text and keeps digits together.
            let steps = vec![
                Digits::new(true).into(),
                ByteLevel::new(false, true, true).into(),
            ];
            tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
        }
        let end = metadata("tokenizer.ggml.eos_token_id")?.to_u32()?;
        Ok(Self { tokenizer, end })
    }

    /// The tokens of a question, as the first turn of a conversation.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub fn question(&self, question: &str) -> Result<Vec<u32>> {
        self.tokens(&format!(
            "<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        ))
    }

    /// The tokens of a text; names of special tokens count as these.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(|error| anyhow!("{error}"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of tokens.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub fn text(&self, tokens: &[u32]) -> Result<String> {
        self.tokenizer
            .decode(tokens, false)
            .map_err(|error| anyhow!("{error}"))
    }

    /// The token that ends an answer.
    pub fn end(&self) -> u32 {
        self.end
    }
}
